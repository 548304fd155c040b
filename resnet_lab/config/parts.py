"""Settings of a network's stem, head and details of implementation."""

from dataclasses import dataclass, field
from typing import Any

from resnet_lab.config.checks import require, require_bounded, require_within
from resnet_lab.config.fields import setting
from resnet_lab.config.model_enums import Downsample, Init, LatentLayer, Norm, ProjectionInput, StrideOn
from resnet_lab.config.registry import UNITS


def _has_stem(model: Any) -> bool:
    return not model.stem.leaves_out


def _normalises(model: Any) -> bool:
    return model.norm is not Norm.none


def _projects_from_activated_input(model: Any) -> bool:
    """Return whether `projection_input` matters: units have a shortcut, and activate before their first convolution."""
    return model.activation.preactivates and model.crosses


def _moves_stride(model: Any) -> bool:
    return (
        model.strides_in_units
        and model.downsample is not Downsample.max_pool
        and UNITS.info(model.unit).stride_can_move
    )


@dataclass(slots=True, kw_only=True)
class StemConfig:
    """Layers before the first stack: convolution, BatchNorm, ReLU, and optional downsampling."""

    kernel: int = setting(3, used=_has_stem)
    stride: int = 1
    filters: int = 16  # 0: no stem
    double: bool = False  # add a 3x3 convolution with stride 2, BatchNorm, ReLU
    # Three convolutions for the first: kernel and stride, 3x3, both with half the filters; 3x3.
    deep: bool = setting(False, used=_has_stem)
    pool: bool = False  # add 3x3 max-pooling with stride 2, as for ImageNet
    # BatchNorm and ReLU after the last convolution, as far as model.activation has them there.
    activation: bool = setting(True, used=_has_stem)

    def __post_init__(self) -> None:
        require_within(self, "model.stem", kernel=(1, 255), stride=(1, 64), filters=(0, 65536))
        require(
            not self.leaves_out or self.strides == [1, 1, 1],
            "model.stem.filters=0 leaves out the stem, which then cannot reduce the map size: leave out its stride, "
            "double and pool",
        )
        require(
            not self.deep or self.filters % 2 == 0,
            f"model.stem.deep halves the filters: model.stem.filters must be even, got {self.filters}",
        )
        require(self.kernel % 2 == 1, f"model.stem.kernel must be odd, for symmetric padding, got {self.kernel}")

    @property
    def leaves_out(self) -> bool:
        """Whether there is no stem: the first unit is given the image."""
        return self.filters == 0

    @property
    def strides(self) -> list[int]:
        """Factors by which the stem reduces the map size, in order."""
        return [self.stride, 2 if self.double else 1, 2 if self.pool else 1]


@dataclass(slots=True, kw_only=True)
class HeadConfig:
    """Layers after the last stack: hidden layers with ReLU, a linear latent layer, the output layer."""

    hidden: list[int] = field(default_factory=list)
    latent_dim: int | None = None  # None: no latent layer
    latent_layer: LatentLayer = setting(LatentLayer.dense, used=lambda model: model.head.latent_dim is not None)

    def __post_init__(self) -> None:
        require_bounded(self, "model.head.")
        require_within(self, "model.head", hidden=(1, 10**6), latent_dim=(1, 10**6))
        require(
            not self.hidden or self.layer is not LatentLayer.map,
            f"model.head.latent_layer=map is a convolution: leave out model.head.hidden={self.hidden}",
        )

    @property
    def layer(self) -> LatentLayer | None:
        """The kind of latent layer; None if there is none."""
        return None if self.latent_dim is None else self.latent_layer


@dataclass(slots=True, kw_only=True)
class LineageConfig:
    """Details that differ between published implementations of the same network."""

    conv_bias: bool = setting(False, used=_normalises)  # of every convolution; always on without a norm
    projection_input: ProjectionInput = setting(ProjectionInput.activated, used=_projects_from_activated_input)
    stride_on: StrideOn = setting(StrideOn.first, used=_moves_stride)
    norm_eps: float = setting(1e-5, used=_normalises)
    # Weight of the new batch in the running statistics.
    norm_momentum: float = setting(0.1, used=lambda model: model.norm is Norm.batch)
    init: Init = Init.fan_out

    def __post_init__(self) -> None:
        require_within(self, "model.lineage", norm_eps=(1e-12, 1))
        require(0 < self.norm_momentum <= 1, f"model.lineage.norm_momentum must be in (0, 1], got {self.norm_momentum}")
