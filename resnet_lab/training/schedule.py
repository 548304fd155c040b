"""The learning rate and the optimiser that an `OptimConfig` describes."""

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, assert_never

import torch
from torch import Tensor, nn

from resnet_lab.config.enums import Optimizer, Schedule
from resnet_lab.config.optim import OptimConfig

# What an optimiser keeps for each parameter: tensors of its shape, but for `step`, a single number.
STATES = {
    Optimizer.sgd: {"momentum_buffer"},
    Optimizer.adam: {"step", "exp_avg", "exp_avg_sq"},
    Optimizer.adamw: {"step", "exp_avg", "exp_avg_sq"},
}


def learning_rate(optim: OptimConfig, step: int, total_steps: int) -> float:
    """Return the learning rate of iteration `step` (from 0) of `total_steps`. It has no state, so resuming is exact.

    `step` is the schedule of arXiv:1512.03385, section 4.2: constant between milestones, after a warm-up at a constant
    rate. `cosine` decays from lr after the warm-up to 0 at the end (arXiv:1608.03983, without restarts).
    """
    if step < optim.warmup_iterations:
        return optim.warmup_lr
    match optim.schedule:
        case Schedule.step:
            factor = 1.0
            for milestone, lr_factor in sorted(zip(optim.milestones, optim.lr_factors, strict=True)):
                if step >= (milestone * total_steps if milestone < 1 else milestone):
                    factor = lr_factor
            return optim.lr * factor
        case Schedule.cosine:
            progress = (step - optim.warmup_iterations) / max(1, total_steps - optim.warmup_iterations)
            return optim.lr * 0.5 * (1 + math.cos(math.pi * progress))
        case Schedule.constant:
            return optim.lr
        case _:
            assert_never(optim.schedule)


def build_optimizer(
    optim: OptimConfig, net: nn.Module, lr_factors: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """Build the optimiser for all parameters of the network that are not frozen, with fused kernels.

    `lr_factors` multiply the learning rate of the parameters of these names.
    """
    groups = _groups(optim, net, lr_factors or {})
    lr, decay, betas = optim.lr, optim.weight_decay, (optim.betas[0], optim.betas[1])
    match optim.name:
        case Optimizer.sgd:
            momentum, nesterov = optim.momentum, optim.nesterov
            return torch.optim.SGD(groups, lr, momentum, weight_decay=decay, nesterov=nesterov, fused=True)
        case Optimizer.adam:
            return torch.optim.Adam(groups, lr, betas, weight_decay=decay, fused=True)
        case Optimizer.adamw:
            return torch.optim.AdamW(groups, lr, betas, weight_decay=decay, fused=True)
        case _:
            assert_never(optim.name)


def _groups(optim: OptimConfig, net: nn.Module, lr_factors: Mapping[str, float]) -> list[dict[str, Any]]:
    """Group parameters by the factor of their learning rate and by whether they decay, the largest factor first."""
    members: defaultdict[tuple[float, bool], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            decays = optim.decay_all or parameter.ndim > 1  # vectors are BatchNorm's parameters and biases
            members[lr_factors.get(name, 1.0), decays].append(parameter)
    groups = []
    for lr_factor, decays in sorted(members, reverse=True):
        group: dict[str, Any] = {"params": members[lr_factor, decays]}
        group |= {} if decays else {"weight_decay": 0.0}
        groups.append(group | ({} if lr_factor == 1 else {"lr_factor": lr_factor}))
    return groups


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the rate of the next step. A tensor, as from `make_recordable`, is changed in place."""
    for group in optimizer.param_groups:
        rate = lr * group.get("lr_factor", 1.0)
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def make_recordable(optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Keep everything that changes between steps on the device, so that a CUDA graph of a step stays valid."""
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(float(group["lr"]), device=device)
        if "capturable" in group:  # Adam and AdamW count their steps
            group["capturable"] = True
