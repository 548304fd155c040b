"""Which parts of a network take the native path, when, and that nothing else changes."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from support.composing import config as load_config
from support.lab import Lab
from torch import Tensor, nn

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.schema import Config
from resnet_lab.kernels import build, functions
from resnet_lab.kernels.install import install, remove
from resnet_lab.model.modules import BatchNorm2d, synchronise
from resnet_lab.model.units import Basic
from resnet_lab.tasks.base import task_of
from resnet_lab.training.optimizer import build_optimizer
from resnet_lab.training.runtime import Runtime
from resnet_lab.training.step import Totals, TrainingStep

LAST = torch.channels_last
NATIVE = ("trainer=cpu", "trainer.kernels=native")
SHAPE = ("data=fake", "data.image_size=16", "stacks=two", "units=n2", "filters=w16", "optim.batch_size=8")

BASIC = "unit=basic bottleneck=none"

Calls = dict[str, int]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """How often each kernel has been called forward."""
    found = {"norm_forward": 0, "convolved": 0}
    for name in found:
        kernel = getattr(functions.native, name)

        def counting(*arguments: object, kernel=kernel, name=name) -> object:
            found[name] += 1
            return kernel(*arguments)

        monkeypatch.setattr(functions.native, name, counting)
    return found


def stepped(config: Config, native: bool, synchronised: bool = False) -> tuple[nn.Module, Totals]:
    """A network after one step, with gradients of that step."""
    torch.manual_seed(0)
    net = task_of(config).network().to(memory_format=LAST).train()
    synchronise(net, synchronised)
    if native:
        install(net)
    totals = Totals(task_of(config), torch.device("cpu"))
    step = TrainingStep(net, build_optimizer(config.optim, net), config.optim, totals)
    step(*some_images(config))
    return net, totals


def some_images(config: Config) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(config.optim.batch_size, *config.data.image_shape, generator=generator)
    return images.contiguous(memory_format=LAST), torch.arange(len(images)) % config.data.num_classes


@pytest.mark.parametrize(
    ("choice", "norms", "convolutions"),
    [
        # The stem has 3 maps, and the third unit a stride, of a bottleneck's first convolution. In units of ResNet V1,
        # the last norm includes sum and ReLU.
        (f"activation=full_preactivation {BASIC}", 8 + 1, 8 - 1),
        (f"activation=original {BASIC}", 1 + 8 + 1, 8 - 1),
        ("activation=full_preactivation bottleneck=half", 12 + 1, 2),  # of 16 maps; those of 8 are too few
        ("activation=original bottleneck=half", 1 + 12 + 1, 2),
        ("activation=original bottleneck=quarter", 1 + 12 + 1, 0),
        (f"norm=group model.norm_groups=4 {BASIC}", 0, 7),
        (f"activation=original {BASIC} model.unit_dropout=0.5", 1 + 8 + 1, 7),
        (f"model.nonlinearity=silu {BASIC}", 8 + 1, 7),
    ],
)
def test_what_is_native(calls: Calls, choice: str, norms: int, convolutions: int):
    config = load_config(*SHAPE, *choice.split())
    stepped(config, native=True)
    assert calls == {"norm_forward": norms, "convolved": convolutions}


@pytest.mark.parametrize("activation", ["full_preactivation", "original", "relu_before_addition", "bn_after_addition"])
@pytest.mark.parametrize("unit", [BASIC, "bottleneck=half"])
def test_gradients_and_statistics_are_those_of_torch(activation: str, unit: str):
    config = load_config(*SHAPE, f"activation={activation}", *unit.split())
    (own, own_totals), (usual, totals) = (stepped(config, native) for native in (True, False))
    torch.testing.assert_close(own_totals.loss, totals.loss, rtol=1e-5, atol=0)
    for (name, one), other in zip(own.named_parameters(), usual.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4, msg=name)
    for one, other in zip(own.buffers(), usual.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_modules_that_are_not_plain_stay_with_torch():
    """With other borders; on wrong numbers of maps, which torch refuses; with one value for each channel."""
    reflecting = nn.Conv2d(16, 16, 3, padding=1, bias=False, padding_mode="reflect")
    x = torch.randn(2, 16, 6, 6).contiguous(memory_format=LAST)
    before = reflecting(x)
    install(reflecting)
    assert torch.equal(reflecting(x), before)
    norm, conv = BatchNorm2d(32), nn.Conv2d(32, 16, 3, padding=1, bias=False)
    norm.counts = False
    for module in (norm, conv):
        install(module)
        with pytest.raises(RuntimeError):
            module(x)
    with pytest.raises(ValueError, match="more than 1 value"):
        norm(torch.randn(1, 32, 1, 1))


def test_wide_layers_on_few_maps_stay_with_torch(calls: Calls):
    conv = nn.Conv2d(256, 256, 3, padding=1, bias=False)
    install(conv)
    conv(torch.randn(8, 256, 4, 4).contiguous(memory_format=LAST))
    assert calls["convolved"] == 0
    conv(torch.randn(64, 256, 8, 8).contiguous(memory_format=LAST))
    assert calls["convolved"] == 1


def test_a_unit_of_ones_own_is_not_replaced(calls: Calls):
    class Own(Basic):
        def forward(self, x_BCHW: Tensor) -> Tensor:
            return super().forward(x_BCHW) * 2

    config = load_config(*SHAPE, "activation=original", *BASIC.split())
    net = task_of(config).network().to(memory_format=LAST).train()
    for module in net.modules():
        if isinstance(module, Basic):
            module.__class__ = Own
    x, _ = some_images(config)
    before = net(x)
    install(net)
    torch.testing.assert_close(net(x), before)
    assert calls["convolved"] > 0


def test_an_installed_network_can_be_copied_and_stored(tmp_path: Path):
    net, _ = stepped(load_config(*SHAPE, "activation=original"), native=True)
    torch.save(net, tmp_path / "net.pt")
    for other in (deepcopy(net), torch.load(tmp_path / "net.pt", weights_only=False)):
        own = next(module for module in other.modules() if "forward" in module.__dict__)
        assert own.forward.args[0] is own


def test_outside_of_training_steps_torch_computes(calls: Calls):
    config = load_config(*SHAPE)
    net, _ = stepped(config, native=True)
    before, (images, _) = dict(calls), some_images(config)
    net.eval()(images)
    with torch.no_grad():
        net.train()(images)
    net.double()(images.double())
    assert calls == before
    remove(net)
    assert not any("forward" in module.__dict__ for module in net.modules())


def test_a_norm_over_several_devices_stays_with_torch(calls: Calls):
    config = load_config(*SHAPE, *BASIC.split())
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        stepped(config, native=True, synchronised=True)
    finally:
        dist.destroy_process_group()
    assert calls == {"norm_forward": 0, "convolved": 7}


@pytest.mark.parametrize("recompute", ["unit", "stack"])
def test_activation_checkpointing_keeps_the_numbers(lab: Lab, recompute: str):
    found = [
        lab.run(*NATIVE, f"trainer.checkpoint_activations={which}", f"name={which}")["history"][-1]["train/loss"]
        for which in ("none", recompute)
    ]
    assert found[0] == found[1]


# --- where they are not


@pytest.fixture
def nothing_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    build.libraries.cache_clear()
    yield
    build.libraries.cache_clear()


LARGE = ("+experiment=cifar10_20", "trainer=cpu")


def test_without_a_compiler_torch_computes(nothing_compiled: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    runtime = Runtime.resolve(load_config(*LARGE), macs=10**8)
    assert not runtime.kernels
    assert "torch's kernels (own ones are faster, but there is no C compiler: install gcc or clang)" in runtime.reasons
    with pytest.raises(
        ConfigError, match=r"^trainer\.kernels=native: there is no C compiler: .*; use trainer\.kernels"
    ):
        Runtime.resolve(load_config(*LARGE, "trainer.kernels=native"), macs=10**8)


def test_a_compiler_that_fails_is_named(nothing_compiled: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CC", "false")
    with pytest.raises(build.Unavailable, match="false failed: status 1"):
        build.libraries()


def test_a_damaged_library_is_compiled_again(nothing_compiled: None, tmp_path: Path):
    build.libraries()
    for file in tmp_path.rglob("*.so"):
        file.write_bytes(file.read_bytes()[:100])
    build.libraries.cache_clear()
    assert [*build.libraries()] == [*build.SOURCES]


def test_kernels_are_compiled_once(nothing_compiled: None, monkeypatch: pytest.MonkeyPatch):
    build.libraries()
    monkeypatch.setenv("PATH", "")
    build.libraries.cache_clear()
    assert [*build.libraries()] == [*build.SOURCES]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("trainer.precision=64-true", "computes in float32, but trainer.precision is 64-true"),
        ("trainer.channels_last=false", "needs trainer.channels_last=true"),
        ("trainer.compile=inductor", "needs trainer.compile=off"),
        ("data.dims=1 data.channels=1 augment=none", "is for images"),
    ],
)
def test_refusals(change: str, message: str):
    config = load_config("data=fake", *NATIVE, *change.split())
    with pytest.raises(ConfigError, match=f"^trainer\\.kernels=native {message}; use trainer\\.kernels=auto$"):
        Runtime.resolve(config, macs=10**8)


def test_small_networks_stay_with_torch():
    runtime = Runtime.resolve(load_config("trainer=cpu"), macs=10**6)
    assert not runtime.kernels
    assert "torch's kernels (the network is small)" in runtime.reasons
