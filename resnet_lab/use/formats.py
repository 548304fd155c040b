"""The formats of exported networks: how each is written, and how a file becomes a function from pixels to outputs."""

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.export import Dim, ExportedProgram

from resnet_lab.config.checks import ConfigError
from resnet_lab.tasks.shared import KEY, to_safetensors
from resnet_lab.use.parts import Part
from resnet_lab.use.trained import Trained

PT2_FACTS = f"{KEY}.json"  # the name of the facts among the extra files of a pt2 archive

Facts = dict[str, Any]  # about the network and its images, to be stored as JSON
Function = Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]  # pixels or latent vectors (B, …) → outputs (B, …)


@dataclass(frozen=True, slots=True)
class Format:
    """How a network is written to a file, and how the file is used."""

    content: Callable[[Trained, Facts, Part], bytes]
    load: Callable[[Path], Function]


def to_onnx(trained: Trained, facts: Facts, part: Part) -> bytes:
    """Convert a network to ONNX. The exporter folds a BatchNorm that directly follows a convolution into it."""
    names: dict[str, Any] = {"input_names": [part.input], "output_names": [part.output_of(trained)]}
    with _exporting():
        program = torch.onnx.export(
            _traced(trained, part), dynamo=True, dynamic_shapes={part.input: {0: "batch"}}, verbose=False, **names
        )
    assert program
    program.model.metadata_props[KEY] = json.dumps(facts)
    return program.model_proto.SerializeToString()


def load_onnx(path: Path) -> Function:
    """Load an ONNX file into ONNX Runtime, on the CPU, with as many threads as torch uses."""
    import onnxruntime  # an optional dependency

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda inputs: session.run(None, {name: inputs})[0]


def to_pt2(trained: Trained, facts: Facts, part: Part) -> bytes:
    """Convert a network to a program for `torch.export.load`, which computes the same operations in the same order."""
    file = io.BytesIO()
    with _exporting():
        torch.export.save(_traced(trained, part), file, extra_files={PT2_FACTS: json.dumps(facts)})
    return file.getvalue()


def load_pt2(path: Path) -> Function:
    """Load a pt2 file onto the CPU. It contains a pickle: load only files that you trust."""
    with path.open("rb") as file:
        module = torch.export.load(file).module()
    return lambda inputs: module(torch.from_numpy(inputs)).numpy()


def load_safetensors(path: Path) -> Function:
    """Load a shared network onto the CPU."""
    trained = Trained.load(path)
    trained.net.cpu()
    return lambda pixels: trained.final(pixels).numpy()


FORMATS = {
    "onnx": Format(to_onnx, load_onnx),
    "pt2": Format(to_pt2, load_pt2),
    "safetensors": Format(lambda trained, facts, part: to_safetensors(trained.net, facts), load_safetensors),
}


def _traced(trained: Trained, part: Part) -> ExportedProgram:
    """Trace a part of a network for any number of images."""
    module = part.module(trained).eval().requires_grad_(False)
    data = trained.config.data
    pixels = torch.zeros(2, *data.image_shape, dtype=torch.uint8 if data.dims == 2 else torch.float32)
    inputs = part.inputs(trained, pixels).clone()  # no tensor of inference mode
    module(inputs)  # fills the cache of means and standard deviations, before tracing would fill it with placeholders
    return torch.export.export(module, (inputs,), dynamic_shapes={part.input: {0: Dim("batch")}})


@contextmanager
def _exporting() -> Iterator[None]:
    """Silence the exporter's log and warnings. Raises ConfigError if it fails, as it does for some units of plugins."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        first, *_ = str(error).strip().splitlines() or [""]
        raise ConfigError(f"torch cannot export this network: {type(error).__name__}: {first}") from error
    finally:
        logger.setLevel(level)
