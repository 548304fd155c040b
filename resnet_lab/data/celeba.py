"""CelebA (Liu et al., arXiv:1411.7766): a user's copy of the images, their attributes and parts, in the usual layouts.

The official folders `Img/`, `Anno/` and `Eval/`; all files next to each other, as torchvision has them; and the CSV
version, with a header in each file. Subsets are read, too, if their files agree with each other.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from resnet_lab.config.checks import ConfigError, require
from resnet_lab.config.data import DataConfig
from resnet_lab.config.enums import Layout
from resnet_lab.data.files import unpacked
from resnet_lab.data.listing import Files, Indices, Listing, refuse_other_count
from resnet_lab.data.walk import Facts, reading, walk
from resnet_lab.text import first_few, plural, printable

_NAMES = """
5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair Blurry
Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male
Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks
Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace
Wearing_Necktie Young
"""
ATTRIBUTES = tuple(_NAMES.split())  # in the order of the file
VALUES = {"1": 1, "-1": 0}
PARTS = ("train", "val", "test")
NUMBERS = ("0", "1", "2")  # of the PARTS, in their file
HOMES = ("", "celeba", "CelebA")  # folders below data.root
IMAGES = "img_align_celeba"
# What is needed: name, and where it can be in one of the HOMES.
PLACES = {
    "list_attr_celeba.txt or .csv": [
        f"{folder}list_attr_celeba{end}" for folder in ("", "Anno/") for end in (".txt", ".csv")
    ],
    "list_eval_partition.txt or .csv": [
        f"{folder}list_eval_partition{end}" for folder in ("", "Eval/") for end in (".txt", ".csv")
    ],
    f"the folder {IMAGES}": [f"{folder}{IMAGES}{end}" for folder in ("", "Img/") for end in ("", "_png")],
}
SOURCE = (
    'They are not downloaded: get "Align&Cropped Images", "Attributes Annotations" and "Train/Val/Test Partitions" '
    "from mmlab.ie.cuhk.edu.hk/projects/CelebA.html, and unpack the images"
)


def look(config: DataConfig) -> tuple[Layout, int]:
    """Return the layout and the number of attributes. Raises ConfigError if there is no copy of CelebA."""
    _places(config.folder)
    return Layout.train_val_test, len(ATTRIBUTES)


def celeba_listing(config: DataConfig) -> Listing:
    """List the images with their attributes (N, 40), in the same form as for folders of classes.

    Raises ConfigError when a file is missing or damaged, or names other images than another one or than there are.
    """
    refuse_other_count(config, len(ATTRIBUTES))
    require(config.layout is Layout.train_val_test, "data=celeba has the parts train, val and test: omit data.layout")
    attributes_file, parts_file, folder = _places(config.folder)
    names, labels = _attributes(attributes_file)
    parts = _parts(parts_file, names, attributes_file)
    with reading(config.folder):
        there = {name: facts for name, facts, why in walk(str(folder)) if not why}
    files = [_file(name, there) for name in names]
    if missing := [name for name, file in zip(names, files, strict=True) if file not in there]:
        raise _refused(attributes_file, f"names {plural(len(missing), 'image')} that {folder} does not have", missing)
    order = sorted(range(len(names)), key=lambda row: (parts[row], names[row]))
    places = parts[order]
    others = sorted(there.keys() - set(files))
    left_out = f"{plural(len(others), 'file')} not in {attributes_file.name} ({printable(others[0])})" if others else ""
    return Listing(
        files=Files(
            folder.resolve(), tuple(files[row] for row in order), np.array([there[files[row]] for row in order])
        ),
        classes=ATTRIBUTES,
        labels=labels[order],
        parts={part: np.flatnonzero(places == number) for number, part in enumerate(PARTS)},
        left_out=(left_out,) if others else (),
    )


def _places(root: Path) -> tuple[Path, Path, Path]:
    """Return the files of attributes and of parts, and the folder of images. Raises ConfigError."""
    for home in (root / name for name in HOMES):
        found = {what: [home / place for place in places if (home / place).exists()] for what, places in PLACES.items()}
        if any(found.values()):
            break
    else:
        raise ConfigError(f"data.root={root}: there is no CelebA; it needs {', '.join(PLACES)}. {SOURCE}")
    if lacking := [what.removeprefix("the ") for what, paths in found.items() if not paths]:
        raise ConfigError(f"data.root={root}: there is no {' and no '.join(lacking)} in {home}. {SOURCE}")
    for paths in found.values():
        if paths[1:]:
            raise ConfigError(f"data.root={root}: there is {paths[0]} and {paths[1]}: keep one of them")
    [attributes], [parts], [folder] = found.values()
    below = [path for path in (attributes, parts, folder) if path.parent != home]
    if len(below) in (1, 2):
        other = next(path for path in (attributes, parts, folder) if path not in below)
        raise ConfigError(
            f"data.root={root}: {below[0]} and {other} are of different layouts: use the folders Img, Anno and Eval "
            "for all files, or for none"
        )
    if attributes.suffix != parts.suffix:
        raise ConfigError(
            f"data.root={root}: {attributes.name} and {parts.name} are from different versions of CelebA: use two "
            ".txt or two .csv files"
        )
    doubled = folder / IMAGES  # as an archive unpacks in a folder of its own name
    return attributes, parts, doubled if doubled.is_dir() else folder


def _attributes(file: Path) -> tuple[list[str], npt.NDArray[np.uint8]]:
    """Return the names of the images and their attributes (N, 40) as 0 and 1, which the file has as -1 and 1."""
    lines = _fields(file)
    is_csv = file.suffix == ".csv"
    header = 1 if is_csv else 2
    rows = lines[header:]
    if not is_csv and lines[:1] != [[str(len(rows))]]:
        has = " ".join(lines[0]) if lines else ""
        raise ConfigError(f"{file}: line 1 must be the number of images, which is {len(rows)}; it is {has!r:.40}")
    there = lines[header - 1][is_csv:] if len(lines) >= header else []
    wrong = [f"{own!r:.40} instead of {name}" for own, name in zip(there, ATTRIBUTES, strict=False) if own != name]
    if wrong or len(there) != len(ATTRIBUTES):
        has = wrong[0] if wrong else plural(len(there), "name")
        raise ConfigError(f"{file}: line {header} must have the 40 attributes of CelebA in their order; it has {has}")
    values = bytearray()
    for number, row in enumerate(rows, header + 1):
        own = row[1:]
        if len(own) != len(ATTRIBUTES):
            raise ConfigError(f"{file}: line {number} must have an image and its 40 attributes; it has {len(own)}")
        try:
            values += bytes(map(VALUES.__getitem__, own))
        except KeyError as error:
            value = error.args[0]
            column = ATTRIBUTES[own.index(value)]
            raise ConfigError(f"{file}: line {number} has {value!r:.40} for {column}; it can have 1 and -1") from error
    names = [row[0] for row in rows]
    return _unique(file, names), np.frombuffer(bytes(values), np.uint8).reshape(-1, len(ATTRIBUTES))


def _parts(file: Path, names: Sequence[str], attributes_file: Path) -> Indices:
    """Return the number of the part of each image (N,)."""
    is_csv = file.suffix == ".csv"
    lines = _fields(file)
    rows = lines[is_csv:]
    if is_csv and lines and lines[0][-1] in NUMBERS:
        has = ",".join(lines[0])
        raise ConfigError(f"{file}: line 1 must name the columns, as image_id,partition does; it has {has!r:.40}")
    for number, row in enumerate(rows, 1 + is_csv):
        if len(row) != 2 or row[1] not in NUMBERS:
            raise ConfigError(
                f"{file}: line {number} must have an image and 0, 1 or 2, for train, val or test; "
                f"it has {' '.join(row)!r:.40}"
            )
    part_of = dict(zip(_unique(file, [name for name, _ in rows]), (int(part) for _, part in rows), strict=True))
    for one, other, foreign in (
        (attributes_file, file, [name for name in names if name not in part_of]),
        (file, attributes_file, [*(part_of.keys() - set(names))]),
    ):
        if foreign:
            raise _refused(
                one, f"names {plural(len(foreign), 'image')} that {other.name} does not name", sorted(foreign)
            )
    parts = np.array([part_of[name] for name in names], np.int64)
    for number, part in enumerate(PARTS):
        require(number in parts, f"{file}: no image has {number}, for the {part} part")
    return parts


def _fields(file: Path) -> list[list[str]]:
    """Return the fields of each line of a file, up to the last line that is not empty. Raises ConfigError."""
    lines = unpacked(file).decode("utf-8-sig", errors="replace").rstrip().splitlines()
    if file.suffix == ".csv":
        return [[field.strip() for field in line] for line in csv.reader(lines, skipinitialspace=True)]
    return [line.split() for line in lines]


def _unique(file: Path, names: list[str]) -> list[str]:
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise _refused(file, f"names {plural(len(twice), 'image')} twice", twice)
    return names


def _file(name: str, there: dict[str, Facts]) -> str:
    """Return the name of an image's file, which can be a JPEG or a PNG file, whatever the lists say."""
    stem = name.rpartition(".")[0]
    return next((file for file in (name, f"{stem}.jpg", f"{stem}.png") if file in there), name)


def _refused(file: Path, what: str, names: Sequence[str]) -> ConfigError:
    return ConfigError(f"{file} {what}: {first_few([*map(printable, names)])}")
