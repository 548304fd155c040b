"""Walk through folders of images: regular files, what cannot be opened, and what is hidden."""

import mimetypes
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from resnet_lab.config.checks import ConfigError

Facts = tuple[int, int, int]  # bytes, time of the last change of the content and of the entry in ns

HIDDEN = "hidden"
NO_FACTS: Facts = (0, 0, 0)
JUNK = ("thumbs.db", "desktop.ini", ".ds_store")  # made by file managers


@contextmanager
def reading(root: Path) -> Iterator[None]:
    """Turn errors of the file system into ConfigError, which names the setting and the folder or file."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"data.root={root}: cannot read {error.filename}: {error.strerror}") from error


def walk(folder: str, prefix: str = "", left: tuple[Path, ...] = ()) -> Iterator[tuple[str, Facts, str]]:
    """Yield name, facts and "" for every file below a folder; of what cannot be used, the reason instead of facts.

    Links are followed, but not to a folder above. `left` are the folders where a link was followed: those above are
    above this one, too. Raises OSError.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            if _is_junk(entry.name):
                continue
            if not is_visible(entry.name):
                yield f"{name}/" if _is_dir(entry) else name, NO_FACTS, HIDDEN
            elif _is_dir(entry):
                way = (*left, Path(folder).resolve()) if entry.is_symlink() else left
                if not (entry.is_symlink() and _is_above(entry.path, way)):
                    yield from walk(entry.path, f"{name}/", way)
            else:
                yield name, *_facts(entry)


def is_visible(name: str) -> bool:
    """Return whether a file or folder is shown to users and not made by a file manager."""
    return not name.startswith(".") and not _is_junk(name)


def _is_junk(name: str) -> bool:
    return name.lower() in JUNK or name.startswith("._")


def is_text(name: str) -> bool:
    """Return whether a file name is that of text, as of a description next to an image."""
    kind = mimetypes.guess_type(name)[0] or ""
    return kind.startswith("text/") or kind in ("application/json", "application/xml")


def _is_dir(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _facts(entry: "os.DirEntry[str]") -> tuple[Facts, str]:
    try:
        found = entry.stat()
    except OSError:  # it leads nowhere, or in circles
        return NO_FACTS, "broken links"
    if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for ever
        return NO_FACTS, "not regular files"
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns), ""


def _is_above(link: str, folders: Sequence[Path]) -> bool:
    target = Path(link).resolve()
    return any(folder.is_relative_to(target) for folder in folders)
