"""A folder of images, `root/train/<class>/*` and `root/test/<class>/*`, decoded once into an array on disk."""

import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pooch
from PIL import Image, ImageOps
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import class_folders
from resnet_lab.text import printable

_DECODER = 1  # part of the cache key: increase it when `decode_image` returns different pixels
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_CHUNK = 64  # images that a thread decodes per step of the progress bar


@dataclass(frozen=True, slots=True)
class Part:
    """The image files of `root/train` or `root/test`, sorted by class and name, and their classes (N,)."""

    folder: Path
    files: tuple[tuple[str, int, int], ...]  # path below the folder, size in bytes, modification time in ns
    labels: npt.NDArray[np.int64]


def scan(root: Path, num_classes: int | None) -> tuple[tuple[str, ...], Part, Part]:
    """Return class names (the sorted folders of `root/train`), training part and test part, without opening images.

    Class names that are not UTF-8 are made `printable`; paths keep the original names.
    Skips hidden files and files without the suffix of an image. Raises ConfigError when a folder is missing or has no
    images, when a test class is missing in the training part, or when there are not `num_classes` classes.
    """
    try:
        classes = class_folders(root, "train")
        if num_classes not in (None, len(classes)):
            raise ConfigError(
                f"data.num_classes={num_classes}, but {root / 'train'} has {len(classes)} class folders: "
                f"set data.num_classes={len(classes)}, or omit it to count them"
            )
        if foreign := sorted(set(class_folders(root, "test")) - set(classes)):
            named = ", ".join(map(printable, foreign))
            raise ConfigError(f"data.root={root}: {root / 'test'} has classes that train lacks: {named}")
        shown = tuple(map(printable, classes))
        return shown, _part(root, "train", classes), _part(root, "test", classes)
    except OSError as error:
        raise ConfigError(f"data.root={root}: cannot read {error.filename}: {error.strerror}") from error


def decode(part: Part, image_shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Return the images (N, C, H, W) of a part: a read-only memory map of a file in the user's cache folder.

    Images are rotated by their EXIF tag, converted to C channels (1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; 16-bit grey
    is scaled to 8 bits) and resized to (H, W) without keeping the aspect ratio. They are decoded once, and again when
    a file changes. Raises ConfigError when an image cannot be decoded, or the cache cannot be written.
    """
    cache = Path(pooch.os_cache("resnet_lab")) / "image_folder" / f"{_key(part, image_shape)}.npy"
    try:
        if not cache.exists():
            _write(cache, part, image_shape)
        return np.lib.format.open_memmap(cache, mode="r")
    except OSError as error:
        raise ConfigError(
            f"cannot cache the decoded images of {part.folder} in {cache.parent}: {error.strerror}. "
            "Set the environment variable XDG_CACHE_HOME to a folder with enough space"
        ) from error


def _part(root: Path, part: str, classes: tuple[str, ...]) -> Part:
    folder = root / part
    files: list[tuple[str, int, int]] = []
    labels: list[int] = []
    for name in class_folders(root, part):
        images = _images(folder / name)
        if not images:
            raise ConfigError(f"data.root={root}: {folder / name} has no images; add some or remove the folder")
        files += [(f"{name}/{image}", size, changed) for image, size, changed in images]
        labels += [classes.index(name)] * len(images)
    return Part(folder.resolve(), tuple(files), np.array(labels, np.int64))


def _images(folder: Path) -> list[tuple[str, int, int]]:
    """Return name, bytes and modification time of all files with a suffix that PIL can open, sorted."""
    Image.preinit()  # registers the common formats first, so PIL tries them first
    readable = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    with os.scandir(folder) as entries:
        return sorted(
            (entry.name, entry.stat().st_size, entry.stat().st_mtime_ns)
            for entry in entries
            if not entry.name.startswith(".") and Path(entry.name).suffix.lower() in readable and not entry.is_dir()
        )


def _key(part: Part, image_shape: tuple[int, int, int]) -> str:
    identity = [_DECODER, str(part.folder), part.files, image_shape]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def _write(cache: Path, part: Part, image_shape: tuple[int, int, int]) -> None:
    """Decode into a temporary memory map, which may be larger than memory; fsync, rename."""
    shape = (len(part.files), *image_shape)
    cache.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(cache.parent).free < math.prod(shape):  # a full disk would kill the process
        raise OSError(errno.ENOSPC, f"{math.prod(shape) / 1e9:.1f} GB are needed, but less is free")
    with tempfile.TemporaryDirectory(prefix=".", dir=cache.parent) as folder:
        temporary = Path(folder) / cache.name
        pixels = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        _decode_all(part, pixels)
        pixels.flush()
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(cache)


def _decode_all(part: Part, pixels: npt.NDArray[np.uint8]) -> None:
    def fill(start: int) -> None:
        for index, (name, _, _) in enumerate(part.files[start : start + _CHUNK], start):
            pixels[index] = decode_image(part.folder / name, pixels.shape[1:])

    console = Console(stderr=True)
    what = f"Decoding {escape(printable(str(part.folder)))}"
    starts = range(0, len(part.files), _CHUNK)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # PIL decodes without the GIL
        done = pool.map(fill, starts)
        for _ in track(done, what, total=len(starts), console=console, disable=not console.is_terminal):
            pass


def decode_image(path: Path, image_shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Decode one image file to (C, H, W) as `decode` describes. Raises ConfigError when that fails."""
    channels, height, width = image_shape
    try:
        with Image.open(path) as file:
            ImageOps.exif_transpose(file, in_place=True)
            image = _eight_bits(file)
            if "transparency" in image.info:  # otherwise PIL warns when it drops the alpha of a palette
                image = image.convert("RGBA")
            image = image.convert(_MODES[channels])
            if image.size != (width, height):
                image = image.resize((width, height), Image.Resampling.BILINEAR)  # PIL's filters are antialiased
            return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)
    except Exception as error:  # for a damaged file PIL raises anything from OSError to struct.error
        raise ConfigError(f"cannot decode {path}: {error}. Replace or remove it") from error


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits; PIL would clip it."""
    if image.mode == "F":
        raise ValueError("its pixels are floating-point, and their range is unknown")
    if not image.mode.startswith("I"):
        return image
    grey = np.asarray(image)
    if grey.min() < 0 or grey.max() > 65535:
        raise ValueError("its pixels do not fit into 16 bits")
    return Image.fromarray(np.round(grey / 257).astype(np.uint8))
