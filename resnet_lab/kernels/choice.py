"""Whether a training step uses the kernels, and why."""

from collections.abc import Iterator

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Compile, Kernels
from resnet_lab.config.schema import Config
from resnet_lab.kernels.build import Unavailable, libraries

# Below this number of MACs per forward pass, calling the kernels from Python takes longer than they gain.
LEAST_MACS = 1_000_000_000


KINDS = {True: "native", False: "torch"}  # of kernels, as runs record them


class NoKernels(ConfigError):
    """The kernels were asked for and cannot be had; `why` is the message without advice."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}; use trainer.kernels=auto")
        self.why = why


def choose(config: Config, on_gpu: bool, precision: str, batch_macs: int) -> tuple[bool, str]:
    """Return whether to use own kernels, and what to say about it. Compiles them if needed.

    Raises NoKernels if `trainer.kernels=native` asks for what is impossible.
    """
    asked = config.trainer.kernels
    if asked is Kernels.torch:
        return False, "torch's kernels"
    if obstacle := next(_obstacles(config, on_gpu, precision), None):
        if asked is Kernels.native:
            raise NoKernels(f"trainer.kernels=native {obstacle}")
        return False, ""
    if asked is Kernels.auto and batch_macs < LEAST_MACS:
        return False, "torch's kernels (the network is small)"
    try:
        libraries()
    except Unavailable as error:
        if asked is Kernels.native:
            raise NoKernels(f"trainer.kernels=native: {error}") from error
        return False, f"torch's kernels (own ones are faster, but {error})"
    return True, "own kernels for 3x3 convolutions and BatchNorm (faster than torch's on this kind of network)"


def _obstacles(config: Config, on_gpu: bool, precision: str) -> Iterator[str]:
    """Yield what keeps a run from using the kernels."""
    if on_gpu:
        yield "is for CPUs"
    if config.data.dims != 2:
        yield "is for images"
    if precision != "32-true":
        yield f"computes in float32, but trainer.precision is {precision}"
    if not config.trainer.channels_last:
        yield "needs trainer.channels_last=true"
    if config.trainer.compile is not Compile.off:
        yield "needs trainer.compile=off"
