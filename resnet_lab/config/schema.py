"""All settings of a run as typed, checked dataclasses. Imports nothing heavy.

Hydra composes the YAML files in `conf/` with the command-line overrides, and `to_config` converts the result to a
`Config`. Invalid settings raise ConfigError with one readable message, before anything is downloaded, created or
trained.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from resnet_lab.config.checks import ConfigError, require, require_bounded
from resnet_lab.config.data import DataConfig, option_of
from resnet_lab.config.decoder import ReconstructionConfig, VaeConfig
from resnet_lab.config.enums import (
    ClassWeights,
    Corruption,
    Diagnostics,
    Labels,
    Padding,
    ReconstructionLoss,
    Sampler,
    Schedule,
)
from resnet_lab.config.fields import setting
from resnet_lab.config.infos import THINGS
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.model_enums import Norm
from resnet_lab.config.optim import OptimConfig
from resnet_lab.config.pretrained import PretrainedConfig
from resnet_lab.config.registry import AUGMENTATIONS, DATASETS, TASKS
from resnet_lab.config.trainer import TrainerConfig
from resnet_lab.config.widths import narrowest_of_last

# Entries of result.json that a search can minimise, in addition to the score.
COSTS = ("macs", "params", "activations", "seconds", "peak_memory")


def _augmentations() -> dict[str, Any]:
    return {name: AUGMENTATIONS.info(name).settings() for name in AUGMENTATIONS}


@dataclass(slots=True, kw_only=True)
class Config:
    """A complete run: architecture, recipe, data and output location."""

    name: str = setting("", identity=False)  # of the folder below output_dir; empty: name of the data set
    plugins: list[str] = setting(factory=list, identity=False)  # user modules, imported before any check
    task: str = "classification"
    model: ModelConfig
    optim: OptimConfig
    augment: dict[str, Any] = setting(factory=_augmentations)  # by name, in registry order
    trainer: TrainerConfig
    data: DataConfig
    reconstruction: ReconstructionConfig = setting(
        factory=ReconstructionConfig, used=lambda config: "reconstruction" in TASKS.info(config.task).reads
    )
    vae: VaeConfig = setting(factory=VaeConfig, used=lambda config: "vae" in TASKS.info(config.task).reads)
    pretrained: PretrainedConfig = field(default_factory=PretrainedConfig)
    seed: int = 0
    deterministic: bool = False  # bit-identical on the CPU with the same number of threads
    diagnostics: Diagnostics = setting(Diagnostics.light, identity=False)  # what TensorBoard shows about the network
    dry_run: bool = setting(False, identity=False)  # only report what would be done
    objective: list[str] = setting(factory=list, identity=False)  # what a search minimises; empty: the score
    output_dir: str = setting("outputs", identity=False)

    def __post_init__(self) -> None:
        require_bounded(self, "")
        self.name = self.name or self.data.name
        require(
            0 < len(self.name) <= 100 and self.name[0] != "." and "/" not in self.name and self.name.isprintable(),
            "name must be a folder name of at most 100 printable characters that does not begin with a dot, got "
            f"{self.name!r}",
        )
        require(0 <= self.seed < 2**32, f"seed must be 0 to {2**32 - 1}, got {self.seed}")
        task = TASKS.info(self.task)
        self._check_labels(task.labels)
        require(
            (self.model.dims, self.model.in_channels, self.model.num_classes)
            == (self.data.dims, self.data.channels, task.num_outputs(self.data))
            and self.model.image_size in (None, self.data.image_size),
            "model.dims, model.in_channels, model.num_classes and model.image_size follow data.dims, data.channels, "
            "data.num_classes and data.image_size: set those instead",
        )
        pixels_only = (ReconstructionLoss.bce, ReconstructionLoss.ssim)
        require(
            not task.decodes or self.data.dims == 2 or self.reconstruction.loss not in pixels_only,
            f"reconstruction.loss={self.reconstruction.loss.name} takes pixels in 0…1, but data={self.data.name} has "
            "series: choose mse or l1",
        )
        require(
            task.decodes or self.data.corrupt.kind is Corruption.none,
            f"data.corrupt.kind needs a task that returns images, such as task=reconstruction; got task={self.task}",
        )
        require(
            task.smooths or not self.optim.label_smoothing,
            f"optim.label_smoothing needs classes, but task={self.task} has none: set it to 0",
        )
        require(
            task.weighs or self.optim.class_weights is ClassWeights.none,
            f"optim.class_weights=balanced needs classes, but task={self.task} has none",
        )
        require(
            self.trainer.devices == 1 or self.optim.class_weights is ClassWeights.none,
            f"trainer.devices={self.trainer.devices} needs optim.class_weights=none: a weighted loss is divided by the "
            "weights of the whole mini-batch",
        )
        require(
            task.labels is Labels.classes or self.data.sampler is Sampler.shuffle,
            f"data.sampler=balanced needs classes, but task={self.task} has none",
        )
        self._check_augmentations()
        score = f"val_{task.score}"
        unknown = [name for name in self.objective if name not in (score, *COSTS)]
        require(not unknown, f"objective can be {', '.join((score, *COSTS))}, got {', '.join(unknown)}")
        require(
            score not in self.objective or self.data.validation > 0,
            f"objective=[{score}] needs a validation part, but data.validation is 0",
        )
        require(
            self.trainer.patience is None or self.data.validation > 0,
            f"trainer.patience={self.trainer.patience} needs a validation part, but data.validation is 0",
        )
        self._check_watched(task.score)
        self._check_map_sizes()

    def _check_labels(self, needed: Labels | None) -> None:
        """Raise ConfigError if the task needs other labels than those of the data."""
        data = self.data
        if needed not in (None, data.labels):
            fitting = [name for name in DATASETS if DATASETS.info(name).dims in (None, data.dims)]
            have = [name for name in fitting if DATASETS.info(name).labels is needed]
            have += [name for name in fitting if "table" in DATASETS.info(name).reads and name not in have]
            own, *options = (option_of(name, data.dims) for name in (data.name, *have))
            needs, has = (labels.value.replace("image", data.thing) for labels in (needed, data.labels))
            raise ConfigError(
                f"task={self.task} needs {needs}, but data={own} has {has}: "
                f"choose data={', '.join(options[:-1])}{' or ' if options[1:] else ''}{options[-1]}, or another task"
            )

    def _check_augmentations(self) -> None:
        """Raise ConfigError if an augmentation does not suit the images or the task."""
        channels, *sides = self.data.image_shape
        for name in (name for name, settings in self.augment.items() if settings.active):
            info = AUGMENTATIONS.info(name)
            require(
                info.dims in (None, self.data.dims),
                f"augment.{name} is for {THINGS[info.dims or self.data.dims]}, but data={self.data.name} has "
                f"{self.data.things}: leave it off, as augment=none does",
            )
            require(
                channels in (1, 3) or not info.colours,
                f"augment.{name} needs grey or RGB images, but data.channels is {channels}: leave it off",
            )
            require(
                TASKS.info(self.task).soft_labels or not info.soft_labels,
                f"augment.{name} mixes labels, which needs classes, but task={self.task} has none: leave it off",
            )
        cuts = [name for name in ("resized_crop", "scale_crop") if self.augment[name].active]
        require(len(cuts) < 2, "augment.resized_crop and augment.scale_crop both choose a part: leave one of them off")
        require(
            bool(cuts) or not self.data.whole,
            "data.whole=true is about the parts that augment.resized_crop or augment.scale_crop cut out: switch one "
            "on, or set data.whole=false",
        )
        least = self.augment["scale_crop"].shorter[0]
        require(
            "scale_crop" not in cuts or least >= max(sides),
            f"augment.scale_crop.shorter begins at {least} pixels, less than the {max(sides)} of data.image_size",
        )
        crop, units = self.augment["crop"], "pixels of these images" if sides[1:] else "positions of these series"
        require(
            crop.padding is not Padding.reflect or crop.pad < min(sides),
            f"augment.crop.padding=reflect mirrors at most {min(sides) - 1} {units}, but "
            f"augment.crop.pad is {crop.pad}",
        )

    def _check_watched(self, score: str) -> None:
        """Raise ConfigError if a plateau schedule, or the choice of the best epoch, asks for what is not recorded."""
        recorded = [f"{part}/{what}" for part in ("train", "val") for what in ("loss", score)]
        schedule = self.optim.schedule
        for name, watched in (
            ("optim.schedule.watch", schedule.watch if schedule.kind is Schedule.plateau else None),
            ("trainer.best_by", self.trainer.best_by),
        ):
            require(watched in (None, *recorded), f"{name} can be {', '.join(recorded)}; got {watched}")
            require(
                watched is None or watched.startswith("train/") or self.data.validation > 0,
                f"{name}={watched} needs a validation part, but data.validation is 0",
            )

    @property
    def best_by(self) -> str:
        """The number of the history whose lowest value marks the best epoch."""
        return self.trainer.best_by or f"val/{TASKS.info(self.task).score}"

    def _check_map_sizes(self) -> None:
        """Raise ConfigError if a map is too small to be reduced further."""
        _, *sides = self.data.image_shape
        size = min(sides)
        for stride in self.model.strides:
            require(
                stride == 1 or size >= stride,
                f"data.image_size {self.data.image_size} is too small for the stem and {self.model.num_stacks} stacks: "
                "a map of 1 pixel would be reduced further; use larger images or fewer stacks",
            )
            size = math.ceil(size / stride)
        model = self.model
        require(
            model.norm is not Norm.group or size > 1 or narrowest_of_last(model) > model.norm_groups,
            f"norm=group: model.norm_groups {model.norm_groups} leaves one value in a group, since the last maps "
            "have one pixel: take fewer groups or stacks, or larger images",
        )
