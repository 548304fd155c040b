"""The published data sets: files with checksums, folders of system packages, and class names."""

from pathlib import Path

from resnet_lab.data.files import RemoteFile
from resnet_lab.data.formats import CIFAR10, CIFAR10_PYTHON, CIFAR100, CIFAR100_PYTHON, CifarLayout

_CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
CLASSES = {
    "digits": tuple("0123456789"),
    "mnist": tuple("0123456789"),
    "fashion_mnist": _CLOTHES,
    "fashion_pairs": _CLOTHES,  # as attributes
}

# Where packages of the operating system install the files.
_FASHION = (Path("/usr/share/datasets/fashion-mnist"),)
SYSTEM = {"fashion_mnist": _FASHION, "fashion_pairs": _FASHION}

# The layouts of the unpacked archives, the one that is downloaded first.
LAYOUTS: dict[str, tuple[CifarLayout, ...]] = {
    "cifar10": (CIFAR10, CIFAR10_PYTHON),
    "cifar100": (CIFAR100, CIFAR100_PYTHON),
}

# Where torchvision puts the files, below its root or that of one data set.
_TORCHVISION = {"mnist": ("MNIST/raw", "raw"), "fashion_mnist": ("FashionMNIST/raw", "raw")}

_IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _idx_files(dataset: str, url: str, checksums: dict[str, str]) -> tuple[RemoteFile, ...]:
    """Return the four files; `checksums` maps the MD5 of each .gz to the SHA-256 of its content."""
    return tuple(
        RemoteFile(dataset, f"{name}.gz", f"{url}/{name}.gz", f"md5:{md5}", content, _TORCHVISION[dataset])
        for name, (md5, content) in zip(_IDX_NAMES, checksums.items(), strict=True)
    )


def _cifar_files(dataset: str, md5s: dict[str, str]) -> tuple[RemoteFile, ...]:
    """Return an archive for each of LAYOUTS; `md5s` maps their names to checksums."""
    url = "https://www.cs.toronto.edu/~kriz"
    return tuple(RemoteFile(dataset, name, f"{url}/{name}", f"md5:{md5}") for name, md5 in md5s.items())


FILES = {
    "mnist": _idx_files(
        "mnist",
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        {
            "f68b3c2dcbeaaa9fbdd348bbdeb94873": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "d53e105ee54ea40749a09fcbcd1e9432": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "9fb629c4189551a2d022fa330f9573f3": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ec29112dd5afa0611ce80d1b7f02629c": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    "fashion_mnist": _idx_files(
        "fashion_mnist",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        {
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "25c81989df183df01b3e8a0aad5dffbe": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "bef4ecab320f06d8554ea6380940ec79": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "bb300cfdad3c16e7a12a480ee83cd310": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
    ),
    "cifar10": _cifar_files(
        "cifar10",
        {
            "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
            "cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
        },
    ),
    "cifar100": _cifar_files(
        "cifar100",
        {
            "cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8",
            "cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85",
        },
    ),
}
FILES["fashion_pairs"] = FILES["fashion_mnist"]
