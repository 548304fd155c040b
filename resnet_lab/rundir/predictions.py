"""predictions.npz: what a run's networks said of each test and validation image. NumPy alone reads it.

Its arrays are named after the part (`test` or `val`), the weights (`last` or `best`) and the field of `Predictions`, as
in `test_last_predicted`; `index` and `label` are the same for all weights: `test_index`.
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from resnet_lab.rundir.files import write_atomically
from resnet_lab.rundir.safe import Unreadable, refuse_irregular

PARTS = ("test", "val")
SHARED = ("index", "label")  # by all weights
KINDS = {"index": "iu", "label": "iu", "predicted": "iu", "classes": "iu", "probabilities": "f", "penalty": "f"}
MAX_ARRAY = 2**30  # bytes of an array, unpacked: a few bytes of a hostile file can stand for a thousand times as many

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What a network said of the N images of a part, in the order of the data set."""

    index: Integers  # (N,): rows of the data set's test images, or of its training images for the validation part
    # True classes (N,), or attributes (N, K) as 0 and 1; None if the task has neither, like the next three.
    label: Integers | None = None
    predicted: Integers | None = None  # the same: the network's own choice, before probabilities are rounded
    probabilities: npt.NDArray[np.float32] | None = None  # (N, K), rounded to float16; None if they were left out
    classes: Integers | None = None  # (N, K): what they are the probabilities of; None: of all, in label order
    penalty: npt.NDArray[np.float32] | None = None  # (N,): what the score averages, if there is no label

    @property
    def wrong(self) -> npt.NDArray[np.bool_] | None:
        """Which predictions are wrong (N,) or (N, K); the error in result.json is 100 times the mean."""
        return None if self.predicted is None else self.predicted != self.label

    @property
    def each(self) -> npt.NDArray[np.float64] | None:
        """What the score averages, of each image (N,): its error in percent, or its penalty."""
        if self.wrong is not None:
            return 100.0 * self.wrong.reshape(len(self.index), -1).mean(axis=1)
        return None if self.penalty is None else self.penalty.astype(np.float64)


def write_predictions(path: Path, found: Mapping[tuple[str, str], Predictions]) -> None:
    """Write predictions by part (test, val) and weights (last, best), integers in the smallest type that holds them."""
    arrays = {
        _key(part, when, item.name): _compact(values)
        for (part, when), predictions in found.items()
        for item in fields(predictions)
        if (values := getattr(predictions, item.name)) is not None
    }
    write_atomically(path, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))


def read_predictions(path: Path, part: str, when: str) -> Predictions:
    """Read the predictions of a run's `last` or `best` weights for its `test` or `val` part.

    Raises Unreadable if the file is missing, damaged, or holds none of them.
    """
    refuse_irregular(path, largest=MAX_ARRAY)
    try:
        with zipfile.ZipFile(path) as packed:
            sizes = {entry.filename: entry.file_size for entry in packed.infolist()}
        if max(sizes.values(), default=0) > MAX_ARRAY:
            raise ValueError(f"an array is larger than {MAX_ARRAY:,} bytes")
        keys = {name: _key(part, when, name) for name in KINDS}
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[key] for name, key in keys.items() if f"{key}.npy" in sizes}
    except Exception as error:  # whatever zipfile, zlib and NumPy make of arbitrary bytes
        raise Unreadable(f"{path.name} is damaged: {' '.join(str(error).split()):.200}") from error
    if found.keys() <= set(SHARED):
        raise Unreadable(f"{path.name} holds no predictions of the {when} weights for the {part} part")
    if flaw := _flaw(found):
        raise Unreadable(f"{path.name} is damaged: {flaw}")
    unpacked = {"iu": np.int64, "f": np.float32}
    return Predictions(**{name: values.astype(unpacked[KINDS[name]]) for name, values in found.items()})


def _key(part: str, when: str, name: str) -> str:
    return f"{part}_{name}" if name in SHARED else f"{part}_{when}_{name}"


def _compact(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if values.dtype.kind != "i":
        return values
    return values.astype(np.result_type(*(np.min_scalar_type(value) for value in (values.min(), values.max()))))


def _flaw(found: Mapping[str, npt.NDArray[Any]]) -> str:
    """Return what makes arrays inconsistent; empty if nothing does."""
    if "index" not in found or ("predicted" in found) != ("label" in found):
        return "an array is missing"
    labels = found.get("label", found["index"])
    for name, values in found.items():
        dimensions = {"label": labels.ndim, "predicted": labels.ndim, "probabilities": 2, "classes": 2}.get(name, 1)
        if values.dtype.kind not in KINDS[name] or values.ndim != dimensions or len(values) != len(found["index"]):
            return f"{name} is {values.dtype} {values.shape}"
        if not np.isfinite(values).all():
            return f"{name} is not finite"
    if labels.ndim not in (1, 2) or found.get("predicted", labels).shape != labels.shape:
        return "label and predicted do not match"
    if "classes" in found and found["classes"].shape != found.get("probabilities", found["index"]).shape:
        return "classes and probabilities do not match"
    return ""
