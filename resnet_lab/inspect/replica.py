"""A replica of a network for experiments, and its intermediate tensors by name."""

import torch
from torch import Tensor, nn

from resnet_lab.config.checks import ConfigError
from resnet_lab.model.resnet import ResNetV2

INNERMOST = "innermost"  # the maps that the head averages, the last ones with spatial positions


def replica(net: ResNetV2) -> ResNetV2:
    """Return a second network in eval mode that shares the weights (no copy) and requires no gradients.

    It has its own BatchNorm statistics, modes, hooks and gradients, so that nothing done to it changes the original
    network, even if an exception is raised. Draws no random numbers.
    """
    with torch.device("meta"):
        other = type(net)(net.config)
    buffers = {name for name, _ in net.named_buffers()}
    state = {name: tensor.clone() if name in buffers else tensor for name, tensor in net.state_dict().items()}
    other.load_state_dict(state, assign=True)
    return other.eval().requires_grad_(False)


def parts(net: ResNetV2) -> dict[str, nn.Module]:
    """Return the parts of a network by name, in forward order: stem, units, bridges of stacks if any, head."""
    found: dict[str, nn.Module] = {"stem": net.stem}
    for s, stack in enumerate(net.stacks):
        found |= {f"stacks.{s}.units.{u}": unit for u, unit in enumerate(stack.units)}  # type: ignore[arg-type]
        if isinstance(stack.bridge, nn.Module):
            found[f"stacks.{s}.bridge"] = stack.bridge
    return found | {"head": net.head}


def layer_names(net: ResNetV2) -> list[str]:
    """Return the names of all layers with feature maps, in forward order."""
    names = ["stem"]
    for s, num_units in enumerate(net.config.stack_units):
        names += [*(f"stacks.{s}.units.{u}" for u in range(num_units)), f"stacks.{s}"]
    return [*names, INNERMOST]


def stages(net: ResNetV2) -> list[str]:
    """Return the names of the maps after the stem and each stack, and of the innermost ones."""
    return ["stem", *(f"stacks.{s}" for s in range(len(net.stacks))), INNERMOST]


def intermediate(net: ResNetV2, images_BCHW: Tensor, name: str) -> Tensor:
    """Return the tensor `name` of `ResNetV2.steps`, and compute nothing after it. Raises ConfigError if unknown."""
    names = []
    for passed, tensor in net.steps(images_BCHW):
        if passed == name:
            return tensor
        names.append(passed)
    raise ConfigError(f"unknown layer {name}; choose from {', '.join(names)}")
