"""Where the time of a step goes: every operation counted once, and the shares of all of them."""

import json
import time
from pathlib import Path

import pytest
import torch
from support.composing import config as load_config
from support.lab import TINY
from torch import nn
from torch.profiler import ProfilerActivity

from resnet_lab.bench.__main__ import main
from resnet_lab.bench.profile import BACKWARD, HOST, GradientClock, fastest, kind, operators, shares, split, total
from resnet_lab.model.resnet import ResNetV2


def test_kinds():
    names = {
        "void at::native::batch_norm_collect_statistics_channels_last_kernel<…>": "BatchNorm, forward",
        "void at::native::batch_norm_backward_reduce_channels_last_kernel<…>": "BatchNorm, backward",
        "void cudnn::batchnorm_bwtr_nhwc_semiPersist<…>": "BatchNorm, backward",
        "void at::native::vectorized_elementwise_kernel<8, …launch_clamp_scalar(at::T…": "ReLU",
        "sm80_xmma_wgrad_implicit_gemm_indexed_bf16bf16_bf16f32": "convolutions, weight gradients",
        "void cutlass__5x_cudnn::Kernel<cutlass_tensorop_bf16_s16816dgrad_optimized": "convolutions, input gradients",
        "sm80_xmma_fprop_implicit_gemm_relu_f32": "convolutions, forward",
        "nvjet_sm90_tst_64x512_64x2_1x2_h_bz_coopB_TNT": "other products",
        "void at::native::multi_tensor_apply_kernel<…, CopyFunctor<…>": "casts and copies",
        "void at::native::multi_tensor_apply_kernel<…, FusedSgdMathFunctor<…>": "optimiser and counters",
        "triton_poi_fused_native_batch_norm_relu_0": "compiled by inductor",
        "void at::native::(anonymous namespace)::nll_loss_forward_reduce": "loss and others",
        "aten::native_batch_norm_backward": "BatchNorm, backward",
        "aten::batch_norm": "BatchNorm, forward",
        "aten::threshold_backward": "ReLU",
        "aten::_foreach_copy_": "casts and copies",
        "aten::_foreach_add_": "optimiser and counters",
        "aten::add": "additions",
        "aten::addmm": "other products",
        "aten::conv2d": "convolutions, forward",
        "kernels::convolution": "convolutions, forward",
        "kernels::dgrad": "convolutions, input gradients",
        "kernels::wgrad": "convolutions, weight gradients",
        "kernels::norm_forward": "BatchNorm, forward",
        "kernels::norm_backward": "BatchNorm, backward",
    }
    assert {name: kind(name) for name in names} == names


def test_the_host_has_its_share_and_all_sum_up_to_the_wall_time():
    found = shares({"aten::add": [0.1, 0.1], "aten::add_": [0.2, 0.0]}, steps=2, host=0.3, wall=1.0)
    assert list(found) == [HOST, "additions"]
    assert found["additions"] == pytest.approx({"operations": 2, "ms": 400, "share": 0.4})
    assert found[HOST] == pytest.approx({"operations": 0, "ms": 600, "share": 0.6})


def test_an_operation_that_was_prolonged_in_a_round_counts_as_in_another():
    assert fastest([{"a": [1.0, 9.0], "b": [3.0]}, {"a": [9.0, 2.0], "b": [3.0]}]) == {"a": [1.0, 2.0], "b": [3.0]}


def test_only_outermost_operators_count_and_no_range_does():
    conv = nn.Conv2d(3, 4, 3)
    with torch.profiler.profile(activities=[ProfilerActivity.CPU]) as seen:
        began = time.perf_counter()
        with torch.profiler.record_function("mine"):
            conv(torch.ones(2, 3, 8, 8)).relu_().sum().backward()
        seconds = time.perf_counter() - began
    found = operators(seen)
    assert {"aten::conv2d", "aten::relu_", BACKWARD, "aten::threshold_backward"} <= set(found)
    assert not {"mine", "aten::convolution", "aten::clamp_min_", "ConvolutionBackward0"} & set(found)
    assert not [name for name in found if name.startswith(("autograd::", "torch::"))]
    assert 0 < total(found) < seconds


def test_gradients_one_after_the_other_are_those_of_one_call():
    torch.manual_seed(0)
    image = torch.randn(2, 3, 8, 8)
    convs = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3, bias=False))

    def gradients() -> list[torch.Tensor]:
        return [*torch.autograd.grad(convs(image).square().mean(), [*convs.parameters()])]

    expected = gradients()
    with GradientClock() as clock:
        found = gradients()
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert {name: len(times) for name, times in clock.times.items()} == {"wgrad": 2, "dgrad": 1}  # none for the image
    assert total(clock.times) > 0


def test_both_gradients_share_the_time_of_the_operator():
    found = split({BACKWARD: [0.1] * 8, "aten::add": [0.5]}, {"wgrad": [2.0, 1.0], "dgrad": [1.0]})
    assert {kind(name): (len(times), sum(times)) for name, times in found.items()} == {
        "additions": (1, 0.5),
        "convolutions, weight gradients": (8, pytest.approx(0.6)),
        "convolutions, input gradients": (4, pytest.approx(0.2)),
    }


def test_the_command_profiles_the_step_of_the_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert main([*TINY, "--profile", "--seconds=0.1", "--json=profile.json"]) == 0
    facts = json.loads((tmp_path / "profile.json").read_text())
    profile, modules = facts["profile"], [*ResNetV2(load_config(*TINY).model).modules()]
    count = {layer: sum(isinstance(module, layer) for module in modules) for layer in (nn.Conv2d, nn.BatchNorm2d)}
    operations = {name: of_kind["operations"] for name, of_kind in profile["kinds"].items()}
    assert operations["convolutions, forward"] == operations["convolutions, weight gradients"] == count[nn.Conv2d]
    assert operations["convolutions, input gradients"] == count[nn.Conv2d] - 1
    assert operations["BatchNorm, forward"] == operations["BatchNorm, backward"] == count[nn.BatchNorm2d]
    assert operations["ReLU"] == 2 * count[nn.BatchNorm2d]
    assert operations["optimiser and counters"] == 2
    assert sum(of_kind["share"] for of_kind in profile["kinds"].values()) == pytest.approx(1)
    assert sum(of_kind["ms"] for of_kind in profile["kinds"].values()) == pytest.approx(profile["step_ms"])
    assert facts["network"]["depth"] == 14
    said = capsys.readouterr()
    assert said.err == ""
    assert f"{profile['kinds'][HOST]['share']:.1%}" in said.out
    assert "100.0%" in said.out
