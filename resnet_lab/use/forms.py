"""What is said of an image, and in which columns: a ranking of classes, the probability of each attribute, a number."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

import numpy.typing as npt

from resnet_lab.config.enums import Labels

MOST_ATTRIBUTES = 12  # that have a column each in a table; of more, it names only those that are on


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says of an image, or why the image could not be read."""

    file: Path
    ranking: tuple[tuple[str, float], ...] = ()  # classes with their probabilities, the most probable first
    failure: str = ""
    attributes: Mapping[str, float] = field(default_factory=dict)  # the probability of each
    number: float | None = None
    # What an autoencoder makes of the image, (C, H, W) in uint8, or of the series, (C, L) in float32.
    picture: npt.NDArray[Any] | None = None
    mse: float = 0.0  # of its pixels in 0…1, or of the values of the series

    @property
    def psnr(self) -> float | None:
        """The ratio of the largest possible to the actual error of the picture, in dB; series have none."""
        if self.picture is not None and self.picture.ndim == 2:
            return None
        return _psnr(self.mse)

    @property
    def on(self) -> list[str]:
        """The attributes that the image more probably has than not."""
        return [name for name, value in self.attributes.items() if value > 0.5]


def _psnr(mse: float) -> float:
    return -10 * math.log10(mse) if mse else math.inf


@dataclass(frozen=True, slots=True)
class Form:
    """How the predictions of a kind are written, without the file."""

    columns: list[str]  # of CSV
    cells: Callable[[Prediction], list[Any]]
    entry: Callable[[Prediction], dict[str, Any]]  # of JSON
    headings: list[str]  # of a table
    texts: Callable[[Prediction], list[str]]


def form_of(labels: Labels | None, classes: Sequence[str], top: int = 1, dims: int = 2) -> Form:
    """Return the form of predictions; of classes, the `top` most probable ones.

    Without labels, they are pictures, or for networks of series (`dims` 1) series, which have no PSNR.
    """
    match labels:
        case None if dims == 1:
            return _one_number("mse", lambda made: made.mse, digits=4)
        case None:
            return Form(
                ["mse", "psnr"],
                lambda made: [made.mse, _psnr(made.mse)],
                lambda made: {"mse": made.mse, "psnr": _psnr(made.mse) if made.mse else None},
                ["mse", "psnr"],
                lambda made: [f"{made.mse:.4g}", f"{_psnr(made.mse):.1f} dB"],
            )
        case Labels.classes:
            return _ranking(min(top, len(classes)))
        case Labels.attributes:
            return _attributes(classes)
        case Labels.number:
            return _one_number("number", lambda made: made.number, digits=6)
        case _:
            assert_never(labels)


def _one_number(name: str, number: Callable[[Prediction], Any], digits: int) -> Form:
    return Form(
        [name],
        lambda made: [number(made)],
        lambda made: {name: number(made)},
        [name],
        lambda made: [f"{number(made):.{digits}g}"],
    )


def _ranking(top: int) -> Form:
    """The columns `class_2`, `probability_2`, … have the next most probable classes."""
    more = [f"{name}_{rank}" for rank in range(2, top + 1) for name in ("class", "probability")]

    def entry(made: Prediction) -> dict[str, Any]:
        ranking = [{"class": name, "probability": value} for name, value in made.ranking]
        return {**ranking[0], "runners_up": ranking[1:]}

    def texts(made: Prediction) -> list[str]:
        (name, value), *others = made.ranking
        runners_up = ", ".join(f"{other} {probability(its)}" for other, its in others)
        return [name, probability(value), *([runners_up] if top > 1 else [])]

    return Form(
        ["class", "probability", *more],
        lambda made: [cell for pair in made.ranking for cell in pair],
        entry,
        ["class", "probability", *(["runners-up"] if top > 1 else [])],
        texts,
    )


def _attributes(names: Sequence[str]) -> Form:
    is_short = len(names) <= MOST_ATTRIBUTES

    def texts(made: Prediction) -> list[str]:
        if is_short:
            return [", ".join(made.on) or "none", *map(probability, made.attributes.values())]
        return [", ".join(f"{name} {probability(made.attributes[name])}" for name in made.on) or "none"]

    return Form(
        ["on", *names],
        lambda made: ["; ".join(made.on), *made.attributes.values()],
        lambda made: {"on": made.on, "probabilities": dict(made.attributes)},
        ["on", *(names if is_short else ())],
        texts,
    )


def probability(share: float) -> str:
    """Format a probability in percent, with one decimal."""
    return f"{100 * share:.1f} %"
