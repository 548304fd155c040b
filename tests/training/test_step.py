"""A step on its own: precision, memory format, compilation."""

from pathlib import Path
from typing import Any

import pytest
import torch
from support.composing import config as load_config
from support.lab import TINY, Lab, same_weights
from torch import Tensor, nn

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.model_enums import Activation, AttentionPlace, Bridges
from resnet_lab.config.registry import SHORTCUTS
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.tasks.base import task_of
from resnet_lab.training.optimizer import build_optimizer
from resnet_lab.training.step import EvaluationStep, OneCast, Totals, TrainingStep

CPU = torch.device("cpu")


def test_every_mini_batch_sees_the_weights_of_the_one_before_in_bf16_too(tmp_path: Path):
    """Autocast would keep its copies of the weights for as long as a call lasts."""
    changes = ("trainer.precision=bf16-mixed", "trainer.max_epochs=3")
    one, three = Lab(tmp_path / "1"), Lab(tmp_path / "3")
    one.run(*changes, "trainer.steps_per_call=1")
    three.run(*changes, "trainer.steps_per_call=3")
    assert same_weights(one.checkpoint(*changes), three.checkpoint(*changes))


PARTED = (
    *TINY,
    "data.image_size=8",
    "optim.batch_size=10",
    "optim.lr=0.1",
    "optim.clip_norm=1",
    "trainer.precision=64",
)


def stepped(*changes: str) -> tuple[dict[str, Tensor], tuple[float, float]]:
    """The state of a network after three steps on the same mini-batches, the last of them smaller, and its totals."""
    config = load_config(*PARTED, *changes)
    torch.manual_seed(0)
    net = ResNetV2(config.model).double()
    step = TrainingStep(net, build_optimizer(config.optim, net), config.optim, Totals(task_of(config), CPU))
    for count in (10, 10, 5):
        images = torch.randn(count, *config.data.image_shape, dtype=torch.float64)
        step(images, torch.randint(3, (count,)))
    return net.state_dict(), step.totals.means()


@pytest.mark.parametrize("parts", [2, 3, 4, 10])
def test_gradients_of_parts_add_up_to_that_of_the_mini_batch(parts: int):
    """Where no image sees the others; parts may be of unequal sizes."""
    whole, (loss, error) = stepped("norm=group", "model.norm_groups=2")
    state, totals = stepped("norm=group", "model.norm_groups=2", f"optim.accumulate={parts}")
    assert totals == pytest.approx((loss, error), rel=1e-12)
    for name, tensor in whole.items():
        torch.testing.assert_close(state[name], tensor, rtol=1e-10, atol=1e-12)


def test_parts_of_a_weighted_loss_are_refused():
    message = r"^optim\.accumulate=2 needs optim\.class_weights=none"
    with pytest.raises(ConfigError, match=message):
        load_config("optim.accumulate=2", "optim.class_weights=balanced")


def test_batch_norm_sees_one_part_at_a_time():
    """As if the parts were mini-batches whose gradients are averaged by hand."""
    state, _ = stepped("optim.accumulate=2", "optim.clip_norm=0", "optim.momentum=0", "optim.weight_decay=0")
    config = load_config(*PARTED)
    torch.manual_seed(0)
    net = ResNetV2(config.model).double()
    for count in (10, 10, 5):
        images = torch.randn(count, *config.data.image_shape, dtype=torch.float64)
        labels = torch.randint(3, (count,))
        net.zero_grad()
        halves = zip(images.split(5), labels.split(5), strict=True)
        (sum(nn.functional.cross_entropy(net(own), of) * len(of) for own, of in halves) / count).backward()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter -= 0.1 * parameter.grad
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(state[name], tensor, rtol=1e-10, atol=1e-12)


VARIANTS = [
    *(f"shortcut={name}" for name in SHORTCUTS),
    *(f"activation={name}" for name in Activation.__members__),
    "unit=basic bottleneck=none shortcut=zero_pad",
    "unit=conv bottleneck=none shortcut=none",
    "shortcut=dropout resize=zero_pad",
    *(f"bridges={name}" for name in Bridges.__members__),
    "bridges=stack_concat_half unit=dense bottleneck=none stem=conv",
    *(f"attention=se model.attention.place={place}" for place in AttentionPlace.__members__),
    "norm=group model.norm_groups=4",
    "model.weight_standardisation=true",
    "cardinality=c2_64",
    "nonlinearity=gelu",
    "model.stochastic_depth.rate=0.5 model.learned_scale=0.5 model.unit_dropout=0.5",
    "downsample=max_pool",
    "stem=double",
    "stem=imagenet",
    "lineage=atienza",
    "lineage=torch",
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_channels_last_survives(variant: str):
    """Every convolution is given maps, weights and gradients in the order that the images have.

    But for a few: where the head has no activation, the gradient of the pooled mean, which is one number for each map
    and has no order, comes to the last shortcut as it is; and the gradients of maps that are read only together with
    others are parts of a larger tensor: those of the last unit, and of the stem or the last transition.
    """
    config = load_config(*TINY, "data.image_size=32", *variant.split())
    net = ResNetV2(config.model).to(memory_format=torch.channels_last)
    seen: list[Tensor] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.extend([inputs[0], output])
        output.register_hook(lambda gradient: seen.append(gradient) or None)

    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    for module in convolutions:
        module.register_forward_hook(look)
    images = torch.randn(4, *config.data.image_shape).contiguous(memory_format=torch.channels_last)
    step = TrainingStep(net, build_optimizer(config.optim, net), config.optim, Totals(task_of(config), CPU))
    step(images, torch.zeros(4, dtype=torch.long))
    assert len(seen) >= 3 * len(convolutions)
    tensors = [*seen, *(module.weight for module in convolutions)]
    others = [tensor for tensor in tensors if not tensor.is_contiguous(memory_format=torch.channels_last)]
    parts = "concat" in variant or "net_sum" in variant
    assert len(others) == (2 if parts else "relu_before_addition" in variant)


class Casting(nn.Module):
    """A net of what autocast casts, what it does not, and what is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.again = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1, bias=False)
        self.scale = nn.Parameter(torch.full((8, 1, 1), 1.5))
        self.unused, self.linear = nn.Conv2d(2, 2, 1), nn.Linear(8, 4)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        maps = self.again(self.conv(x_BCHW)) * self.scale
        return self.linear(maps.mean((2, 3)))


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_weights_cast_at_once_give_the_numbers_of_autocast(layout: torch.memory_format):
    torch.manual_seed(0)
    net = Casting().to(memory_format=layout)  # type: ignore[call-overload]
    images = torch.randn(4, 3, 8, 8).contiguous(memory_format=layout)
    outputs, gradients = [], []
    for forward in (net, OneCast(net)):
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
            output = forward(images)
        output.float().square().sum().backward()
        outputs.append(output)
        gradients.append([parameter.grad for parameter in net.parameters()])
    assert torch.equal(*outputs)
    for one, other in zip(*gradients, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert torch.equal(one, other)
            assert (one.dtype, one.stride()) == (other.dtype, other.stride())


def test_without_autocast_the_weights_are_the_nets_own():
    net, images = Casting(), torch.randn(2, 3, 8, 8)
    assert torch.equal(OneCast(net)(images), net(images))


def test_a_step_counts_the_batches_of_every_norm_once():
    config = load_config(*TINY)
    net = task_of(config).network()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    images, labels = torch.randn(16, *config.data.image_shape), torch.zeros(16, dtype=torch.long)
    net(images)  # by itself, a network counts as any other
    assert {int(norm.num_batches_tracked) for norm in norms} == {1}
    step = TrainingStep(net, build_optimizer(config.optim, net), config.optim, Totals(task_of(config), CPU))
    for _ in range(3):
        step(images, labels)
    assert {int(norm.num_batches_tracked) for norm in norms} == {4}


def test_channels_first_on_request(tmp_path: Path):
    lab = Lab(tmp_path)
    lab.run("trainer.channels_last=false")
    weight = lab.checkpoint("trainer.channels_last=false")["state_dict"]["net.stacks.0.units.0.layers.1.conv.weight"]
    assert weight.is_contiguous()
    assert not weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.slow
def test_compiled_steps_are_the_eager_ones_but_for_rounding(tmp_path: Path):
    changes = ("units=n1", "trainer.max_epochs=1", "optim.batch_size=10")
    eager, compiled = Lab(tmp_path / "eager"), Lab(tmp_path / "compiled")
    expected = eager.run(*changes)
    result = compiled.run(*changes, "trainer.compile=inductor")
    assert result["last"]["train_loss"] == pytest.approx(expected["last"]["train_loss"], rel=1e-4)
    weights, others = (lab.checkpoint(*changes)["state_dict"] for lab in (compiled, eager))
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, others[name], rtol=1e-2, atol=1e-3)


def test_totals_count_what_they_are_given():
    totals = Totals(task_of(load_config(*TINY)), CPU)
    evaluate = EvaluationStep(nn.Identity(), totals)
    for wrong, right in ((1, 2), (0, 4)):
        logits = torch.tensor([[0.0, 9.0]] * wrong + [[9.0, 0.0]] * right)
        evaluate(logits, torch.zeros(wrong + right, dtype=torch.long))
    loss, error = totals.means()
    assert error == pytest.approx(100 / 7)
    assert loss == pytest.approx((9 + 7 * torch.log1p(torch.exp(torch.tensor(-9.0))).item()) / 7, rel=1e-5)
    totals.reset()
    evaluate(torch.tensor([[0.0, 9.0]]), torch.zeros(1, dtype=torch.long))
    assert totals.means()[1] == 100


def test_steps_are_taken_by_what_is_compiled_at_full_size_only():
    config = load_config(*TINY)
    net = ResNetV2(config.model)
    sizes: list[int] = []

    def compiled(images: Tensor) -> Any:
        sizes.append(len(images))
        return net(images)

    totals = Totals(task_of(config), CPU)
    step = TrainingStep(net, build_optimizer(config.optim, net), config.optim, totals, compiled=compiled)
    for size in (16, 5, 16):
        step(torch.randn(size, *config.data.image_shape), torch.zeros(size, dtype=torch.long))
    assert sizes == [16, 16]
