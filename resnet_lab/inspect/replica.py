"""A network to experiment with in place of another, and its intermediate tensors by name."""

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
    """The names of all maps, in the order of the forward pass."""
    names = ["stem"]
    for s, num_units in enumerate(net.config.stack_units):
        names += [*(f"stacks.{s}.units.{u}" for u in range(num_units)), f"stacks.{s}"]
    return [*names, INNERMOST]


def stages(net: ResNetV2) -> list[str]:
    """The maps after stem and stacks, and the innermost ones."""
    return ["stem", *(f"stacks.{s}" for s in range(len(net.stacks))), INNERMOST]


def intermediate(net: ResNetV2, images_BCHW: Tensor, name: str) -> Tensor:
    """The tensor of this name in `ResNetV2.steps`; nothing after it is computed. Raises ConfigError without one."""
    names = []
    for passed, tensor in net.steps(images_BCHW):
        if passed == name:
            return tensor
        names.append(passed)
    raise ConfigError(f"there is no layer {name}; there are {', '.join(names)}")
