"""Runs on a GPU in name only: `python on_cuda.py <library> <folder> <overrides>` prints as JSON what they did."""

import ctypes
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

library, folder, *changes = sys.argv[1:]
ctypes.CDLL(library)  # before torch

from pytorch_lightning import Callback  # noqa: E402
from support.cuda import CudaMode, pretend  # noqa: E402
from support.lab import Lab  # noqa: E402
from torch import Tensor, ones  # noqa: E402

from resnet_lab.interrupts import RunFailed  # noqa: E402
from resnet_lab.training.step import Totals  # noqa: E402


class Cuts(Callback):
    """What crossed between the devices before the first epoch, in each of them, and after the last."""

    def __init__(self, mode: CudaMode) -> None:
        self.mode = mode
        self.logs: list[Counter[str]] = []

    def cut(self, *_: object) -> None:
        self.logs.append(self.mode.log)
        self.mode.log = Counter()

    on_train_epoch_start = on_train_end = cut


def crossed(mode: CudaMode, precision: str) -> list[Counter[str]]:
    mode.log, cuts = Counter(), Cuts(mode)
    lab = Lab(Path(folder) / precision)
    lab.run(*changes, "trainer=auto", f"trainer.precision={precision}", callbacks=[cuts])
    cuts.cut()
    return cuts.logs


def adds_between_devices(loss: Tensor) -> Tensor:
    return loss + ones(1)


def waits(loss: Tensor) -> Tensor:
    return loss if loss.item() > 0 else -loss


def copies_to_host(loss: Tensor) -> Tensor:
    loss.to("cpu")
    return loss


def failure(wrong: Any) -> str:
    """What a run says at its end whose losses pass through a function that is wrong."""
    add = Totals.add
    Totals.add = lambda self, loss, *others: add(self, wrong(loss), *others)  # type: ignore[method-assign]
    try:
        Lab(Path(folder) / wrong.__name__).run(*changes, "trainer=auto")
    except RunFailed as failed:
        return str(failed)
    finally:
        Totals.add = add  # type: ignore[method-assign]
    return ""


pretend()
with CudaMode() as mode:
    found = {
        "crossed": {precision: crossed(mode, precision) for precision in ("32", "bf16")},
        "failures": {wrong.__name__: failure(wrong) for wrong in (adds_between_devices, waits, copies_to_host)},
    }
print(json.dumps(found))
