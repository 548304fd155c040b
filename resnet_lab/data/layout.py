"""Recognise the layout of a folder of images: which folders are its parts, and which are its classes."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig
from resnet_lab.config.enums import Layout
from resnet_lab.data.walk import HIDDEN, is_text, reading, walk
from resnet_lab.text import first_few, plural, printable

# Usual names for the folders of the parts, in upper or lower case.
PART_NAMES = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
ANNOTATIONS = "val_annotations.txt"  # of Tiny ImageNet
ALL = ""  # the part of a folder without parts

# The part of the data set that each of these folders is. The first one names the classes.
ROLES: dict[Layout, dict[str, str]] = {
    Layout.train_test: {"train": "train", "test": "test"},
    Layout.train_val: {"train": "train", "val": "test"},
    Layout.train_val_test: {"train": "train", "val": "val", "test": "test"},
    Layout.tiny_imagenet: {"train": "train", "val": "test"},
    Layout.flat: {ALL: ALL},
}


def layout_of(config: DataConfig) -> Layout:
    """Return `data.layout`, or instead of `auto` the layout that the folder has. Raises ConfigError and OSError."""
    root, folders = config.folder, part_folders(config.folder)
    if config.layout is not Layout.auto:
        for name in ROLES[config.layout]:
            if name not in folders:
                raise _missing(root, name, folders)
        return config.layout
    if "train" not in folders:
        if len(folders) > 1:  # a folder named val or test is no class
            raise _missing(root, "train", folders)
        return Layout.flat
    if (folders.get("val", root) / ANNOTATIONS).is_file():
        return Layout.tiny_imagenet
    has_val, has_test = (name in folders and any(subfolders(folders[name])) for name in ("val", "test"))
    if not has_val and not has_test:
        raise _missing(root, "test", folders)
    return Layout.train_val_test if has_val and has_test else Layout.train_val if has_val else Layout.train_test


def look(config: DataConfig) -> tuple[Layout, int]:
    """Return the layout and the number of classes. Raises ConfigError if the folder has none."""
    with reading(config.folder):
        layout = layout_of(config)
        return layout, len(class_names(config.folder, layout))


def part_folders(root: Path) -> dict[str, Path]:
    """Return the folders of the parts by their names in PART_NAMES, and the root itself as ALL."""
    if not root.is_dir():
        yours = "; name yours, as in data.root=my_images" if root == Path("data") else ""
        wrong = "it is a file, not a folder of images" if root.exists() else f"there is no such folder{yours}"
        raise ConfigError(f"data.root={root}: {wrong}")
    there = sorted(subfolders(root), key=lambda folder: (folder.name != folder.name.casefold(), folder.name))
    found = {ALL: root}
    for part, spellings in PART_NAMES.items():
        named = [folder for name in spellings for folder in there if folder.name.casefold() == name]
        if named:
            found[part] = named[0]  # of several, the most usual name
    return found


def class_names(root: Path, layout: Layout) -> tuple[str, ...]:
    """Return the names of the class folders, sorted. Raises ConfigError if there are none, and OSError."""
    first = part_folders(root)[next(iter(ROLES[layout]))]
    names = folders = class_folders(first)
    if layout is Layout.flat:
        names = tuple(name for name in names if _has_files(first / name))
    if folders and not names:
        raise ConfigError(f"data.root={root}: none of {_slashed(folders)} has a file that could be an image")
    if not names:
        raise ConfigError(f"data.root={root}: {first} has no class folders; {_there_is(first)}")
    return names


def class_folders(folder: Path) -> tuple[str, ...]:
    """Return the names of the folders in `folder`, sorted. Raises OSError."""
    return tuple(sorted(path.name for path in subfolders(folder)))


def subfolders(folder: Path) -> Iterator[Path]:
    """Yield the folders in `folder` that are not hidden. Raises OSError."""
    with os.scandir(folder) as entries:
        yield from (Path(entry.path) for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _has_files(folder: Path) -> bool:
    """Return whether a folder has files that could be images; others, as of annotations, are no class."""
    return any(why != HIDDEN and not is_text(name) for name, _, why in walk(str(folder)))


def _missing(root: Path, part: str, folders: Mapping[str, Path]) -> ConfigError:
    there = f"{folders[part]} has no class folders" if part in folders else f"there is no folder {root / part}"
    message = f"data.root={root}: {there}; {_there_is(root)}"
    if part == "train" and folders.keys() - {ALL}:
        message += ". If val and test are classes, set data.layout=flat"
    if part == "test" and "train" in folders:
        message += f". To hold out a share of the training images as test part, set data.root={folders['train']}"
    return ConfigError(message)


def _there_is(folder: Path) -> str:
    """Say what a folder has and which layouts are read."""
    names = class_folders(folder)
    files = sum(entry.is_file() for entry in os.scandir(folder))
    shown = f" ({_slashed(names)})" if names else ""
    there = f"it has {plural(len(names), 'folder')}{shown} and {plural(files, 'file')}"
    return f"{there}; expected train/<class>/<images> with test/ or val/ next to it, or <class>/<images>"


def _slashed(names: Sequence[str]) -> str:
    """Return the names of folders as they are shown."""
    return first_few([f"{printable(name)}/" for name in names])
