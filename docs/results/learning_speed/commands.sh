# CIFAR-10 in folders of classes, cifar10_jpeg/train/<class>/ and cifar10_jpeg/test/<class>/, or $CIFAR10; more overrides may follow.
recipes="book_56,book_56_adam_linear,book_56_adamw_linear,book_56_adamw_cosine,book_56_one_cycle_sgd,book_56_one_cycle_adamw"
resnet-lab -m +experiment=$recipes model.projection_kernel=1,3 units=n1 trainer.max_epochs=10 data=image_folder data.root=${CIFAR10:-cifar10_jpeg} \
    data.image_size=16 data.num_train=10000 seed=0,1,2,3,4 output_dir=outputs/learning_speed "$@"
