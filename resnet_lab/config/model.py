"""Settings of the architecture: stem, stacks of units, head."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from resnet_lab.config.branch import AttentionConfig, StochasticDepthConfig
from resnet_lab.config.checks import ConfigError, require
from resnet_lab.config.decoder import DecoderConfig
from resnet_lab.config.fields import setting
from resnet_lab.config.model_checks import check
from resnet_lab.config.model_enums import (
    Activation,
    Attention,
    Bridges,
    DecoderKind,
    Downsample,
    LatentLayer,
    Nonlinearity,
    Norm,
    Resize,
)
from resnet_lab.config.parts import HeadConfig, LineageConfig, StemConfig
from resnet_lab.config.registry import SHORTCUTS, UNITS
from resnet_lab.config.widths import per_stack, stack_widths, unit_filters


def _read_by_shortcut(name: str) -> Callable[["ModelConfig"], bool]:
    return lambda model: model.crosses and name in SHORTCUTS.info(model.shortcut).reads


@dataclass(slots=True, kw_only=True)
class ModelConfig:
    """The architecture: everything that `ResNetV2` needs.

    `units` and `reduction` have one entry per stack, or one for all stacks; `filters` has one entry per stack, or one
    that doubles from stack to stack (with concatenating `bridges`: one for all stacks). A plain number is a list of
    one. `reduction` is filters / bottleneck maps (1: no bottleneck). `num_classes` is the number of outputs of the last
    layer; with 0, there is no such layer: the network is the encoder of an autoencoder.
    """

    in_channels: int
    num_classes: int
    # [height, width] or one number, in pixels; of series, the length. Only networks whose weights depend on it need it.
    image_size: Any = setting(
        None, identity=False, used=lambda model: model.needs_size, canonical=lambda model: [*model.map_sizes[0]]
    )
    dims: int = 2  # 1: series, 2: images
    num_stacks: int = 3
    units: Any = setting(factory=lambda: [2], canonical=lambda model: model.stack_units)
    filters: Any = setting(
        factory=lambda: [64], canonical=lambda model: model.filters if model.widening else model.stack_filters
    )
    widening: int = 0  # filters / reduction that all units together add, in even steps (arXiv:1610.02915)
    reduction: Any = setting(factory=lambda: [4], canonical=lambda model: model.stack_reductions)
    unit: str = "bottleneck"
    # Of the convolutions of every unit: one for each, or one for all that are larger than 1x1. None: those of `unit`.
    kernels: Any = setting(
        None,
        used=lambda model: model.unit_kernels not in (None, [*UNITS.info(model.unit).kernels]),
        canonical=lambda model: model.unit_kernels,
    )
    activation: Activation = Activation.full_preactivation
    norm: Norm = Norm.batch
    norm_groups: int = setting(16, used=lambda model: model.norm is Norm.group)
    weight_standardisation: bool = False  # of the convolutions of stem and units (arXiv:1903.10520)
    nonlinearity: Nonlinearity = Nonlinearity.relu
    shortcut: str = setting("projection", used=lambda model: model.bridges.around_units)
    resize: Resize = setting(Resize.projection, used=_read_by_shortcut("resize"))
    projection_kernel: int = setting(1, used=lambda model: model.projects)  # of the convolutions on shortcuts
    shortcut_scale: float = setting(0.5, used=_read_by_shortcut("shortcut_scale"))
    residual_scale: float = setting(0.5, used=_read_by_shortcut("residual_scale"))
    # Average the positions that a shortcut's stride skips, before the projection or the zero maps (ResNet-D).
    shortcut_pool: bool = setting(False, used=lambda model: model.strides_on_shortcuts)
    gate_bias: float = setting(-6.0, used=_read_by_shortcut("gate_bias"))  # initial bias of the gates
    shortcut_dropout: float = setting(0.5, used=_read_by_shortcut("shortcut_dropout"))  # dropout probability
    unit_dropout: float = 0.0  # probability of dropout before the last convolution of every unit
    learned_scale: float | None = None  # initial value of a learned factor of each residual branch; None: no factor
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    stochastic_depth: StochasticDepthConfig = field(default_factory=StochasticDepthConfig)
    cardinality: int = 1  # groups of the bottleneck's 3x3 convolution
    base_width: int = 64  # bottleneck maps of a group, of 64 filters / reduction
    bridges: Bridges = Bridges.unit
    # Maps that the transition before a stack keeps, of those that it is given.
    compression: float = setting(1.0, used=lambda model: model.transitions)
    downsample: Downsample = setting(
        Downsample.stride,
        used=lambda model: model.strides_in_units or model.blurs_stem or model.keeps_size,
        canonical=lambda model: model.downsample if model.blurs_shortcuts else model.downsample.of_branch,
    )
    stem: StemConfig = field(default_factory=StemConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    lineage: LineageConfig = field(default_factory=LineageConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)

    drops_maps: ClassVar[bool] = False  # whether shortcuts without weights can drop maps

    def __post_init__(self) -> None:
        for name in ("units", "filters", "reduction", *(["kernels"] if self.kernels is not None else [])):
            value = getattr(self, name)
            setattr(self, name, value if isinstance(value, list) else [value])
        check(self)
        if self.decodes:
            self._check_decoder()

    def _check_decoder(self) -> None:
        try:
            self._mirrored(self.decoder)
        except ConfigError as error:
            own = "units|filters|reduction|unit|activation|shortcut"
            message = str(error).replace("bottleneck=none", "model.decoder.reduction=1")
            message = re.sub(rf"\bmodel\.({own})\b", r"model.decoder.\1", message)
            message = re.sub(r"(?<![\w.])(unit|shortcut|activation)=", r"model.decoder.\1=", message)
            raise ConfigError(f"the decoder: {message}") from error

    @property
    def decodes(self) -> bool:
        """Whether a decoder follows the latent layer."""
        return self.num_classes == 0

    @property
    def crosses(self) -> bool:
        """Whether units have shortcuts of their own."""
        return self.bridges.around_units and SHORTCUTS.info(self.shortcut).crosses

    @property
    def transitions(self) -> bool:
        """Whether a convolution stands between stacks."""
        return self.bridges is Bridges.stack_concat and self.num_stacks > 1

    @property
    def projects(self) -> bool:
        """Whether a shortcut is a convolution where the shape changes."""
        shortcut = SHORTCUTS.info(self.shortcut)
        pads = shortcut.pads or ("resize" in shortcut.reads and self.resize is Resize.zero_pad)
        return self.crosses and not pads

    @property
    def strides_in_units(self) -> bool:
        """Whether the map size is reduced between stacks, as `downsample` says."""
        return self.num_stacks > 1 and not self.bridges.concatenates and not self.keeps_size

    @property
    def keeps_size(self) -> bool:
        """Whether all of several stacks have the same map size."""
        return self.num_stacks > 1 and self.downsample is Downsample.none

    @property
    def blurs_stem(self) -> bool:
        """Whether the stem's pooling blurs."""
        return self.stem.pool and self.downsample.blurs

    @property
    def blurs_shortcuts(self) -> bool:
        """Whether a shortcut could blur, since it reduces the map size and does not average."""
        return self.strides_on_shortcuts and not self.shortcut_pool

    @property
    def strides_on_shortcuts(self) -> bool:
        """Whether a shortcut reduces the map size."""
        return self.crosses and self.num_stacks > 1 and self.downsample not in (Downsample.max_pool, Downsample.none)

    @property
    def needs_size(self) -> bool:
        """Whether weights depend on the size of the images."""
        return self.head.layer is LatentLayer.flat or self.decodes

    @property
    def latent_dim(self) -> int:
        """The width of the latent space: of the latent layer or, without one, of what the classifier would be given."""
        return self.head.latent_dim or [self.out_maps, *self.head.hidden][-1]

    @property
    def mirrored(self) -> "MirroredModel":
        """The decoder's stacks as a model of their own."""
        return self._mirrored(self.decoder)

    def own_of_decoder(self, setting: str, name: str) -> Any:
        """Return a property of the decoder's stacks; None if its setting gives what `decoder.kind` does."""
        if getattr(self.decoder, setting) is None:
            return None
        own, usual = (
            getattr(self._mirrored(decoder), name) for decoder in (self.decoder, DecoderConfig(kind=self.decoder.kind))
        )
        return None if own == usual else own

    def _mirrored(self, own: DecoderConfig) -> "MirroredModel":
        plain = own.kind is DecoderKind.plain
        usual: dict[str, Any] = {
            "units": [1] if plain else self.stack_units[::-1],
            "filters": self.stack_filters[::-1],
            "reduction": [1] if plain else self.stack_reductions[::-1],
            "unit": "conv" if plain else self.unit,
            "activation": Activation.relu_before_addition if plain else self.activation,
            "shortcut": "none" if plain or self.bridges is Bridges.none else self.shortcut,
        }
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        values["shortcut_pool"] = False  # shortcuts enlarge maps here
        values["bridges"] = Bridges.stack if self.bridges is Bridges.stack else Bridges.unit  # around what there is
        if plain:
            standard = {"attention": AttentionConfig(), "stochastic_depth": StochasticDepthConfig()}
            values |= standard | {"unit_dropout": 0.0, "learned_scale": None, "cardinality": 1, "base_width": 64}
        values |= {name: value if getattr(own, name) is None else getattr(own, name) for name, value in usual.items()}
        if values["unit"] != self.unit:
            values["kernels"] = None
        downsample = Downsample.none if self.keeps_size else Downsample.stride
        made = MirroredModel(**values | {"num_classes": 1, "downsample": downsample})
        return replace(made, stem=replace(self.stem, filters=made.stack_filters[0]))

    @property
    def narrow_attention(self) -> list[int]:
        """Numbers of maps that attention acts on and that are below `attention.reduction`."""
        if self.attention.kind is Attention.none:
            return []
        acts_on = (stack.inputs if self.attention.on_input else stack.outputs for stack in stack_widths(self))
        return sorted({width for widths in acts_on for width in widths if width < self.attention.reduction})

    @property
    def map_sizes(self) -> list[tuple[int, ...]]:
        """Height and width (or length) of the image, after each stride of the stem, and after each stack but the first.

        Raises ConfigError if `image_size` is not set.
        """
        require(self.image_size is not None, "model.image_size is needed: the weights depend on the size of the images")
        sides = self.image_size if isinstance(self.image_size, list) else [self.image_size] * self.dims
        sizes = [tuple(sides)]
        for stride in self.strides:
            sizes.append(tuple(math.ceil(side / stride) for side in sizes[-1]))
        return sizes

    @property
    def strides(self) -> list[int]:
        """Factors by which stem and stacks reduce the map size, in order."""
        return [*self.stem.strides, *[1 if self.keeps_size else 2] * (self.num_stacks - 1)]

    @property
    def stem_maps(self) -> int:
        """The number of maps that the first unit is given."""
        return self.stem.filters or self.in_channels

    @property
    def unit_kernels(self) -> list[int] | None:
        """The kernels of a unit's convolutions; None for those that a unit of one's own has."""
        own = UNITS.info(self.unit).kernels
        if self.kernels is None or len(self.kernels) > 1:
            return self.kernels or [*own] or None
        return [self.kernels[0] if kernel > 1 else 1 for kernel in own]

    @property
    def stack_units(self) -> list[int]:
        return [*self.units] if len(self.units) > 1 else [*self.units] * self.num_stacks

    @property
    def stack_filters(self) -> list[int]:
        """The filters of each stack; with `widening`, of its last unit."""
        return [widths[-1] for widths in self.unit_filters]

    @property
    def unit_filters(self) -> list[list[int]]:
        """The filters of the units of each stack."""
        return unit_filters(self)

    @property
    def out_maps(self) -> int:
        """The number of maps that the head is given."""
        return stack_widths(self)[-1].out

    @property
    def stack_reductions(self) -> list[int]:
        return [*self.reduction] if len(self.reduction) > 1 else [*self.reduction] * self.num_stacks

    @property
    def bottlenecks(self) -> list[int]:
        """The bottleneck maps of all units."""
        stacks = zip(self.unit_filters, self.stack_reductions, strict=True)
        return [self.bottleneck_maps(width, reduction) for widths, reduction in stacks for width in widths]

    def bottleneck_maps(self, filters: int, reduction: int) -> int:
        """Return cardinality · ⌊filters / reduction · base_width / 64⌋ (arXiv:1611.05431)."""
        return self.cardinality * (filters // reduction * self.base_width // 64)


class MirroredModel(ModelConfig):
    """A decoder's stacks, whose first units enlarge maps. Its shortcuts can drop maps where others add zero maps."""

    __slots__ = ()
    drops_maps = True

    @property
    def unit_filters(self) -> list[list[int]]:
        """A single number is that of the last stack, and doubles towards the latent space."""
        filters = [*self.filters] if len(self.filters) > 1 else per_stack(self.filters, self.num_stacks)[::-1]
        return [[width] * count for width, count in zip(filters, self.stack_units, strict=True)]
