# CIFAR-10 in folders of classes, cifar10_jpeg/train/<class>/ and cifar10_jpeg/test/<class>/, or $CIFAR10; more overrides may follow.
networks="unit=basic bottleneck=none filters=w16 units=n3,n9 shortcut=none,projection seed=0,1,2,3,4"
digits="name=why_digits trainer=e20"
cifar="name=why_cifar data=image_folder data.root=${CIFAR10:-cifar10_jpeg} data.image_size=16 data.num_train=10000 augment.crop.pad=2
    recipe=one_cycle trainer.max_epochs=5"
resnet-lab -m $networks $digits "$@"
resnet-lab -m $networks $digits norm=none optim.lr=0.01,0.001 "$@"
resnet-lab -m $networks $cifar "$@"
resnet-lab -m $networks $cifar norm=none optim.lr=0.02,0.002 "$@"
