"""Draw every schedule as the code computes it, into docs/figures/: `python scripts/draw_schedules.py`."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_lab.config.compose import load_config
from resnet_lab.training.schedule import rates

matplotlib.use("Agg")
matplotlib.rcParams |= {"svg.hashsalt": "schedules", "svg.fonttype": "none"}  # the same file every time

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
EPOCHS, STEPS = 40, 1000
LR, MOMENTUM, DECAY = "#1f77b4", "#d95f02", "#7570b3"

# Overrides without `optim.`, and what is drawn in addition to the learning rate.
PANELS = {
    "schedule=step": "",
    "schedule=linear schedule.milestones=[0,0.2,1] schedule.factors=[0.1,1,0]": "",
    "schedule=cosine schedule.floor=0.1": "",
    "schedule=cosine warmup=linear warmup_iterations=100": "",
    "schedule=one_cycle": "momentum",
    "schedule=constant warmup_iterations=100": "",
    "schedule=plateau schedule.patience=4": "loss",
    "schedule=cosine decay_schedule=step": "decay",
}


def losses() -> np.ndarray:
    """Return a validation loss for each epoch: three times, it falls for eight epochs and then no further."""
    epochs = np.arange(EPOCHS)
    level, since = 0.6 ** (epochs // 13), np.minimum(epochs % 13, 7)
    return level * (1 + 0.8 * np.exp(-since / 2.0))


def draw(axes: Axes, overrides: str, what: str) -> None:
    """Draw learning rate, and momentum, loss or weight decay, over the run, each relative to its setting."""
    optim = load_config(*(f"optim.{override}" for override in overrides.split())).optim
    history = [{"val/loss": float(loss)} for loss in losses()]
    found = [rates(optim, step, STEPS, history[: step * EPOCHS // STEPS]) for step in range(STEPS)]
    lr, momentum, decay = np.array(found).T
    share = np.arange(STEPS) / STEPS
    axes.plot(share, lr / optim.lr, color=LR, label="learning rate")
    if what == "momentum":
        axes.plot(share, momentum, color=MOMENTUM, linestyle="--", label="momentum")
    if what == "decay":
        axes.plot(share, decay / optim.weight_decay, color=DECAY, linestyle="--", label="weight decay")
    if what == "loss":
        axes.plot(np.arange(EPOCHS) / EPOCHS, losses() / losses().max(), ".", color="0.6", label="val/loss")
    axes.set_title("\n".join(overrides.split()), fontsize=8, family="monospace", loc="left")
    axes.set_ylim(-0.04, 1.06)
    axes.spines[["top", "right"]].set_visible(False)
    if what:
        axes.legend(fontsize=7, frameon=False, loc="lower center" if what == "momentum" else "upper right")


def main() -> None:
    """Draw all panels in one figure, as PNG and SVG."""
    figure = Figure(figsize=(11, 5.4), layout="constrained")
    rows = figure.subplots(2, 4, sharex=True, sharey=True)
    for axes, (overrides, what) in zip(rows.flat, PANELS.items(), strict=True):
        draw(axes, overrides, what)
    figure.supxlabel("fraction of the run", fontsize=9)
    figure.supylabel("relative to optim.lr, or to optim.weight_decay", fontsize=9)
    figure.savefig(FIGURES / "schedules.png", dpi=110)
    figure.savefig(FIGURES / "schedules.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
