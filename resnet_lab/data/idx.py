"""Own IDX files: images and classes of the training and the test part, as EMNIST, KMNIST and others are published."""

import re
from pathlib import Path

import numpy as np

from resnet_lab.config.checks import ConfigError, require
from resnet_lab.config.data import DataConfig
from resnet_lab.config.enums import Layout
from resnet_lab.data.formats import idx_array, read_idx
from resnet_lab.data.listing import refuse_other_count
from resnet_lab.data.sources import Images, Source, facts_of_arrays
from resnet_lab.rundir.images import DataFacts

# Prefix, part and content in the usual names, with a hyphen or a dot before "idx".
NAME = re.compile(r"(.*?)-?(train|t10k|test)-(images|labels)[-.]idx[13]-ubyte(\.gz)?", re.IGNORECASE)
FILES = ("train-images", "train-labels", "test-images", "test-labels")


def look(config: DataConfig) -> tuple[Layout, int]:
    """Return the layout and the number of classes in the training labels. Raises ConfigError."""
    return Layout.train_test, len(np.unique(idx_array(_files(config)["train-labels"], num_axes=1)))


def facts(config: DataConfig) -> DataFacts:
    """Return the facts of the images, as they are in the files."""
    return facts_of_arrays(idx_folder(config))


def idx_folder(config: DataConfig) -> Source:
    """Return the images; classes are named after their labels, which need not begin at 0."""
    files = _files(config)
    train, train_labels = read_idx(files["train-images"], files["train-labels"], num_classes=256)
    test, test_labels = read_idx(files["test-images"], files["test-labels"], num_classes=256)
    names, codes = np.unique(train_labels, return_inverse=True)
    refuse_other_count(config, len(names))
    if foreign := sorted({*test_labels.tolist()} - {*names.tolist()}):
        raise ConfigError(f"data.root={config.folder}: the test part has label {foreign[0]}, the training part has not")
    test_codes = np.searchsorted(names, test_labels)
    return Source(Images(train, codes), Images(test, test_codes), tuple(map(str, names.tolist())))


def _files(config: DataConfig) -> dict[str, Path]:
    """Find the four FILES. Raises ConfigError when one is missing, or several data sets have them."""
    require(config.folder.is_dir(), f"data.root={config.folder}: there is no such folder")
    found: dict[str, dict[str, Path]] = {}
    for path in sorted([*config.folder.glob("*"), *config.folder.glob("raw/*")]):
        if match := NAME.fullmatch(path.name):
            part = "train" if match[2].lower() == "train" else "test"
            found.setdefault(match[1], {}).setdefault(f"{part}-{match[3].lower()}", path)
    chosen = {prefix: files for prefix, files in found.items() if config.prefix in (prefix, None)}
    whole = {prefix: files for prefix, files in chosen.items() if len(files) == len(FILES)}
    if len(whole) != 1:
        wanted = (
            "four files named like train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-… and t10k-labels-…"
        )
        there = "; ".join(f"{prefix}: {', '.join(sorted(files))}" for prefix, files in found.items()) or "none"
        raise ConfigError(
            f"data.root={config.folder}: data=idx needs {wanted}, gzipped or not, of one data set, which data.prefix "
            f"chooses; found {there}"
        )
    [files] = whole.values()
    return files
