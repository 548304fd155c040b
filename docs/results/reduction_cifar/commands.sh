# CIFAR-10 in folders of classes, cifar10_jpeg/train/<class>/ and cifar10_jpeg/test/<class>/, or $CIFAR10; more overrides may follow.
common="+experiment=cifar10_20 +sweep=bottleneck filters=w32 data=image_folder data.root=${CIFAR10:-cifar10_jpeg} data.image_size=16 data.num_train=10000
    augment.crop.pad=2 recipe=one_cycle trainer.max_epochs=10 seed=0,1,2,3,4 data.split_seed=0,1"
resnet-lab -m $common name=reduction_filters "$@"
resnet-lab -m $common name=reduction_macs hydra.sweeper.budget=macs 'hydra.sweeper.budget_of="bottleneck=half"' "$@"
