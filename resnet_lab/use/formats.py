"""The formats of exported networks: how each is written, and how a file becomes a function from pixels to outputs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from resnet_lab.tasks.shared import to_safetensors
from resnet_lab.use.trained import Trained

Facts = dict[str, Any]  # about the network and its images, to be stored as JSON
Function = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]  # pixels (B, C, H, W) → outputs (B, …)


@dataclass(frozen=True, slots=True)
class Format:
    """How a network is written to a file, and how the file is used."""

    content: Callable[[Trained, Facts], bytes]
    load: Callable[[Path], Function]


def _safetensors(trained: Trained, facts: Facts) -> bytes:
    return to_safetensors(trained.net, facts)


def load_safetensors(path: Path) -> Function:
    """Load a shared network, and use it on the CPU."""
    trained = Trained.load(path)
    trained.net.cpu()
    return lambda pixels: trained.final(pixels).numpy()


FORMATS = {"safetensors": Format(_safetensors, load_safetensors)}
