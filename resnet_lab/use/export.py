"""Write a trained network to one file, which is checked on images before it gets its name, and its model card."""

import hashlib
import platform
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig
from resnet_lab.data import known
from resnet_lab.data.files import local
from resnet_lab.data.sources import read
from resnet_lab.rundir.directory import RunDirectory, refuse_unwritable_file
from resnet_lab.rundir.files import write_atomically
from resnet_lab.rundir.identity import identity
from resnet_lab.tasks.shared import portable, read_shared, shared_file
from resnet_lab.text import printable
from resnet_lab.use.card import card
from resnet_lab.use.formats import FORMATS, Facts, Function
from resnet_lab.use.parts import PARTS, Part, part_of
from resnet_lab.use.trained import Trained
from resnet_lab.version import __version__

CHECKED = 32  # images
TOLERANCE = 1e-4  # of a probability; of other outputs relative to the largest, if that is above 1


def export(run: Path, to: str, out: Path | None = None, checkpoint: str = "last", part: str = "whole") -> str:
    """Write a network, or a part of it, in a format; return a line that says what was written and how it was checked.

    Raises ConfigError when the run cannot be read, the network cannot be exported, or the file's outputs differ, and
    OSError when the file cannot be written.
    """
    out = out or _default_path(run, to, part)
    refuse_unwritable_file(out, "--out")
    trained = Trained.load(run, checkpoint)
    trained.net.cpu()
    chosen = part_of(trained, part)
    facts = facts_of(run, trained, checkpoint)
    content = FORMATS[to].content(trained, facts, chosen)
    pixels, kind = _images(trained.config.data)
    differences = []

    def write(file: IO[bytes]) -> None:
        file.write(content)
        file.flush()
        differences.append(difference(FORMATS[to].load(Path(file.name)), trained, pixels, chosen))

    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, write)
    page = card(trained, to, out, part, facts, None if shared_file(run) else RunDirectory(run))
    described = _write_card(out.with_name(f"{out.name}.md"), signed(page))
    what = chosen.output_of(trained)
    if what == "pixels" and trained.config.data.dims == 1:
        what = "values"
    size = f"{len(content) / 1e6:.1f} MB"
    checked = f"{what} for {len(pixels)} {kind} differ by at most {differences[0]:.1g}"
    return f"written: {out} ({size}) and its card, {described}; {checked}"


def signed(page: bytes) -> bytes:
    """Return a card with a digest of itself as its last line, by which a card that somebody has edited is noticed."""
    return page + f"<!-- digest of the lines above: {hashlib.sha256(page).hexdigest()[:16]} -->\n".encode()


def _write_card(path: Path, card: bytes) -> str:
    """Write the card, but next to a page of that name that is not as export wrote it; return its name, in words."""
    kept = path.exists() and (content := path.read_bytes()) != signed(b"".join(content.splitlines(keepends=True)[:-1]))
    place = path.with_name(f"{path.name}.new") if kept else path
    write_atomically(place, lambda file: file.write(card))
    return f"{place.name} ({path.name} was not written by export, or edited since, and is kept)" if kept else place.name


def _default_path(run: Path, to: str, part: str) -> Path:
    file, name = shared_file(run), "network" if part == "whole" else part
    if file:
        return file.with_suffix(f".{to}") if part == "whole" else file.with_name(f"{file.stem}-{part}.{to}")
    return run / f"{name}.{to}"


def facts_of(run: Path, trained: Trained, checkpoint: str) -> Facts:
    """Return what the file says about the network, its images and the run."""
    if file := shared_file(run):
        shared = read_shared(file)
        origin = {"run": shared.run, "identity": shared.identity, "checkpoint": shared.checkpoint}
    else:
        name = printable("/".join(run.resolve().parts[-3:]))  # name, settings and seed
        origin = {"run": name, "identity": identity(RunDirectory(run).stored_config()), "checkpoint": checkpoint}
    described = trained.decoding.described()
    return origin | {
        "classes": list(trained.classes),
        **{name: described[name] for name in ("image_shape", "crop", "fit", "background")},
        "range": trained.decoding.range,
        "versions": {
            "resnet-lab": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
        "config": portable(trained.config),
    }


def _images(data: DataConfig) -> tuple[npt.NDArray[Any], str]:
    """Return images (B, C, H, W), or series, and their kind: of the test part, or random ones. Downloads nothing."""
    files = known.FILES.get(data.name, ())
    try:
        if all(local(data.folder, file, known.SYSTEM.get(data.name, ()))[0] for file in files):
            source = read(data)
            rows = source.rows.get("test", np.arange(len(source.test)))[:CHECKED]
            pixels = source.test.pixels[rows]
            kind = "test series" if data.dims == 1 else "test images"
            return np.resize(pixels, (CHECKED, *data.image_shape)), kind  # fewer are repeated
    except (ConfigError, OSError):
        pass  # the images are not on this machine any more
    rng, shape = np.random.default_rng(0), (CHECKED, *data.image_shape)
    if data.dims == 1:
        return rng.standard_normal(shape, dtype=np.float32), "random series"
    return rng.integers(0, 256, shape, dtype=np.uint8), "random images"


def difference(function: Function, trained: Trained, pixels: npt.NDArray[Any], part: Part = PARTS["whole"]) -> float:
    """Return the largest difference between a function's outputs and the network's, in the unit of TOLERANCE.

    Raises ConfigError if it is above TOLERANCE.
    """
    inputs = part.inputs(trained, torch.from_numpy(pixels))
    expected = part.expected(trained, inputs).numpy()
    outputs = np.concatenate([function(inputs[:1].numpy()), function(inputs[1:].numpy())])  # one image, and several
    largest = float(np.abs(outputs - expected).max() / max(1.0, np.abs(expected).max()))
    if not largest <= TOLERANCE:  # also refuses NaN
        raise ConfigError(f"the exported network differs from the trained one by {largest:.2g}: nothing is written")
    return largest
