"""A network to experiment with in place of another, and its intermediate tensors by name."""

from contextlib import suppress

import torch
from torch import Tensor, nn

from resnet_lab.config.checks import ConfigError
from resnet_lab.model.resnet import ResNetV2

INNERMOST = "innermost"  # the maps that the head averages: the last ones that have a position


def replica(net: ResNetV2) -> ResNetV2:
    """A second network with the same weights, not copied, that asks for no gradients, in eval mode.

    Its BatchNorm statistics, modes, hooks and gradients are its own, so that whatever is done to it, and however that
    ends, the network itself stays as it is. Draws no random numbers.
    """
    with torch.device("meta"):
        other = type(net)(net.config)
    buffers = {name for name, _ in net.named_buffers()}
    state = {name: tensor.clone() if name in buffers else tensor for name, tensor in net.state_dict().items()}
    other.load_state_dict(state, assign=True)
    return other.eval().requires_grad_(False)


def parts(net: ResNetV2) -> dict[str, nn.Module]:
    """What a network is made of, by name, from the image on: stem, units, bridges of stacks if any, head."""
    found: dict[str, nn.Module] = {"stem": net.stem}
    for s, stack in enumerate(net.stacks):
        found |= {f"stacks.{s}.units.{u}": unit for u, unit in enumerate(stack.units)}  # type: ignore[arg-type]
        if isinstance(stack.bridge, nn.Module):
            found[f"stacks.{s}.bridge"] = stack.bridge
    return found | {"head": net.head}


def layer_names(net: ResNetV2) -> list[str]:
    """The names of all maps that `tensor_at` knows, from the image on."""
    names = ["stem"]
    for s, stack in enumerate(net.stacks):
        names += [f"stacks.{s}.units.{u}" for u in range(len(stack.units))]  # type: ignore[arg-type]
        names.append(f"stacks.{s}")
    return [*names, INNERMOST]


def stages(net: ResNetV2) -> list[str]:
    """The maps after stem and stacks, and the innermost ones."""
    return ["stem", *(f"stacks.{s}" for s in range(len(net.stacks))), INNERMOST]


def intermediate(net: ResNetV2, images_BCHW: Tensor, name: str) -> Tensor:
    """The intermediate tensor of a name of `ResNetV2.intermediates`, or the `innermost` maps; nothing after it is run.

    Raises ConfigError when there is no such tensor.
    """
    last = f"stacks.{len(net.stacks) - 1}"
    intermediates = _Until(last if name == INNERMOST else name)
    with suppress(_Reached):
        intermediates["logits"] = net.forward(images_BCHW, intermediates)
    if intermediates.wanted not in intermediates:
        raise ConfigError(f"there is no layer {name}; there are {', '.join([*intermediates, INNERMOST])}")
    if name != INNERMOST:
        return intermediates[name]
    return net.head.activation(intermediates[last])


class _Reached(Exception):
    """The forward pass has come far enough."""


class _Until(dict[str, Tensor]):
    """Taps that end the forward pass when they have the wanted tensor."""

    def __init__(self, wanted: str) -> None:
        super().__init__()
        self.wanted = wanted

    def __setitem__(self, name: str, tensor: Tensor) -> None:
        super().__setitem__(name, tensor)
        if name == self.wanted:
            raise _Reached
