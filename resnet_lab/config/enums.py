"""Settings of data and training with a fixed set of choices; each value describes its meaning."""

from enum import Enum


class ReconstructionLoss(Enum):
    """Loss of an autoencoder, of pixels in 0…1."""

    mse = "mean squared error"
    l1 = "mean absolute error"
    bce = "binary cross-entropy; outputs are logits"
    ssim = "1 − structural similarity"


class Corruption(Enum):
    """What is done to the images that an autoencoder is given."""

    none = "nothing"
    gaussian = "Gaussian noise with standard deviation amount, for pixels in 0…1"
    mask = "a share amount of the pixels becomes black"


class Optimizer(Enum):
    """The optimiser of the weights."""

    sgd = "SGD with momentum"
    sgdw = "SGD with momentum and decoupled weight decay"
    adam = "Adam"
    adamw = "Adam with decoupled weight decay"


class Schedule(Enum):
    """Schedule of the learning rate after the warm-up, or of the weight decay."""

    step = "multiplied by factors, constant between milestones"
    linear = "straight lines from 1 through factors at milestones"
    cosine = "cosine from 1 down to floor"
    one_cycle = "cosine from start up to 1, then down to end; momentum the other way"
    constant = "constant"
    plateau = "multiplied by factor after patience epochs in which a recorded number has not fallen"


class Threshold(Enum):
    """What a number must fall by to count as lower: the two modes of torch's ReduceLROnPlateau."""

    rel = "by a share of itself"
    abs = "by an amount"


class Warmup(Enum):
    """Learning rate of the first `warmup_iterations` steps."""

    constant = "warmup_lr"
    linear = "from warmup_lr up to lr"


class Decayed(Enum):
    """Which parameters weight decay applies to."""

    all = "all"
    weights = "all but biases, the parameters of norms, and learned factors"
    kernels = "kernels of convolutions alone"


class Labels(Enum):
    """What is known of each image of a data set."""

    classes = "one class for each image"
    attributes = "yes or no for each of several attributes"
    number = "one number for each image"


class Sampler(Enum):
    """Which images an epoch consists of."""

    shuffle = "each training image once, in random order"
    balanced = "as many images, drawn so that all classes are equally likely"


class ClassWeights(Enum):
    """Weights of the classes in the training loss."""

    none = "1"
    balanced = "inversely proportional to the number of training images; of attributes, negatives / positives"


class Padding(Enum):
    """What surrounds an image that is cropped at random."""

    zero = "zero, the mean colour"
    reflect = "the image mirrored at its border"


class Filling(Enum):
    """What random erasing fills its rectangle with, in normalised values."""

    zero = "zero, the mean colour"
    colour = "one colour for each image, N(0, 1) in each channel"
    noise = "noise, N(0, 1) in each pixel and channel"


class Diagnostics(Enum):
    """What a run records about the network while it trains. Never affects the training."""

    off = "nothing"
    light = "gradient norms and branch shares per unit, weights per stack, first-layer filters"
    full = "also feature maps, gradient flow over depth, confusion matrix and the Projector"


class EpochLog(Enum):
    """What a command shows while it trains; run.log has a line for each epoch in any case."""

    auto = "a progress bar on a terminal; elsewhere, a line for each epoch, except in the jobs of a sweep"
    epochs = "a line for each epoch; on a terminal, the bar too"
    off = "nothing"


class Layout(Enum):
    """Where the images of an own folder are; `auto` looks."""

    auto = "the first of the following that fits"
    train_test = "train/<class>/* and test/<class>/*"
    train_val = "train/<class>/* and val/<class>/*, which is the test part"
    train_val_test = "train/<class>/*, val/<class>/* and test/<class>/*"
    tiny_imagenet = "train/<class>/images/* and val/images/* with val_annotations.txt, which is the test part"
    flat = "<class>/*, of which a part is held out as test part"


class Spread(Enum):
    """How aspect ratios are drawn between a least and a most."""

    log = "log-uniformly, as in torchvision"
    uniform = "uniformly, then height and width change places with probability 1/2, as in fb.resnet.torch"


class Fit(Enum):
    """How images of another aspect ratio are resized."""

    stretch = "to the size, whatever the aspect ratio"
    crop = "until the shorter side fits, then cut to the centre"
    letterbox = "until the longer side fits, then padded with the background"


OnChange = Enum(
    "OnChange",
    {"refuse": "stop with a list of what changed", "continue": "use the images that are there now"},
)
OnChange.__doc__ = "What to do if the images of a run have changed since it began."


class Weights(Enum):
    """Which weights of a trained network."""

    last = "last epoch"
    best = "epoch with the lowest trainer.best_by, by default the validation score"
    last_ema = "average of the weights (optim.ema) after the last epoch"
    best_ema = "average of the weights after the best epoch"


class Accelerator(Enum):
    """Device to train on; `auto` uses a GPU if available."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"


class Recompute(Enum):
    """What computes its feature maps again in the backward pass, where only its input was kept (arXiv:1604.06174)."""

    none = "nothing"
    unit = "each unit"
    stack = "each stack"


class Kernels(Enum):
    """Kernels of the training step on a CPU."""

    auto = "own ones where they are faster and can be had, else torch's"
    torch = "torch's"
    native = "own ones, compiled on this machine"


class Compile(Enum):
    """Compiler for the training step. Evaluation and a smaller last mini-batch are never compiled."""

    off = "nothing"
    inductor = "torch.compile, which needs a minute or more for a deep network"
