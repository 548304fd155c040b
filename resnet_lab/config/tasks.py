"""What a task says about itself in plain data, which also stands in `result.json`: the report knows no task by name."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

from resnet_lab.config.checks import ConfigError


class Classed(Protocol):
    """What a task looks at of a `DataConfig`."""

    name: str
    num_classes: int | None


FIGURES = ("flow", "filters", "maps", "patterns", "inversion", "saliency", "mistakes")  # the parts of `inspect`


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """The number by which runs of a task are compared, and how a person reads it; lower is better."""

    score: str  # its name: `val/<score>` in TensorBoard, `test_<score>` in result.json
    unit: str = ""  # "%", "px", …
    most: float | None = None  # the largest score there can be, where there is such a one

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Self:
        """That of the run with this result.json."""
        return cls(**{name: result["task"][name] for name in ("score", "unit", "most")})

    def number(self, value: float) -> str:
        """A score without its unit: percentages as papers print them, others with four digits."""
        return f"{value:.2f}" if self.unit == "%" else f"{value:.4g}"

    def text(self, value: float) -> str:
        return f"{self.number(value)} {self.unit}".rstrip()

    def gap(self, number: str) -> str:
        """A difference of two scores with its unit."""
        return f"{number} {'points' if self.unit == '%' else self.unit}".rstrip()

    def label(self, what: str) -> str:
        """For an axis that shows `what`, as in "test error (%)"."""
        return f"{what} ({self.unit})" if self.unit else what


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInfo(Scoring):
    """How runs of a task are scored and shown. A subclass has its own outputs and labels."""

    help: str
    figures: tuple[str, ...]  # those of FIGURES that say something of such a network
    smooths: bool = False  # whether its loss takes `optim.label_smoothing`

    def __post_init__(self) -> None:
        if self.score == "loss" or not self.score.isidentifier():
            raise ConfigError(f"the score of {self.help} must be a word other than loss, got {self.score!r}")
        if unknown := [name for name in self.figures if name not in FIGURES]:
            raise ConfigError(f"the figures of {self.help} can be {', '.join(FIGURES)}; got {unknown[0]}")

    def described(self, name: str) -> dict[str, Any]:
        return {"name": name, **asdict(self.scoring), "figures": list(self.figures)}

    @property
    def scoring(self) -> Scoring:
        """That alone, which other processes know too."""
        return Scoring(score=self.score, unit=self.unit, most=self.most)

    def num_outputs(self, data: Classed) -> int | None:
        """How many numbers the network gives for an image; None where classes are still to be counted."""
        return data.num_classes

    def check_labels(self, labels: Any, data: Classed) -> None:
        """Raise ConfigError when an array of labels is not what the task takes: int64 (N,), the classes."""
        if labels.ndim != 1 or str(labels.dtype) != "int64":
            raise ConfigError(
                f"data={data.name}: labels must be int64 (N,), {self.help}; got {labels.dtype} {labels.shape}"
            )
        num_classes = data.num_classes or 0
        if len(labels) and not 0 <= labels.min() <= labels.max() < num_classes:
            raise ConfigError(
                f"data={data.name}: labels must be 0 to {num_classes - 1}, as data.num_classes={num_classes}; "
                f"got {labels.min()} to {labels.max()}"
            )


CLASSIFICATION = TaskInfo(
    help="one class for each image",
    score="error",
    unit="%",
    most=100.0,
    figures=FIGURES,
    smooths=True,
)

# Version 0.1 knew one task, and did not write down which.
OF_0_1 = {"task": CLASSIFICATION.described("classification")}
