"""The figures of studies/why_residual.py: plain and residual networks, with and without BatchNorm."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Shortcut and norm → name, colour, style.
KINDS = {
    ("none", "batch"): ("plain, BatchNorm", "#c2410c", "-"),
    ("projection", "batch"): ("residual, BatchNorm", "#2563eb", "-"),
    ("none", "none"): ("plain, no norm", "#f59e0b", "--"),
    ("projection", "none"): ("residual, no norm", "#0d9488", "--"),
}
WIDTH = 7.5  # inches
STACKS = {"stacks.0": "first", "stacks.1": "second", "stacks.2": "third"}

Run = dict[str, Any]
Case = tuple[str, int]  # data and layers
Groups = dict[Case, dict[str, list[Run]]]  # by case and kind, in the order of seeds


def panels(rows: int, columns: int, height: float) -> tuple[Figure, np.ndarray]:
    """A figure as wide as a page, and its axes (rows, columns); rows share their scale."""
    figure = Figure(figsize=(WIDTH, 0.5 + height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, sharey="row")


def lines(ax: Any, group: Mapping[str, list[Run]], values: Callable[[Run], Sequence[float]], first: int = 0) -> None:
    """A line for every kind, from `first` on: the mean over seeds, and from the smallest to the largest."""
    for name, colour, style in KINDS.values():
        table = np.array([values(run) for run in group[name] if not run["diverged"]])
        if len(table):
            x = first + np.arange(table.shape[1])
            ax.plot(x, table.mean(0), style, color=colour, lw=1.5, label=name)
            ax.fill_between(x, table.min(0), table.max(0), color=colour, alpha=0.15, lw=0)
    ax.grid(alpha=0.3)


def finished(figure: Figure, axes: np.ndarray, title: str) -> Figure:
    """With title and legend."""
    figure.suptitle(title, fontsize="medium")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize="small")
    for ax in axes.flat:
        ax.title.set_size("medium")
    return figure


def named(case: Case) -> str:
    """In words."""
    return f"{case[0]}, {case[1]} layers"


def curves(groups: Groups) -> Figure:
    """Training error by epoch, a panel for each case."""
    figure, axes = panels(len(groups) // 2, 2, 2.2)
    for ax, (case, group) in zip(axes.flat, groups.items(), strict=True):
        lines(ax, group, lambda run: run["train_error"], first=1)
        ax.set(title=named(case), xlabel="epoch", ylim=(0, 100))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    for ax in axes[:, 0]:
        ax.set_ylabel("training error (%)")
    return finished(figure, axes, "training; lines are means over seeds, shades from the smallest to the largest")


def gradients(groups: Groups) -> Figure:
    """The gradient by each part's output over depth, before and after training."""
    figure, axes = panels(len(groups), 2, 1.9)
    for row, (case, group) in zip(axes, groups.items(), strict=True):
        for ax, when in zip(row, ("start", "end"), strict=True):
            lines(ax, group, lambda run, when=when: run["flow"][when]["signal"])  # type: ignore[misc]
            ax.set(title=f"{named(case)}, {'before' if when == 'start' else 'after'} training", yscale="log")
    for ax in axes[-1]:
        ax.set_xlabel("unit, from the stem on")
    for ax in axes.flat:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    for ax in axes[:, 0]:
        ax.set_ylabel("norm of the gradient\nby the unit's output")
    return finished(figure, axes, "gradients of the loss over depth")


def inversion(groups: Groups) -> Figure:
    """What is lost of images after each stack, by spatial frequency, for the deepest networks of each data set."""
    deepest = {data: max(layers for of, layers in groups if of == data) for data, _ in groups}
    figure, axes = panels(len(deepest), len(STACKS), 2.3)
    for row, case in zip(axes, deepest.items(), strict=True):
        for ax, (layer, ordinal) in zip(row, STACKS.items(), strict=True):
            lines(ax, groups[case], lambda run, layer=layer: run["lost"][layer])  # type: ignore[misc]
            done = next(run for runs in groups[case].values() for run in runs if not run["diverged"])
            frequencies = done["frequencies"]
            eighths = {number: f"{f:g}" for number, f in enumerate(frequencies) if f % 0.125 == 0}
            ax.set_xticks([*eighths], [*eighths.values()])
            ax.set(title=f"{named(case)},\nafter the {ordinal} stack", xlabel="cycles per pixel", yscale="log")
            ax.axhline(1, color="grey", lw=0.8)
    for ax in axes[:, 0]:
        ax.set_ylabel("power of the error\n/ of the image")
    return finished(figure, axes, "images found again from a stack's output, by spatial frequency; 1: the mean colour")
