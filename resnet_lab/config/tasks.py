"""Tasks described as plain data, which `result.json` stores, so that the report depends on no particular task."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Labels

# Labels as arrays: dtype and number of dimensions.
ARRAYS = {Labels.classes: ("int64", 1), Labels.attributes: ("uint8", 2), Labels.number: ("float32", 1)}


class Classed(Protocol):
    """The settings of the data that a task uses; `DataConfig` itself reads the registry, which reads this module."""

    name: str
    num_classes: int | None


TAKEN = ("loss", "train", "val", "test", "gradient", "share", "inside")  # words of TensorBoard's tags
# The parts of `inspect`: those of classifiers, and more for autoencoders.
CLASSIFIER_FIGURES = ("flow", "filters", "maps", "patterns", "inversion", "saliency", "mistakes")
AUTOENCODER_FIGURES = ("flow", "filters", "maps", "reconstructions", "spectrum", "latent", "samples")
FIGURES = tuple(dict.fromkeys((*CLASSIFIER_FIGURES, *AUTOENCODER_FIGURES)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """The score by which runs of a task are compared, and its format. Lower is better."""

    score: str  # name: `val/<score>` in TensorBoard, `test_<score>` in result.json
    unit: str = ""  # "%", "px", …
    most: float | None = None  # largest possible score, if bounded

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Self:
        """Return the scoring of the run with this result.json."""
        return cls(**{name: result["task"][name] for name in ("score", "unit", "most")})

    def number(self, value: float) -> str:
        """Format a score without its unit: percentages with 2 decimals, as in papers, others with 4 digits."""
        return f"{value:.2f}" if self.unit == "%" else f"{value:.4g}"

    def text(self, value: float) -> str:
        return f"{self.number(value)} {self.unit}".rstrip()

    def gap(self, number: str) -> str:
        """Format a difference of two scores with its unit."""
        return f"{number} {'points' if self.unit == '%' else self.unit}".rstrip()

    def label(self, what: str) -> str:
        """Return an axis label such as "test error (%)"."""
        return f"{what} ({self.unit})" if self.unit else what


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInfo(Scoring):
    """How runs of a task are scored and shown. Subclass it for other outputs or labels."""

    help: str
    figures: tuple[str, ...]  # the FIGURES that make sense for the task
    fewest_outputs: int = 1
    reads: frozenset[str] = frozenset()  # sections of settings that only some tasks read
    labels: Labels | None = None  # the labels that it needs; None: it checks them itself, or needs none
    smooths: bool = False  # whether the loss supports `optim.label_smoothing`
    weighs: bool = False  # whether the loss supports `optim.class_weights`
    soft_labels: bool = False  # whether the loss takes probabilities (B, K), as mixup and CutMix make of labels

    def __post_init__(self) -> None:
        if self.score in TAKEN or not self.score.isidentifier():
            others = ", ".join(TAKEN)
            raise ConfigError(f"the score of {self.help} must be a word other than {others}; got {self.score!r}")
        if unknown := [name for name in self.figures if name not in FIGURES]:
            raise ConfigError(f"the figures of {self.help} can be {', '.join(FIGURES)}; got {unknown[0]}")

    def described(self, name: str) -> dict[str, Any]:
        return {"name": name, **asdict(self.scoring), "figures": list(self.figures)}

    @property
    def scoring(self) -> Scoring:
        """Only the fields of `Scoring`, which processes without the task's plugin can unpickle."""
        return Scoring(score=self.score, unit=self.unit, most=self.most)

    @property
    def decodes(self) -> bool:
        """Whether the network returns images."""
        return "reconstruction" in self.reads

    @property
    def names_outputs(self) -> bool:
        """Whether each output of the network stands for a class or an attribute, which has a name."""
        return self.labels in (Labels.classes, Labels.attributes)

    def num_outputs(self, data: Classed) -> int | None:
        """Return the number of network outputs per image; None if the classes have not been counted yet."""
        if self.decodes:
            return 0
        return 1 if self.labels is Labels.number else data.num_classes

    def check_labels(self, labels: Any, data: Classed) -> None:
        """Raise ConfigError unless the array `labels` is what the task takes.

        That is (N,) int64 for classes, (N, K) uint8 of 0 and 1 for attributes, (N,) float32 for numbers.
        """
        if self.labels is None:
            return
        dtype, dimensions = ARRAYS[self.labels]
        if (str(labels.dtype), labels.ndim) != (dtype, dimensions):
            form = "(N,)" if dimensions == 1 else "(N, K)"
            raise ConfigError(
                f"data={data.name}: labels must be {dtype} {form}, {self.help}; got {labels.dtype} {labels.shape}"
            )
        least, most = (labels.min(), labels.max()) if labels.size else (0, 0)
        if self.labels is Labels.classes and not 0 <= least <= most < (data.num_classes or 0):
            count = data.num_classes or 0
            raise ConfigError(
                f"data={data.name}: labels must be 0 to {count - 1}, as data.num_classes={count}; got {least} to {most}"
            )
        if self.labels is Labels.attributes and (most > 1 or labels.shape[1] != data.num_classes):
            raise ConfigError(
                f"data={data.name}: labels must be 0 or 1 for each of data.num_classes={data.num_classes} attributes; "
                f"got up to {most} for {labels.shape[1]}"
            )
        if self.labels is Labels.number and not abs(labels).max(initial=0) < float("inf"):
            raise ConfigError(f"data={data.name}: labels must be finite numbers")


CLASSIFICATION = TaskInfo(
    help="one class for each image",
    score="error",
    unit="%",
    most=100.0,
    figures=CLASSIFIER_FIGURES,
    fewest_outputs=2,
    labels=Labels.classes,
    smooths=True,
    weighs=True,
    soft_labels=True,
)

ATTRIBUTES = TaskInfo(
    help="yes or no for each of several attributes",
    score="error",
    unit="%",
    most=100.0,
    figures=CLASSIFIER_FIGURES,
    labels=Labels.attributes,
    smooths=True,
    weighs=True,
    soft_labels=True,
)

REGRESSION = TaskInfo(
    help="one number for each image",
    score="mae",
    figures=("flow", "filters", "maps", "patterns", "inversion"),
    labels=Labels.number,
)


def _decoding(help: str, *reads: str) -> TaskInfo:
    return TaskInfo(
        help=help,
        score="mse",
        figures=AUTOENCODER_FIGURES,
        fewest_outputs=0,
        reads=frozenset({"reconstruction", *reads}),
    )


RECONSTRUCTION = _decoding("the image itself, through a latent space")
VAE = _decoding("the image itself, through a distribution over a latent space", "vae")

# Version 0.1 had only one task and did not store it, nor anything about images and classes.
DEFAULTS_OF_0_1: dict[str, Any] = {
    "task": CLASSIFICATION.described("classification"),
    "images": {},
    "test": {"last": {}, "best": None},
}
