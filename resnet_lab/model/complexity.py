"""Measure the cost of a network with one forward pass of one image on the `meta` device.

Nothing is derived from the configuration. A `TorchFunctionMode` sees every operation and tracks the longest path to
every tensor, so user-defined units are measured too. `warnings` lists operations with weights that it cannot count.
"""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

PRODUCTS = ("mul", "mul_", "multiply", "multiply_")
GATES = ("sigmoid", "sigmoid_", "hardsigmoid", "softmax")
POOLS = (F.max_pool1d, F.max_pool2d, F.avg_pool1d, F.avg_pool2d)
NORMS = (F.batch_norm, F.group_norm, F.layer_norm)  # which have weights, and cost little
# The positional parameters of layers, of poolings and of BatchNorm.
LAYER = ("input", "weight", "bias", "stride", "padding", "dilation")
TRANSPOSED = ("input", "weight", "bias", "stride")
POOLING = ("input", "kernel_size", "stride")
BATCH_NORM = ("input", "running_mean", "running_var", "weight", "bias", "training")


class Path(NamedTuple):
    """The longest path from the image to a tensor. Where a gate multiplies maps, the path follows the maps."""

    depth: int = 0  # weighted layers: convolutions and linear layers
    field: float = 1  # receptive field in pixels, along one side
    jump: float = 1  # pixels between neighbouring positions of the map
    gate: bool = False  # whether it comes from a sigmoid or softmax, with no weighted layer since

    def through_window(self, kernel: int, stride: int) -> "Path":
        """Apply a window: k positions extend the field by (k - 1) jumps, and the stride multiplies the jump."""
        return self._replace(field=self.field + (kernel - 1) * self.jump, jump=self.jump * stride)

    def enlarged(self, inputs: int, factor: int) -> "Path":
        """Apply an operation that enlarges maps, each of whose outputs depends on `inputs` neighbours along a side."""
        return self._replace(field=self.field + (inputs - 1) * self.jump, jump=self.jump / factor)


@dataclass(frozen=True)
class LayerCost:
    """The cost of one convolution or linear layer for one image."""

    name: str  # as in named_modules()
    kernel: int | None  # None for a linear layer
    stride: int | None
    out_shape: tuple[int, ...]  # (maps, height, width), (maps, length) or (width,)
    macs: int


@dataclass(frozen=True)
class Complexity:
    """Totals for one image; `layers` lists the layers in execution order."""

    depth: int  # weighted layers on the longest path of the maps; layers of a gate do not count
    params: int
    trainable_params: int
    macs: int  # multiply-accumulates of convolutions and linear layers
    activations: int  # elements written by convolutions and linear layers
    receptive_field: int  # pixels along one side that a position of the last map depends on
    layers: tuple[LayerCost, ...]
    uncounted: dict[str, tuple[str, ...]]  # other operations with weights, counted only in `params`: kind → names

    @property
    def flops(self) -> int:
        return 2 * self.macs

    def totals(self) -> dict[str, int]:
        names = ("depth", "params", "trainable_params", "macs", "flops", "activations", "receptive_field")
        return {name: getattr(self, name) for name in names}

    def warnings(self) -> list[str]:
        """Return one line for each kind of operation with weights that is not counted."""
        lines = []
        for kind, (first, *others) in self.uncounted.items():
            more = f" and {len(others)} more" if others else ""
            lines.append(f"depth, MACs, activations and receptive field leave out {kind} of {first}{more}")
        return lines


def complexity(net: nn.Module, image_shape: Sequence[int]) -> Complexity:
    """Measure a network for one image (channels, height, width) or series (channels, length), without changing it."""
    is_ready = not net.training and all((p.device.type, p.dtype) == ("meta", torch.float32) for p in net.parameters())
    on_meta = net if is_ready else copy.deepcopy(net).to("meta", torch.float32).eval()  # the copy takes a third of it
    image = torch.empty(1, *image_shape, device="meta")
    names: dict[Tensor, str] = {p: name.removesuffix(".weight") for name, p in on_meta.named_parameters()}
    with torch.no_grad(), _Tracer(names, image) as tracer:
        out = on_meta(image)
    end = tracer.longest(tracer.from_image(out))
    return Complexity(
        depth=end.depth,
        params=sum(p.numel() for p in net.parameters()),
        trainable_params=sum(p.numel() for p in net.parameters() if p.requires_grad),
        macs=sum(layer.macs for layer in tracer.layers),
        activations=sum(math.prod(layer.out_shape) for layer in tracer.layers),
        receptive_field=math.ceil(end.field),
        layers=tuple(tracer.layers),
        uncounted={kind: tuple(dict.fromkeys(names)) for kind, names in tracer.uncounted.items()},
    )


class _Tracer(TorchFunctionMode):
    """Track the path of every tensor computed from the image, and record every operation with weights.

    Tensors are dictionary keys by identity and are kept alive; on the `meta` device they take no memory.
    """

    def __init__(self, names: dict[Tensor, str], image: Tensor) -> None:
        super().__init__()
        self.names = names  # of weights, and of tensors computed from weights alone
        self.paths = {image: Path()}
        self.layers: list[LayerCost] = []
        self.uncounted: dict[str, list[str]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        maps = self.from_image((args, kwargs))
        weights = [tensor for tensor in _tensors((args, kwargs)) if tensor in self.names]
        result = _normalised(*args, **kwargs) if func is F.batch_norm else func(*args, **kwargs)
        kind = getattr(func, "__name__", str(func))
        if not maps:  # weights that are preprocessed, for example standardised, keep their name
            if weights:
                self.names |= dict.fromkeys(_tensors(result), self.names[weights[0]])
            return result
        if kind in PRODUCTS:  # a gate comes from a sigmoid or softmax, or is broadcast to the maps
            maps = [x for x in maps if not self.paths[x].gate and x.numel() == result.numel()] or maps
        path = self.longest(maps)
        if func in (F.conv1d, F.conv2d, F.linear):
            path = self._through_layer(path, result, **dict(zip(LAYER, args, strict=False)), **kwargs)
        elif func in (F.conv_transpose1d, F.conv_transpose2d):
            path = self._through_transposed(path, result, **dict(zip(TRANSPOSED, args, strict=False)), **kwargs)
        elif func in (F.interpolate, F.pixel_shuffle):
            inputs = 2 if kwargs.get("mode") in ("linear", "bilinear") else 1
            path = path.enlarged(inputs, result.shape[-1] // args[0].shape[-1])
        elif func in POOLS:
            given = dict(zip(POOLING, args, strict=False)) | kwargs
            kernel, stride = given["kernel_size"], given.get("stride")
            path = path.through_window(_first(kernel), _first(stride or kernel))
        elif kind in GATES:
            path = path._replace(gate=True)
        elif weights and func not in NORMS and not (kind in PRODUCTS and weights[0].numel() == 1):
            self.uncounted.setdefault(kind, []).append(self.names[weights[0]])
        self.paths |= dict.fromkeys(_tensors(result), path)
        return result

    def from_image(self, nested: Any) -> list[Tensor]:
        """Return the tensors that were computed from the image."""
        return [tensor for tensor in _tensors(nested) if tensor in self.paths]

    def longest(self, tensors: Iterable[Tensor]) -> Path:
        """Return the elementwise maximum of the paths to some tensors; a gate only if all of them are gates."""
        depths, fields, jumps, gates = zip(*(self.paths[tensor] for tensor in tensors), strict=True)
        return Path(max(depths), max(fields), max(jumps), all(gates))

    def _through_layer(
        self, path: Path, out: Tensor, weight: Tensor, stride: Any = 1, dilation: Any = 1, **_: Any
    ) -> Path:
        kernel = weight.shape[-1] if weight.ndim > 2 else None
        name = self.names.get(weight, "?")
        macs = out[0].numel() * weight[0].numel()  # each output element takes one MAC per element of weight[0]
        layer = LayerCost(name, kernel, _first(stride) if kernel else None, tuple(out.shape[1:]), macs)
        self.layers.append(layer)
        path = path.through_window(_first(dilation) * ((kernel or 1) - 1) + 1, _first(stride))
        return path._replace(depth=path.depth + 1, gate=False)

    def _through_transposed(
        self, path: Path, out: Tensor, input: Tensor, weight: Tensor, stride: Any, **_: Any
    ) -> Path:
        """Each element of the input takes one MAC per element of weight[0]; kernel / stride of them reach an output."""
        kernel, factor = weight.shape[-1], _first(stride)
        macs = input[0].numel() * weight[0].numel()
        self.layers.append(LayerCost(self.names.get(weight, "?"), kernel, factor, tuple(out.shape[1:]), macs))
        path = path.enlarged(math.ceil(kernel / factor), factor)
        return path._replace(depth=path.depth + 1, gate=False)


def _normalised(*args: Any, **kwargs: Any) -> Tensor:
    """Return what `F.batch_norm` returns on the `meta` device, where torch takes most of a trace for it."""
    given = dict(zip(BATCH_NORM, args, strict=False)) | kwargs
    maps: Tensor = given["input"]
    weights = [given[name] for name in BATCH_NORM[1:5] if given.get(name) is not None]
    if given.get("training") or any(weight.shape != maps.shape[1:2] for weight in weights):
        return F.batch_norm(*args, **kwargs)  # which may refuse them
    return torch.empty_like(maps)


def _first(value: int | Iterable[int]) -> int:
    return value if isinstance(value, int) else next(iter(value))


def _tensors(nested: Any) -> Iterator[Tensor]:
    if isinstance(nested, Tensor):
        yield nested
    elif isinstance(nested, (tuple, list, dict)):
        for item in nested.values() if isinstance(nested, dict) else nested:
            yield from _tensors(item)
