"""List the image files of a folder, their classes and parts, and what is left out. Opens no image."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from resnet_lab.config.checks import ConfigError, require
from resnet_lab.config.data import DataConfig
from resnet_lab.config.enums import Labels, Layout
from resnet_lab.data.decode import is_readable
from resnet_lab.data.layout import ANNOTATIONS, ROLES, class_folders, class_names, layout_of, part_folders
from resnet_lab.data.walk import HIDDEN, Facts, is_text, is_visible, reading, walk
from resnet_lab.text import first_few, plural, printable

Indices = npt.NDArray[np.int64]

MAX_REASONS = 4  # for leaving files out, named in a line
OUTSIDE = "outside of class folders"


@dataclass(frozen=True, slots=True)
class Files:
    """Image files in the order of their rows: names relative to `root`, with forward slashes, and file-system facts."""

    root: Path
    names: tuple[str, ...]
    facts: Indices  # (N, 3): size in bytes, mtime and ctime in ns


@dataclass(frozen=True, slots=True)
class Listing:
    """The image files of a folder, their labels, and the rows of each part, sorted by class, if any, and name."""

    files: Files
    classes: tuple[str, ...]  # or attributes; empty for numbers
    labels: npt.NDArray[Any]  # as in `Images`
    parts: Mapping[str, Indices]  # by train, val and test, or ALL
    left_out: tuple[str, ...]  # a line for each part that leaves files out, and one for unused folders


@dataclass(slots=True)
class _Found:
    """The files of one part: name, facts and class of images; names of other files by the reason to leave them out."""

    images: list[tuple[str, Facts, int]] = field(default_factory=list)
    others: dict[str, list[str]] = field(default_factory=dict)

    def leave_out(self, why: str, name: str) -> None:
        self.others.setdefault(why, []).append(name)


def listing_of(config: DataConfig) -> Listing:
    """Return the listing of `config.root`.

    Raises ConfigError when it is not a folder of images, or its number of classes is not `data.num_classes`.
    """
    root = config.folder
    with reading(root):
        layout = layout_of(config)
        classes = class_names(root, layout)
        refuse_other_count(config, len(classes))
        return list_images(root, layout, classes, config.subfolders)


def refuse_other_count(config: DataConfig, there: int) -> None:
    """Raise ConfigError if `data.num_classes` is set to another number of classes or attributes."""
    words = ("attribute", "attributes") if config.labels is Labels.attributes else ("class", "classes")
    require(
        config.num_classes in (None, there),
        f"data.num_classes={config.num_classes}, but {config.folder} has {plural(there, *words)}: set "
        f"data.num_classes={there}, or null to count them",
    )


@lru_cache(maxsize=1)
def list_images(root: Path, layout: Layout, classes: tuple[str, ...], subfolders_too: bool) -> Listing:
    """List the images below `root`; the latest result is kept until `list_images.cache_clear()`.

    Class names that are not UTF-8 are made `printable`; file names keep the original bytes. Raises ConfigError when a
    class has no images, when most of its files would be left out, or when it is not in the training part.
    """
    folders, found = part_folders(root), dict[str, _Found]()
    for name, part in ROLES[layout].items():
        if (folders[name] / ANNOTATIONS).is_file() and layout is Layout.tiny_imagenet:
            found[part] = _annotated(root, folders[name], classes)
        else:
            found[part] = _in_class_folders(root, folders[name], classes, subfolders_too)
    images = [image for part in found.values() for image in part.images]
    ends = np.cumsum([len(part.images) for part in found.values()])
    used = classes if layout is Layout.flat else [folders[name].name for name in ROLES[layout]]
    return Listing(
        files=Files(
            root.resolve(),
            tuple(name for name, _, _ in images),
            np.array([facts for _, facts, _ in images], np.int64).reshape(-1, 3),
        ),
        classes=tuple(map(printable, classes)),
        labels=np.array([label for _, _, label in images], np.int64),
        parts=dict(zip(found, np.split(np.arange(len(images)), ends[:-1]), strict=True)),
        left_out=(*_lines(found), *_unused(root, used)),
    )


def _in_class_folders(root: Path, folder: Path, classes: Sequence[str], subfolders_too: bool) -> _Found:
    """Find `<class>/**`, sorted by class and name."""
    own = class_folders(folder)
    if foreign := [name for name in own if name not in classes and folder != root]:
        spelled = {name.casefold() for name in classes}
        hint = " (upper and lower case differ)" if any(name.casefold() in spelled for name in foreign) else ""
        named = ", ".join(map(printable, foreign))
        raise ConfigError(f"data.root={root}: {folder} has classes that the training part lacks: {named}{hint}")
    found = _Found()
    prefix = "" if folder == root else f"{folder.name}/"
    for name in (name for name in own if name in classes):
        inside = _Found()
        for below, facts, why in sorted(walk(str(folder / name))):
            if why == HIDDEN and not (is_readable(below) or below.endswith("/")):
                continue
            if why := why or _why_left_out(below, subfolders_too):
                inside.leave_out(why, f"{prefix}{name}/{below}")
            else:
                inside.images.append((f"{prefix}{name}/{below}", facts, classes.index(name)))
        _refuse_lost(root, folder / name, inside)
        found.images += inside.images
        for why, names in inside.others.items():
            found.others.setdefault(why, []).extend(names)
    with os.scandir(folder) as entries:
        outside = sorted(entry.name for entry in entries if entry.is_file() and is_visible(entry.name))
    for file in outside:
        found.leave_out(OUTSIDE, f"{prefix}{file}")
    if (loose := sum(map(is_readable, outside))) > len(found.images):
        raise ConfigError(
            f"data.root={root}: most images of {folder} are outside of class folders: {loose:,} of "
            f"{loose + len(found.images):,}. Sort them into folders, one for each class"
        )
    return found


def _annotated(root: Path, folder: Path, classes: Sequence[str]) -> _Found:
    """Find `images/*`; the first two tab-separated columns of the annotations are file and class."""
    rows = [line.split("\t") for line in (folder / ANNOTATIONS).read_text(errors="surrogateescape").splitlines()]
    wanted = {row[0]: row[1] for row in rows if len(row) > 1}
    if foreign := sorted(set(wanted.values()) - set(classes)):
        raise ConfigError(f"data.root={root}: {folder / ANNOTATIONS} has a class without a folder: {foreign[0]}")
    found = _Found()
    for below, facts, why in sorted(walk(str(folder / "images"))):
        name = f"{folder.name}/images/{below}"
        if (label := wanted.pop(below, None)) is None:
            found.leave_out(f"not in {ANNOTATIONS}", name)
        elif why := why or _why_left_out(below, subfolders_too=True):
            found.leave_out(why, name)
        else:
            found.images.append((name, facts, classes.index(label)))
    for missing in wanted:
        found.leave_out("missing", f"{folder.name}/images/{missing}")
    found.images.sort(key=lambda image: (image[2], image[0]))
    _refuse_lost(root, folder, found)
    return found


def _why_left_out(name: str, subfolders_too: bool) -> str:
    if "/" in name and not subfolders_too:
        return "in sub-folders"
    return "" if is_readable(name) else os.path.splitext(name)[1] or "without suffix"


def _refuse_lost(root: Path, folder: Path, found: _Found) -> None:
    """Raise ConfigError if a class has no images, or more files left out than images.

    Files left out do not count if they are text, hidden, or named like an image except for the suffix.
    """
    kept = {os.path.splitext(name)[0] for name, _, _ in found.images}
    others = [name for why, names in found.others.items() if why != HIDDEN for name in names]
    lost = [name for name in others if os.path.splitext(name)[0] not in kept and not is_text(name)]
    where = f"data.root={root}: {printable(str(folder))}"
    unusable = f"{kinds(found.others)} cannot be used"
    if not found.images and found.others:
        raise ConfigError(f"{where} has no images: {unusable}. Convert them or remove the folder")
    if not found.images:
        raise ConfigError(f"{where} has no images: add some or remove the folder")
    if len(lost) > len(found.images):
        raise ConfigError(
            f"{where}: most files would be left out, since {unusable}. Convert them, or move them out of the folder"
        )


def _lines(found: Mapping[str, _Found]) -> Iterator[str]:
    for part, files in found.items():
        if files.others:
            count = sum(map(len, files.others.values()))
            label = f"{part}: " if part else ""
            yield f"{label}{count:,} of {count + len(files.images):,} files left out: {kinds(files.others)}"


def kinds(others: Mapping[str, Sequence[str]]) -> str:
    """Return `90 .heic (train/cat/1.heic), 2 without suffix (…)`, the most frequent first."""
    ordered = sorted(others.items(), key=lambda item: -len(item[1]))
    shown = [f"{len(names):,} {why} ({printable(names[0])})" for why, names in ordered[:MAX_REASONS]]
    rest = sum(len(names) for _, names in ordered[MAX_REASONS:])
    return ", ".join([*shown, *([f"{rest:,} for other reasons"] if rest else [])])


def _unused(root: Path, used: Sequence[str]) -> Iterator[str]:
    if names := [f"{printable(name)}/" for name in class_folders(root) if name not in used]:
        yield f"folders not used: {first_few(names)}"
