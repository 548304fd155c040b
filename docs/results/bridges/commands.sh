# CIFAR-10 in folders of classes, cifar10_jpeg/train/<class>/ and cifar10_jpeg/test/<class>/, or $CIFAR10; more overrides may follow.
resnet-lab -m +experiment=cifar10_basic_20 +sweep=bridges name=bridges data=image_folder data.root=${CIFAR10:-cifar10_jpeg} data.image_size=16 \
    data.num_train=10000 data.validation=0.02 augment.crop.pad=2 recipe=one_cycle trainer.max_epochs=6 seed=0,1,2,3,4 data.split_seed=0,1 \
    hydra.sweeper.budget=params 'hydra.sweeper.budget_of="bridges=unit"' "$@"
