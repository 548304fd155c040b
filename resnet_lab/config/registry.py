"""The tables of units, shortcuts, data sets, tasks and augmentations, to which your own modules add.

The description of an entry is plain data: `help` is text for the user; options and checks use the other fields. The
entry's class (for a data set, its function) is imported on first use, which keeps this module light. Your own module
adds entries like this:

    @SHORTCUTS.register("halved", ShortcutInfo(help="(S + F) / 2", reads=frozenset({"resize"})))
    class Halved(Sum): …
"""

from resnet_lab.config.augment import (
    CropSettings,
    CutmixSettings,
    CutoutSettings,
    ErasingSettings,
    FlipSettings,
    GaussianSettings,
    JitterSettings,
    LightingSettings,
    MixupSettings,
    RandSettings,
    ResizedCropSettings,
    ScaleCropSettings,
    ScaleSettings,
    ShiftSettings,
    SliceSettings,
    TrivialSettings,
    WarpSettings,
)
from resnet_lab.config.enums import Labels
from resnet_lab.config.extending import Registry
from resnet_lab.config.infos import AugmentationInfo, DatasetInfo, ShortcutInfo, UnitInfo
from resnet_lab.config.tasks import ATTRIBUTES, CLASSIFICATION, RECONSTRUCTION, REGRESSION, VAE

UNITS = Registry(
    "model.unit",
    "resnet_lab.model.units",
    {
        "bottleneck": (
            "Bottleneck",
            UnitInfo(help="1x1, 3x3, 1x1", kernels=(1, 3, 1), bottleneck=True, stride_can_move=True),
        ),
        "basic": ("Basic", UnitInfo(help="3x3, 3x3", kernels=(3, 3))),
        "triple": ("Triple", UnitInfo(help="3x3, 3x3, 3x3", kernels=(3, 3, 3))),
        "dense": (
            "Dense",
            UnitInfo(
                help="1x1, 3x3: the layer of DenseNet-BC",
                kernels=(1, 3),
                bottleneck=True,
                grouped=False,
                stride_can_move=True,
            ),
        ),
        "conv": ("Conv", UnitInfo(help="3x3: a standard CNN without shortcuts", kernels=(3,), bridged=False)),
    },
)

_SCALES = frozenset({"resize", "shortcut_scale", "residual_scale"})
_GATES = frozenset({"resize", "gate_bias"})
_DROPS = frozenset({"resize", "shortcut_dropout"})
SHORTCUTS = Registry(
    "model.shortcut",
    "resnet_lab.model.shortcuts",
    {
        "projection": ("Projection", ShortcutInfo(help="S + F; S projects where the shape changes (option B)")),
        "projection_norm": (
            "NormedProjection",
            ShortcutInfo(help="N(S) + F; S projects where the shape changes, and has a norm N on every unit"),
        ),
        "zero_pad": (
            "ZeroPadded",
            ShortcutInfo(help="S + F; S adds zero maps where the shape changes (option A)", pads=True),
        ),
        "conv": ("Convolution", ShortcutInfo(help="S + F; S projects on every unit (option C)", takes_activated=True)),
        "constant_scaling": (
            "ConstantScaling",
            ShortcutInfo(help="shortcut_scale S + residual_scale F", reads=_SCALES),
        ),
        "exclusive_gating": (
            "ExclusiveGating",
            ShortcutInfo(help="(1 - g) S + g F, with the gate g = sigmoid(W x + b)", reads=_GATES),
        ),
        "shortcut_gating": ("ShortcutGating", ShortcutInfo(help="(1 - g) S + F", reads=_GATES)),
        "dropout": ("Dropout", ShortcutInfo(help="dropout(S) + F", reads=_DROPS)),
        "none": ("Plain", ShortcutInfo(help="F only: the plain network of the same depth", crosses=False)),
    },
)

DATASETS = Registry(
    "data.name",
    "resnet_lab.data.sources",
    {
        "digits": ("digits", DatasetInfo(help="scikit-learn's 8x8 digits", channels=1, classes=10, splits=True)),
        "mnist": ("idx", DatasetInfo(help="MNIST", channels=1, classes=10)),
        "fashion_mnist": ("idx", DatasetInfo(help="Fashion-MNIST", channels=1, classes=10)),
        "cifar10": ("cifar", DatasetInfo(help="CIFAR-10", channels=3, classes=10)),
        "cifar100": ("cifar", DatasetInfo(help="CIFAR-100", channels=3, classes=100)),
        "image_folder": (
            "resnet_lab.data.own:image_folder",
            DatasetInfo(
                help="your own images, in a folder for each class",
                own_images=True,
                files=True,
                look="resnet_lab.data.layout:look",
                facts="resnet_lab.data.own:folder_facts",
            ),
        ),
        "table": (
            "resnet_lab.data.own:table",
            DatasetInfo(
                help="your own images, listed in a CSV file with their labels, or series in one",
                dims=None,
                own_images=True,
                files=True,
                look="resnet_lab.data.table:look",
                facts="resnet_lab.data.own:table_facts",
                reads=frozenset({"table"}),
            ),
        ),
        "celeba": (
            "resnet_lab.data.own:celeba",
            DatasetInfo(
                help="your copy of CelebA, faces with 40 attributes",
                labels=Labels.attributes,
                own_images=True,
                files=True,
                look="resnet_lab.data.celeba:look",
                facts="resnet_lab.data.own:celeba_facts",
            ),
        ),
        "idx": (
            "resnet_lab.data.idx:idx_folder",
            DatasetInfo(
                help="your own IDX files, such as those of EMNIST or KMNIST",
                channels=1,
                own_images=True,
                look="resnet_lab.data.idx:look",
                facts="resnet_lab.data.idx:facts",
                reads=frozenset({"prefix"}),
            ),
        ),
        "ucr": (
            "resnet_lab.data.series:source",
            DatasetInfo(
                help="series of the UCR and UEA archives, from files or an installed aeon",
                dims=1,
                own_images=True,
                look="resnet_lab.data.series:look",
                facts="resnet_lab.data.series:facts",
                reads=frozenset({"series"}),
            ),
        ),
        "digit_bits": (
            "resnet_lab.data.derived:digit_bits",
            DatasetInfo(
                help="scikit-learn's digits with six yes-or-no attributes",
                channels=1,
                classes=6,
                labels=Labels.attributes,
                splits=True,
            ),
        ),
        "fashion_pairs": (
            "resnet_lab.data.derived:fashion_pairs",
            DatasetInfo(
                help="two different clothes of Fashion-MNIST side by side",
                channels=1,
                classes=10,
                labels=Labels.attributes,
            ),
        ),
        "fake": ("fake", DatasetInfo(help="random images, for tests and benchmarks", dims=None, made=True)),
    },
)

TASKS = Registry(
    "task",
    "resnet_lab.tasks",
    {
        "classification": ("resnet_lab.tasks.classification:Classification", CLASSIFICATION),
        "attributes": ("resnet_lab.tasks.attributes:Attributes", ATTRIBUTES),
        "regression": ("resnet_lab.tasks.regression:Regression", REGRESSION),
        "reconstruction": ("resnet_lab.tasks.reconstruction:Reconstruction", RECONSTRUCTION),
        "vae": ("resnet_lab.tasks.vae:Vae", VAE),
    },
)

# In order of application.
AUGMENTATIONS = Registry(
    "augment",
    "resnet_lab.data.augment",
    {
        "crop": ("Crop", AugmentationInfo(help="padding, then a random crop", settings=CropSettings, dims=None)),
        "resized_crop": (
            "ResizedCrop",
            AugmentationInfo(help="a part of any size, resized", settings=ResizedCropSettings),
        ),
        "scale_crop": (
            "ScaleCrop",
            AugmentationInfo(help="a random size, then a random crop", settings=ScaleCropSettings),
        ),
        "shift": ("Shift", AugmentationInfo(help="shift by parts of a pixel", settings=ShiftSettings)),
        "flip": ("Flip", AugmentationInfo(help="horizontal flip", settings=FlipSettings)),
        "jitter": (
            "Jitter",
            AugmentationInfo(help="brightness, contrast, saturation", settings=JitterSettings, colours=True),
        ),
        "lighting": ("Lighting", AugmentationInfo(help="a random colour", settings=LightingSettings, colours=True)),
        "rand": ("RandAugment", AugmentationInfo(help="RandAugment", settings=RandSettings, colours=True)),
        "trivial": ("TrivialAugment", AugmentationInfo(help="TrivialAugment", settings=TrivialSettings, colours=True)),
        "cutout": ("Cutout", AugmentationInfo(help="a square of zeros", settings=CutoutSettings)),
        "erasing": ("Erasing", AugmentationInfo(help="a filled rectangle", settings=ErasingSettings)),
        "slice": ("Slice", AugmentationInfo(help="a part, stretched", settings=SliceSettings, dims=1)),
        "warp": ("Warp", AugmentationInfo(help="a part, faster or slower", settings=WarpSettings, dims=1)),
        "scale": ("Scale", AugmentationInfo(help="larger or smaller", settings=ScaleSettings, dims=1)),
        "gaussian": ("Gaussian", AugmentationInfo(help="noise", settings=GaussianSettings, dims=1)),
        "mixup": (
            "Mixup",
            AugmentationInfo(help="average of two", settings=MixupSettings, dims=None, soft_labels=True),
        ),
        "cutmix": ("Cutmix", AugmentationInfo(help="part of another", settings=CutmixSettings, soft_labels=True)),
    },
)
