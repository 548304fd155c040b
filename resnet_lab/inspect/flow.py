"""Signal flow: activations forward, gradients backward, and what a unit's branch adds to its input."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from resnet_lab.inspect.replica import parts, replica
from resnet_lab.model.branch import StochasticDepth
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.model.units import ResidualUnit
from resnet_lab.tasks.base import Task

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Flow:
    """One number per part (P,), in forward order; NaN where a part has none. Norms are Euclidean."""

    names: tuple[str, ...]  # as in `parts`
    gradient: Numbers  # norm of the gradient of the mean loss w.r.t. the part's parameters
    signal: Numbers  # norm of the gradient of the mean loss w.r.t. the part's output
    share: Numbers  # ‖F(x)‖ / ‖x‖ for a unit with input x
    mean: Numbers  # of the part's output, over images, maps and positions
    std: Numbers  # of the part's output, likewise
    dead: Numbers  # percentage of the maps after the part's ReLUs that are 0 everywhere in all images
    weight: Numbers  # norm of the weights of convolutions and linear layers


QUANTITIES = ("gradient", "signal", "share", "mean", "std", "dead", "weight")


class FlowProbe:
    """Measures a network in its current state, at every call. Create it once: hooking every part takes a while.

    The hooks are on a replica that shares the weights and normalises by the mini-batch, as in training, but in which
    stochastic depth keeps all branches. Gradients are those of the task's loss. With `whole=False`, only `gradient` and
    `share` are measured, in half the time.
    """

    def __init__(self, net: ResNetV2, task: Task, whole: bool = True) -> None:
        self.replica, self.task = replica(net).train().requires_grad_(), task
        for module in self.replica.modules():
            if isinstance(module, StochasticDepth):
                module.eval()  # a dropped branch would look dead
        self.parts, self.whole = parts(self.replica), whole
        self.parameters = {name: list(part.parameters()) for name, part in self.parts.items()}
        self.found: dict[str, dict[str, Tensor]] = {}
        self.outputs: dict[str, Tensor] = {}
        for name, part in self.parts.items():
            if isinstance(part, ResidualUnit):
                part.register_forward_pre_hook(partial(self._measure_input, name, "input", 0))
                part.shortcut.register_forward_pre_hook(partial(self._measure_input, name, "residual", 1))
            if whole:
                part.register_forward_hook(partial(self._output, name))
                for relu in (module for module in part.modules() if isinstance(module, nn.ReLU)):
                    relu.register_forward_hook(partial(self._count_dead, name))

    def __call__(self, images_BCHW: Tensor, labels: Tensor | None = None) -> Flow:
        """Run one mini-batch forward and, given labels, backward. Synchronises with the device once, at the end."""
        self.found = {name: {} for name in self.parts}
        with _fixed_seed(images_BCHW.device), torch.enable_grad():
            outputs = self.replica(images_BCHW)
            if labels is not None:
                self._gradients(self.task.loss(outputs, self.task.targets(images_BCHW, labels)))
        for name, parameters in self.parameters.items() if self.whole else ():
            if weights := [p.detach() for p in parameters if p.ndim > 1]:
                self.found[name]["weight"] = get_total_norm(weights)
        self.outputs = {}
        return self._fetched()

    def _output(self, name: str, part: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        self.outputs[name] = out
        std, mean = torch.std_mean(out.detach(), correction=0)
        self.found[name] |= {"mean": mean, "std": std}

    def _measure_input(self, name: str, kind: str, number: int, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.found[name][kind] = torch.linalg.vector_norm(inputs[number].detach())

    def _count_dead(self, name: str, relu: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        others = [dim for dim in range(out.ndim) if dim != 1]
        dead = (out.detach().amax(others) <= 0).sum()
        for what, number in (("dead", dead), ("maps", torch.full((), out.shape[1], device=out.device))):
            self.found[name][what] = self.found[name].get(what, torch.zeros_like(number)) + number

    def _gradients(self, loss: Tensor) -> None:
        flat = [parameter for group in self.parameters.values() for parameter in group]
        outputs = list(self.outputs.values())
        gradients = iter(torch.autograd.grad(loss, [*flat, *outputs]))
        for name, group in self.parameters.items():
            own = [next(gradients) for _ in group]
            if own:
                self.found[name]["gradient"] = get_total_norm(own)
        for name, gradient in zip(self.outputs, gradients, strict=True):
            self.found[name]["signal"] = torch.linalg.vector_norm(gradient)

    def _fetched(self) -> Flow:
        places = [(part, kind) for part, numbers in self.found.items() for kind in numbers]
        values = torch.stack([self.found[part][kind].float() for part, kind in places]).tolist()
        known = dict(zip(places, values, strict=True))

        def column(kind: str) -> Numbers:
            return np.array([known.get((part, kind), np.nan) for part in self.found])

        columns = {quantity: column(quantity) for quantity in QUANTITIES}
        with np.errstate(divide="ignore", invalid="ignore"):
            columns |= {"share": column("residual") / column("input"), "dead": 100 * column("dead") / column("maps")}
        return Flow(tuple(self.found), **columns)


@contextmanager
def _fixed_seed(device: torch.device) -> Iterator[None]:
    """Make dropout draw the same numbers every time, then restore the generator for training.

    `torch.manual_seed` would seed all device types, which takes as long as a pass through a small network.
    """
    generator = torch.cuda.default_generators[device.index or 0] if device.type == "cuda" else torch.default_generator
    state = generator.get_state()
    generator.manual_seed(0)
    try:
        yield
    finally:
        generator.set_state(state)


def flow(net: ResNetV2, task: Task, images_BCHW: Tensor, labels: Tensor | None = None) -> Flow:
    """Measure the signal flow of one mini-batch, normalised as in training."""
    return FlowProbe(net, task)(images_BCHW, labels)
