"""The kernels against float64, of all sizes; and where they come from."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.kernels import build, native

LAST = torch.channels_last
EPS, MOMENTUM = 1e-5, 0.1

sizes = st.tuples(*[st.integers(1, most) for most in (4, 40, 40, 13, 13)])  # images, maps in and out, height, width


def maps(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).contiguous(memory_format=LAST)


def error(found: Tensor, exact: Tensor, at_least: float = 1e-30) -> float:
    """The largest error, relative to the largest number."""
    return float((found.double() - exact).abs().max() / exact.abs().max().clamp(min=at_least))


def assert_exact(found: Tensor, by_torch: Tensor, exact: Tensor, at_least: float = 1e-30) -> None:
    """Within twice the error of torch's kernels, but for the rounding of single numbers."""
    assert error(found, exact, at_least) <= max(2 * error(by_torch, exact, at_least), 1e-6)


# --- convolutions


def gradients(convolve: Callable[..., Tensor], gradient: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    inputs = tuple(each.detach().requires_grad_() for each in inputs)
    return torch.autograd.grad(convolve(*inputs), inputs, gradient)


def by_torch(x: Tensor, kernels: Tensor) -> Tensor:
    return F.conv2d(x, kernels, padding=1)


@settings(deadline=None, max_examples=60)
@given(sizes, st.integers(0, 10**6))
def test_convolutions_of_all_sizes(size: tuple[int, ...], seed: int):
    images, channels, filters, height, width = size
    x, kernels = maps(images, channels, height, width, seed=seed), maps(filters, channels, 3, 3, seed=seed + 1)
    gradient = maps(images, filters, height, width, seed=seed + 2)
    doubles = x.double(), kernels.double()
    typical = channels**0.5, filters**0.5, (images * height * width) ** 0.5  # sums of that many may cancel
    assert_exact(native.convolved(x, kernels), by_torch(x, kernels), by_torch(*doubles), at_least=typical[0])
    found = native.gradient_of_input(gradient, kernels), native.gradient_of_kernels(x, gradient, kernels)
    usual, exact = gradients(by_torch, gradient, x, kernels), gradients(by_torch, gradient.double(), *doubles)
    for own, of_torch, expected, size_of_sum in zip(found, usual, exact, typical[1:], strict=True):
        assert_exact(own, of_torch, expected, at_least=size_of_sum)


@pytest.mark.parametrize("layout", [torch.contiguous_format, LAST])
def test_kernels_in_any_layout(layout: torch.memory_format):
    x, kernels = maps(2, 16, 8, 8, seed=0), maps(16, 16, 3, 3, seed=1)
    found = native.gradient_of_kernels(x, x, kernels.contiguous(memory_format=layout))
    assert torch.equal(found, native.gradient_of_kernels(x, x, kernels))
    assert torch.equal(native.convolved(x, kernels.contiguous(memory_format=layout)), native.convolved(x, kernels))


# --- BatchNorm


def norm(x: Tensor, added: Tensor | None, weight: Tensor, bias: Tensor, running: list[Tensor], relu: bool) -> Tensor:
    """BatchNorm, the sum and ReLU by torch."""
    out = F.batch_norm(x, *running, weight, bias, training=True, momentum=MOMENTUM, eps=EPS)
    out = out if added is None else out + added
    return F.relu(out) if relu else out


def norm_and_gradients(
    x: Tensor, added: Tensor | None, weight: Tensor, bias: Tensor, gradient: Tensor, relu: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """What torch computes: the output and the gradients of all inputs; and the running statistics."""
    inputs = [each.detach().requires_grad_() for each in (x, added, weight, bias) if each is not None]
    running = [torch.zeros_like(weight), torch.ones_like(weight)]
    out = norm(inputs[0], None if added is None else inputs[1], *inputs[-2:], running, relu)
    return [out.detach(), *torch.autograd.grad(out, inputs, gradient)], running


@settings(deadline=None, max_examples=100)
@given(sizes, st.integers(0, 10**6), st.booleans(), st.booleans(), st.sampled_from([0.0, 3.0, 1000.0]))
def test_norms_of_all_sizes(size: tuple[int, ...], seed: int, adds: bool, relu: bool, offset: float):
    images, channels, _, height, width = size
    shape = (images + 1, channels, height, width)
    x, gradient = maps(*shape, seed=seed) + offset, maps(*shape, seed=seed + 1)
    added = maps(*shape, seed=seed + 2) if adds else None
    weight, bias = torch.rand(channels) + 0.5, torch.randn(channels)
    running = torch.zeros(channels), torch.ones(channels)
    out, state = native.norm_forward(x, added, weight, bias, running, MOMENTUM, EPS, relu)
    found = out, *native.norm_backward(x, gradient, out if adds else None, state, relu)
    usual, usual_running = norm_and_gradients(x, added, weight, bias, gradient, relu)
    doubles = [None if each is None else each.double() for each in (x, added, weight, bias, gradient)]
    exact, exact_running = norm_and_gradients(*doubles, relu)
    for own, by_torch, expected in zip(running, usual_running, exact_running, strict=True):
        assert_exact(own, by_torch, expected)
    assert_exact(out, usual[0], exact[0])
    if relu and (exact[0].abs() < 1e-3).any():  # rounding may decide on which side of 0 a value is
        return
    steepest = float((state[1] * weight).max() * gradient.abs().max())  # gradients of few values nearly cancel
    for own, by_torch, expected in zip(
        [each for each in found if each is not None][1:], usual[1:], exact[1:], strict=True
    ):
        assert_exact(own, by_torch, expected, at_least=steepest)


def test_norms_are_more_exact_than_those_of_torch():
    x, gradient = maps(128, 16, 32, 32, seed=0) + 2, maps(128, 16, 32, 32, seed=1)
    weight, bias = torch.ones(16), torch.zeros(16)

    def statistics() -> list[Tensor]:
        return [torch.zeros(16), torch.ones(16)]

    _, state = native.norm_forward(x, None, weight, bias, tuple(statistics()), MOMENTUM, EPS, False)
    found = native.norm_backward(x, gradient, None, state, False)
    results = []
    for dtype in (torch.float32, torch.float64):
        inputs = [each.to(dtype).requires_grad_() for each in (x, weight, bias)]
        out = norm(inputs[0], None, *inputs[1:], [each.to(dtype) for each in statistics()], relu=False)
        results.append(torch.autograd.grad(out, inputs, gradient.to(dtype)))
    for own, usual, exact in zip((found[0], *found[2:]), *results, strict=True):
        assert error(own, exact) <= max(error(usual, exact), 1e-6)


# --- all kernels


def everything(x: Tensor, added: Tensor, kernels: Tensor) -> list[Tensor]:
    channels = x.shape[1]
    weight, bias, running = torch.ones(channels), torch.zeros(channels), (torch.zeros(channels), torch.ones(channels))
    out, state = native.norm_forward(x, added, weight, bias, running, MOMENTUM, EPS, True)
    back = native.norm_backward(x, added, out, state, True)
    convolutions = native.convolved(x, kernels), native.gradient_of_input(x, kernels)
    return [out, state, *running, *(each for each in back if each is not None), *convolutions,
            native.gradient_of_kernels(x, added, kernels)]  # fmt: skip


@pytest.mark.parametrize("channels", [16, 19, 64])
def test_bits_do_not_depend_on_threads(channels: int):
    x, added = (maps(9, channels, 14, 11, seed=seed) for seed in (0, 1))
    kernels, before, found = maps(channels, channels, 3, 3, seed=2), torch.get_num_threads(), []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        found.append(everything(x, added, kernels))
    torch.set_num_threads(before)
    for others in found[1:]:
        assert all(map(torch.equal, found[0], others))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_passes_through(value: float):
    x, added, kernels = maps(2, 16, 8, 8, seed=0), maps(2, 16, 8, 8, seed=1), maps(16, 16, 3, 3, seed=2)
    x[0, 3, 4, 4] = value
    results = everything(x, added, kernels)
    assert not any(result.isfinite().all() for result in (results[0][:, 3], results[1][:, 3], *results[-3:]))


def test_a_lack_of_memory_is_an_error():
    """In a process with little more memory than it has already."""
    program = """
import resource, torch
from resnet_lab.kernels import native
x, kernels = torch.randn(1, 768, 4, 4).contiguous(memory_format=torch.channels_last), torch.randn(768, 768, 3, 3)
native.convolved(x[:, :16].contiguous(memory_format=torch.channels_last), kernels[:16, :16])
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 40 * 2**20,) * 2)
for call in (lambda: native.gradient_of_kernels(x, x, kernels), lambda: native.convolved(x, kernels)):
    try:
        call()
    except (MemoryError, RuntimeError):
        print("refused")
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.count("refused") >= 1


@pytest.mark.long
def test_addresses_are_right(tmp_path: Path):
    """A program with exact memory of its own calls every kernel, watched by the address sanitizer."""
    program, source = tmp_path / "program", Path(__file__).parent / "addresses.c"
    flags = ["-O1", "-g", "-march=native", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    sources = [build.FOLDER / f"{name}.c" for name in build.SOURCES]
    subprocess.run(["gcc", *flags, "-o", program, source, *sources, "-lm"], check=True)
    subprocess.run([program], check=True, env=os.environ | {"ASAN_OPTIONS": "detect_leaks=1"})
