"""A replica of a network for experiments, and its intermediate tensors by name."""

import torch
from torch import Tensor, nn

from resnet_lab.config.checks import ConfigError
from resnet_lab.model.autoencoder import Autoencoder
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.model.stacks import Stack

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


def sections(net: ResNetV2) -> dict[str, nn.Module]:
    """Return stem (if there is one), stacks and head by name, in forward order, and those of a decoder."""
    found: dict[str, nn.Module] = {"stem": net.stem} if len(net.stem) else {}
    found |= {**_numbered("stacks", net.stacks), "head": net.head}
    if isinstance(net, Autoencoder):
        stacks = _numbered("decoder.stacks", net.decoder.stacks)
        found |= {"decoder.entry": net.decoder.entry, **stacks, "decoder.exit": net.decoder.exit}
    return found


def parts(net: ResNetV2) -> dict[str, nn.Module]:
    """Return the parts of a network: `sections`, with units, transitions, bridges and projections instead of stacks."""
    found: dict[str, nn.Module] = {}
    for name, section in sections(net).items():
        if not isinstance(section, Stack):
            found[name] = section
            continue
        for child_name, child in section.named_children():
            if isinstance(child, nn.ModuleList):  # units, and projections of sums
                found |= _numbered(f"{name}.{child_name}", child)
            elif child_name in ("entry", "bridge") and any(True for _ in child.parameters()):
                found[f"{name}.{child_name}"] = child
    return found


def layer_names(net: ResNetV2) -> list[str]:
    """Return the names of all layers with feature maps, in forward order."""
    names: list[str] = []
    for name, section in sections(net).items():
        if isinstance(section, Stack):
            names += _numbered(f"{name}.units", section.units)
        names.append(INNERMOST if name == "head" else name)
    return [name for name in names if name != "decoder.exit"]


def stages(net: ResNetV2) -> list[str]:
    """Return the names of the maps after the stem and each stack, and of the innermost ones."""
    return [name for name in layer_names(net) if ".units." not in name]


def _numbered(name: str, modules: nn.ModuleList) -> dict[str, nn.Module]:
    return {f"{name}.{i}": module for i, module in enumerate(modules)}


def intermediate(net: ResNetV2, images_BCHW: Tensor, name: str) -> Tensor:
    """Return the tensor `name` of `ResNetV2.steps`, and compute nothing after it. Raises ConfigError if unknown."""
    names: list[str] = []
    for passed, tensor in net.steps(images_BCHW):
        if passed == name:
            return tensor
        names.append(passed)
    raise ConfigError(f"unknown layer {name}; choose from {', '.join(names)}")
