# CIFAR-10 in folders of classes, cifar10_jpeg/train/<class>/ and cifar10_jpeg/test/<class>/, or $CIFAR10; more overrides may follow.
common="task=reconstruction bottleneck=none head=latent_flat recipe=autoencoder data.image_size=16 data.num_train=10000 data.validation=0 trainer.max_epochs=6
    seed=0,1,2,3,4"
deep="unit=basic units=n2 filters=w16"
cnn="unit=conv units=n1 shortcut=none decoder=plain"
fashion="data=fashion_mnist name=autoencoders_fashion"
cifar="data=image_folder data.root=${CIFAR10:-cifar10_jpeg} data.pack.side=16 data.pack.quality=null name=autoencoders_cifar"
for data in "$fashion" "$cifar"; do
    resnet-lab -m $common $data $deep activation=original,full_preactivation bridges=unit,stack model.head.latent_dim=16,64 "$@"
    resnet-lab -m $common $data $deep activation=original shortcut=none bridges=unit,stack model.head.latent_dim=16,64 "$@"
    resnet-lab -m $common $data $cnn filters=w32 model.head.latent_dim=16 "$@"
    resnet-lab -m $common $data $cnn model.filters=[29,58,116] model.head.latent_dim=64 "$@"
    resnet-lab -m $common $data $deep norm=none model.head.latent_dim=16 "$@"
done
