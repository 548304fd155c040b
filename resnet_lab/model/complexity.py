"""What a network costs, measured on the network itself: one forward pass of one image on the `meta` device.

Nothing is derived from the configuration. A function mode sees every operation, and every tensor carries the longest
path that led to it, so that a network of another kind is measured just as well.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class Path(NamedTuple):
    """The longest path from the image to a tensor."""

    depth: int = 0  # weighted layers: convolutions and linear layers
    field: int = 1  # receptive field in pixels, along one side
    jump: int = 1  # pixels between neighbours of the map


@dataclass(frozen=True)
class LayerCost:
    """One convolution or linear layer, for one image."""

    name: str  # as in named_modules()
    kernel: int | None  # None for a linear layer
    stride: int | None
    out_shape: tuple[int, ...]  # (maps, height, width) or (width,)
    macs: int


@dataclass(frozen=True)
class Complexity:
    """Totals for one image; `layers` has them one by one, in the order in which they run."""

    depth: int  # weighted layers on the longest path
    params: int
    trainable_params: int
    macs: int  # multiply-accumulates of convolutions and linear layers
    activations: int  # elements written by convolutions and linear layers
    receptive_field: int  # pixels along one side that a position of the last map can see
    layers: tuple[LayerCost, ...]

    @property
    def flops(self) -> int:
        """Floating-point operations, two for each multiply-accumulate."""
        return 2 * self.macs

    def totals(self) -> dict[str, int]:
        """The totals by name."""
        names = ("depth", "params", "trainable_params", "macs", "flops", "activations", "receptive_field")
        return {name: getattr(self, name) for name in names}


def complexity(net: nn.Module, image_shape: tuple[int, int, int]) -> Complexity:
    """Measure a network for one image of (channels, height, width); the network is left as it is."""
    shadow = copy.deepcopy(net).to("meta").eval()
    layer_names = {id(module.weight): name for name, module in shadow.named_modules() if hasattr(module, "weight")}
    with torch.no_grad(), _Tracer(layer_names) as tracer:
        shadow(torch.empty(1, *image_shape, device="meta"))
    return Complexity(
        depth=tracer.longest.depth,
        params=sum(p.numel() for p in net.parameters()),
        trainable_params=sum(p.numel() for p in net.parameters() if p.requires_grad),
        macs=sum(layer.macs for layer in tracer.layers),
        activations=sum(math.prod(layer.out_shape) for layer in tracer.layers),
        receptive_field=tracer.longest.field,
        layers=tuple(tracer.layers),
    )


class _Tracer(TorchFunctionMode):
    """Follows the path of every tensor and records every layer with weights."""

    def __init__(self, layer_names: dict[int, str]) -> None:
        super().__init__()
        self.layer_names = layer_names
        self.layers: list[LayerCost] = []
        self.longest = Path()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        before = [_path(tensor) for tensor in _tensors((args, kwargs))]
        result = func(*args, **kwargs)
        path = Path(*(max(lengths) for lengths in zip(*before, strict=True))) if before else Path()
        if func in (F.conv2d, F.linear):
            layer = self._measure(func, result, *args)
            self.layers.append(layer)
            path = _through_window(path, layer.kernel or 1, layer.stride or 1)._replace(depth=path.depth + 1)
        elif func in (F.max_pool2d, F.avg_pool2d):
            path = _through_window(path, *_window(func, *args, **kwargs))
        for tensor in _tensors(result):
            tensor.lab_path = path  # type: ignore[attr-defined]
        self.longest = Path(*map(max, self.longest, path))
        return result

    def _measure(self, func: Callable[..., Any], out: Tensor, x: Tensor, weight: Tensor, *settings: Any) -> LayerCost:
        macs_per_output = weight[0].numel()
        return LayerCost(
            name=self.layer_names.get(id(weight), "?"),
            kernel=weight.shape[-1] if func is F.conv2d else None,
            stride=_first(settings[1]) if func is F.conv2d else None,
            out_shape=tuple(out.shape[1:]),
            macs=out[0].numel() * macs_per_output,
        )


def _window(
    func: Callable[..., Any], x: Tensor, kernel_size: Any, stride: Any = None, *_: Any, **__: Any
) -> tuple[int, int]:
    return _first(kernel_size), _first(stride if stride else kernel_size)


def _through_window(path: Path, kernel: int, stride: int) -> Path:
    """A window of k pixels sees (k - 1) more neighbours, each a jump apart; its stride multiplies the jump."""
    return path._replace(field=path.field + (kernel - 1) * path.jump, jump=path.jump * stride)


def _path(tensor: Tensor) -> Path:
    return getattr(tensor, "lab_path", Path())


def _first(value: int | Iterable[int]) -> int:
    return value if isinstance(value, int) else next(iter(value))


def _tensors(nested: Any) -> Iterator[Tensor]:
    if isinstance(nested, Tensor):
        yield nested
    elif isinstance(nested, (tuple, list)):
        for item in nested:
            yield from _tensors(item)
    elif isinstance(nested, dict):
        yield from _tensors(tuple(nested.values()))
