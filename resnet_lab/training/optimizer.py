"""The optimiser that an `OptimConfig` describes: one of torch's, or `Changing` where torch has none that would do."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, assert_never

import torch
from torch import Tensor, nn

from resnet_lab.config.enums import Decayed, Optimizer
from resnet_lab.config.optim import OptimConfig
from resnet_lab.training.schedule import Rates

# What an optimiser keeps for each parameter: tensors of its shape, but for `step`, a single number.
STATES = {
    Optimizer.sgd: {"momentum_buffer"},
    Optimizer.sgdw: {"momentum_buffer"},
    Optimizer.adam: {"step", "exp_avg", "exp_avg_sq"},
    Optimizer.adamw: {"step", "exp_avg", "exp_avg_sq"},
}


def build_optimizer(
    optim: OptimConfig, net: nn.Module, lr_factors: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """Build the optimiser for all parameters of the network that are not frozen, with torch's fused kernels if it can.

    `lr_factors` multiply the learning rate of the parameters of these names.
    """
    groups = _groups(optim, net, lr_factors or {})
    lr, decay, betas = optim.lr, optim.weight_decay, (optim.betas[0], optim.betas[1])
    if optim.name is Optimizer.sgdw or optim.decay_changes or optim.cycles_momentum:
        return Changing(groups, optim)
    match optim.name:
        case Optimizer.sgd:
            momentum, nesterov = optim.momentum, optim.nesterov
            return torch.optim.SGD(groups, lr, momentum, weight_decay=decay, nesterov=nesterov, fused=True)
        case Optimizer.adam:
            return torch.optim.Adam(groups, lr, betas, optim.eps, weight_decay=decay, fused=True)
        case Optimizer.adamw:
            return torch.optim.AdamW(groups, lr, betas, optim.eps, weight_decay=decay, fused=True)
        case _:
            assert_never(optim.name)


def _groups(optim: OptimConfig, net: nn.Module, lr_factors: Mapping[str, float]) -> list[dict[str, Any]]:
    """Group parameters by the factor of their learning rate and by whether they decay, the largest factor first."""
    members: defaultdict[tuple[float, bool], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            members[lr_factors.get(name, 1.0), _decays(parameter, optim.decayed)].append(parameter)
    groups = []
    for lr_factor, decays in sorted(members, reverse=True):
        group: dict[str, Any] = {"params": members[lr_factor, decays]}
        group |= {} if decays else {"weight_decay": 0.0}
        groups.append(group | ({} if lr_factor == 1 else {"lr_factor": lr_factor}))
    return groups


def _decays(parameter: nn.Parameter, decayed: Decayed) -> bool:
    match decayed:
        case Decayed.all:
            return True
        case Decayed.weights:
            return parameter.ndim > 1  # vectors are BatchNorm's parameters and biases
        case Decayed.kernels:
            return parameter.ndim > 2  # matrices are the weights of linear layers
        case _:
            assert_never(decayed)


class Changing(torch.optim.Optimizer):
    """SGD or Adam whose learning rate, momentum and weight decay can change between steps, also within a CUDA graph.

    All three are tensors on the device. Torch's optimisers read momentum and decay as Python numbers, which a graph
    would keep, and torch has no SGD with decoupled decay. The state is that of torch's optimisers.
    """

    def __init__(self, groups: list[dict[str, Any]], optim: OptimConfig) -> None:
        # "capturable": loading a checkpoint puts the numbers of steps on the device, too.
        super().__init__(groups, {"lr": optim.lr, "weight_decay": optim.weight_decay, "capturable": True})
        self.optim = optim
        first = self.param_groups[0]["params"][0]
        rates = Rates(optim.lr, optim.betas[0] if optim.is_adam else optim.momentum, optim.weight_decay)
        self.lr, self.momentum, self.decay = (first.new_tensor(rate) for rate in rates)

    def set_rates(self, rates: Rates) -> None:
        """Set the numbers of the next step."""
        for own, value in zip((self.lr, self.momentum, self.decay), rates, strict=True):
            own.fill_(value)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not parameters:
                continue
            lr = self.lr * group.get("lr_factor", 1.0)
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            if group["weight_decay"]:
                if self.optim.is_decoupled:
                    torch._foreach_mul_(parameters, 1 - lr * self.decay)
                else:
                    gradients = list(torch._foreach_add(gradients, torch._foreach_mul(parameters, self.decay)))
            directions = self._adam(parameters, gradients) if self.optim.is_adam else self._sgd(parameters, gradients)
            torch._foreach_sub_(parameters, torch._foreach_mul(directions, lr))

    def _sgd(self, parameters: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        """Update the momentum, and return the directions."""
        buffers = self._kept("momentum_buffer", parameters)
        torch._foreach_mul_(buffers, self.momentum)
        torch._foreach_add_(buffers, gradients)
        if not self.optim.nesterov:
            return buffers
        return list(torch._foreach_add(gradients, torch._foreach_mul(buffers, self.momentum)))

    def _adam(self, parameters: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        """Update the moments, and return the directions."""
        beta1, beta2 = self.momentum, self.optim.betas[1]
        means, squares = self._kept("exp_avg", parameters), self._kept("exp_avg_sq", parameters)
        steps = self._kept("step", parameters)
        torch._foreach_add_(steps, 1)
        torch._foreach_mul_(means, beta1)
        torch._foreach_add_(means, torch._foreach_mul(gradients, 1 - beta1))
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
        step = steps[0].double()  # the same for all: a step gives every parameter a gradient
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, (1 - beta2**step).sqrt().to(beta1.dtype))
        torch._foreach_add_(roots, self.optim.eps)
        corrected = torch._foreach_div(means, (1 - beta1.double() ** step).to(beta1.dtype))
        return list(torch._foreach_div(corrected, roots))

    def _kept(self, name: str, parameters: list[Tensor]) -> list[Tensor]:
        """Return what is kept for each parameter; zeros at first, of its shape unless it counts steps."""
        for parameter in parameters:
            if name not in (kept := self.state[parameter]):
                counts = name == "step"
                kept[name] = parameter.new_zeros((), dtype=torch.float32) if counts else torch.zeros_like(parameter)
        return [self.state[parameter][name] for parameter in parameters]


def set_rates(optimizer: torch.optim.Optimizer, rates: Rates) -> None:
    """Set the numbers of the next step. Tensors, as from `make_recordable`, are changed in place."""
    if isinstance(optimizer, Changing):
        optimizer.set_rates(rates)
        return
    for group in optimizer.param_groups:
        rate = rates.lr * group.get("lr_factor", 1.0)
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def make_recordable(optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Keep everything that changes between steps on the device, so that a CUDA graph of a step stays valid."""
    if isinstance(optimizer, Changing):
        return
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(float(group["lr"]), device=device)
        if "capturable" in group:  # Adam and AdamW count their steps
            group["capturable"] = True
