"""The learning-rate range test (Smith, arXiv:1506.01186): train while the rate grows, and look where the loss falls."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.progress import track
from scipy.ndimage import gaussian_filter1d

from resnet_lab.bench.measure import Ready, ready
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.schema import Config
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.loader import Batch, TrainLoader
from resnet_lab.data.stores import store_of
from resnet_lab.training.log import console
from resnet_lab.training.optimizer import set_rates
from resnet_lab.training.schedule import rates as scheduled

SMOOTHING = 0.02  # of the steps: standard deviation of the window over which losses are averaged
BEYOND = 4.0  # times the lowest loss, where the test ends
FEWEST = 20  # steps


@dataclass(frozen=True, slots=True)
class RangeTest:
    """Learning rates, the loss of the mini-batch trained with each, and the local mean of these losses."""

    rates: np.ndarray
    losses: np.ndarray
    smooth: np.ndarray

    @property
    def steepest(self) -> int:
        """The step at which the mean loss falls fastest over the logarithm of the rate, before its lowest value."""
        lowest = int(self.smooth.argmin())
        if lowest < 2:
            raise ConfigError("the loss never falls: test lower rates, as in --lowest 1e-8")
        slopes = np.gradient(self.smooth, np.log(self.rates))
        return int(slopes[: lowest + 1].argmin())

    @property
    def suggestion(self) -> float:
        return float(self.rates[self.steepest])


def range_test(config: Config, lowest: float, highest: float, steps: int) -> RangeTest:
    """Train a new network with rates from `lowest` to `highest`, at equal ratios, or until the loss explodes.

    Raises ConfigError when a setting or the data is wrong, and as `ready` does.
    """
    rates = np.geomspace(lowest, highest, steps)
    data = ImageData(config)
    torch.manual_seed(config.seed)
    losses: list[float] = []
    first = scheduled(config.optim, 0, steps)
    with ready(data.measured()) as training:
        shown = track(rates, "learning rates", console=console, transient=True, disable=not console.is_terminal)
        for rate, (images, labels) in zip(shown, _batches(config, data, training), strict=False):
            set_rates(training.optimizer, first._replace(lr=float(rate)))
            training.totals.reset()
            training.step(images, labels)
            losses.append(training.totals.means()[0])
            if not math.isfinite(losses[-1]) or (len(losses) > FEWEST and losses[-1] > BEYOND * min(losses)):
                break
    kept = np.array([loss for loss in losses if math.isfinite(loss)])
    return RangeTest(rates[: len(kept)], kept, gaussian_filter1d(kept, SMOOTHING * steps, mode="nearest"))


def draw(found: RangeTest, title: str) -> Figure:
    """Draw the losses over the rates, and mark the suggestion."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    ax = figure.subplots()
    ax.semilogx(found.rates, found.losses, ".", ms=3, color="#56b4e9", label="mini-batches")
    ax.semilogx(found.rates, found.smooth, "-", color="#0072b2", label="local mean")
    at = found.steepest
    ax.plot(found.rates[at], found.smooth[at], "s", color="#d55e00", label=f"steepest: {found.suggestion:.2g}")
    ax.set(xlabel="learning rate", ylabel="training loss")
    ax.set_title(title, parse_math=False)
    ax.set_ylim(0, 1.3 * float(found.smooth[:FEWEST].max()))
    ax.legend()
    return figure


def _batches(config: Config, data: ImageData, training: Ready) -> Iterator[Batch]:
    """Yield the mini-batches of one epoch after another."""
    images = store_of(data.source.train, config.data, training.totals.loss.device)
    loader = TrainLoader(images, data.train_rows, data.normalise, config, steps_per_call=1)
    dtype = next(training.net.parameters()).dtype
    for epoch in itertools.count():
        loader.set_epoch(epoch)
        for pixels, labels in loader:
            yield pixels.to(dtype), labels
