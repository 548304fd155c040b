"""Activation checkpointing: the same numbers, and less that is kept for the backward pass."""

import copy
import math

import pytest
import torch
from support.composing import config as load_config
from support.lab import TINY, Lab
from torch import Tensor, nn

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Recompute
from resnet_lab.config.schema import Config
from resnet_lab.tasks.base import task_of
from resnet_lab.tasks.cost import measure
from resnet_lab.training.memory import most_at_once
from resnet_lab.training.optimizer import build_optimizer
from resnet_lab.training.recompute import recompute
from resnet_lab.training.step import Totals, TrainingStep

WHICH = [Recompute.unit, Recompute.stack]
NETWORKS = {
    "plain": ("shortcut=none",),
    "random": ("model.unit_dropout=0.3", "stochastic_depth=paper", "shortcut=dropout"),
    "dense": ("bridges=net_sum",),
    "concatenated": ("unit=dense", "bridges=net_concat"),
    "gated": ("unit=basic", "bottleneck=none", "attention=se", "bridges=stack"),
    "bf16": ("trainer.precision=bf16-mixed",),
    "frozen norms": ("norm=group", "model.norm_groups=2"),
    "autoencoder": ("task=reconstruction", "head=latent_flat", "bridges=none"),
    "series": ("data=fake", "data.dims=1", "data.channels=2", "data.image_size=16", "augment=none"),
}


def config_of(name: str) -> Config:
    return load_config(*TINY, "data.image_size=8", "optim.batch_size=6", "optim.lr=0.1", *NETWORKS[name])


def stepped(config: Config, which: Recompute) -> tuple[dict[str, Tensor], list[Tensor], tuple[float, float]]:
    """The state after two steps, the last gradients, and the totals."""
    torch.manual_seed(0)
    task = task_of(config)
    net = task.network()
    recompute(net, which)
    step = TrainingStep(net, build_optimizer(config.optim, net), config.optim, Totals(task, torch.device("cpu")))
    for _ in range(2):
        images = torch.randn(6, *config.data.image_shape)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.trainer.precision == "bf16-mixed"):
            step(images, torch.randint(3, (6,)))
    gradients = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
    return net.state_dict(), gradients, step.totals.means()


@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_statistics_and_weights_are_the_same_to_the_bit(name: str, which: Recompute):
    config = config_of(name)
    state, gradients, totals = stepped(config, Recompute.none)
    again, its_gradients, its_totals = stepped(config, which)
    assert totals == its_totals
    assert all(torch.equal(state[key], again[key]) for key in state)
    assert len(gradients) == len(its_gradients) > 0
    assert all(torch.equal(*pair) for pair in zip(gradients, its_gradients, strict=True))


def kept(net: nn.Module, images_BCHW: Tensor) -> int:
    """Elements that a forward pass keeps for the backward pass, apart from weights."""
    weights = {parameter.data_ptr() for parameter in net.parameters()}
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            found[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = net(images_BCHW)
    assert outputs.requires_grad
    return sum(found.values())


def test_less_is_kept():
    config = load_config("+experiment=cifar10_56")
    whole, by_unit, by_stack = (task_of(config).network() for _ in range(3))
    recompute(by_unit, Recompute.unit)
    recompute(by_stack, Recompute.stack)
    images = torch.randn(2, *config.data.image_shape)
    most, less, least = (kept(net, images) for net in (whole, by_unit, by_stack))
    assert least < less / 2 < most / 4
    copied = copy.deepcopy(by_unit)
    assert kept(copied, images) == less
    assert torch.equal(copied(images), whole.load_state_dict(copied.state_dict()) and whole(images))


@pytest.mark.parametrize("which", WHICH)
def test_what_is_needed_at_once_is_that_of_the_largest_part(which: Recompute):
    cost = measure(load_config("+experiment=cifar10_56"))
    assert most_at_once(cost, Recompute.none) == cost.activations
    in_stack = [layer for layer in cost.layers if layer.name.startswith("stacks.0.")]
    chosen = in_stack if which is Recompute.stack else [one for one in in_stack if ".units.0." in one.name]
    assert most_at_once(cost, which) == sum(math.prod(layer.out_shape) for layer in chosen)


@pytest.mark.slow
def test_a_run_is_the_same_and_says_so(lab: Lab):
    changes = ("deterministic=true", "trainer.max_epochs=2")
    whole = lab.run(*changes)
    again = lab.run(*changes, "trainer.checkpoint_activations=unit", "name=again")
    for name in ("last", "best"):
        assert again[name] == whole[name]
    assert again["identity"] == whole["identity"]


def test_what_cannot_be_combined_is_refused():
    with pytest.raises(ConfigError, match=r"^trainer\.checkpoint_activations=unit needs trainer\.compile=off"):
        load_config("trainer.checkpoint_activations=unit", "trainer.compile=inductor")
