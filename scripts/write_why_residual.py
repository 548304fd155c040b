"""Write docs/results/why_residual.md and its figures from measured.json: `python scripts/write_why_residual.py`."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from resnet_lab.config.tasks import CLASSIFICATION
from resnet_lab.report.scale import Scale
from resnet_lab.report.statistics.effects import contrast
from resnet_lab.report.statistics.means import estimate
from resnet_lab.report.statistics.summary import LEVEL

RESULTS = Path(__file__).parents[1] / "docs" / "results"
FOLDER, PAGE = RESULTS / "why_residual", RESULTS / "why_residual.md"

# Shortcuts of the units, of the stacks → name, colour, style.
KINDS = {
    ("none", False): ("plain", "#c2410c", "-"),
    ("projection", False): ("residual", "#2563eb", "-"),
    ("none", True): ("plain, stacks bridged", "#f59e0b", "--"),
    ("projection", True): ("residual, stacks bridged", "#0d9488", "--"),
}
KIND_NAMES = [name for name, *_ in KINDS.values()]
PAIRS = [("plain", "residual"), ("plain", "plain, stacks bridged"), ("residual", "residual, stacks bridged")]
TEST_IMAGES = 360
STACKS = {"stacks.0": "first", "stacks.1": "second", "stacks.2": "third"}

Run = dict[str, Any]
Groups = dict[int, dict[str, list[Run]]]  # by depth and kind, in the order of seeds


def main() -> None:
    """Figures, then the page."""
    measured = json.loads((FOLDER / "measured.json").read_text())
    groups = grouped(measured["runs"])
    for name, draw in {"curves": curves, "gradients": gradients, "inversion": inversion}.items():
        draw(groups).savefig(FOLDER / f"{name}.png", dpi=110)
    PAGE.write_text(page(measured, groups))
    print(f"{PAGE} is written")


def grouped(runs: Sequence[Run]) -> Groups:
    """Runs by depth and kind."""
    groups: Groups = {depth: {name: [] for name, *_ in KINDS.values()} for depth in sorted({r["depth"] for r in runs})}
    for run in sorted(runs, key=lambda run: run["seed"]):
        groups[run["depth"]][KINDS[run["shortcut"], run["stack_shortcut"]][0]].append(run)
    return groups


def panels(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, np.ndarray]:
    """A figure and its axes (rows, columns); rows share their scale."""
    figure = Figure(figsize=(size[0] * columns, 0.5 + size[1] * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, sharey="row")


def lines(ax: Any, group: Mapping[str, list[Run]], values: Callable[[Run], Sequence[float]]) -> None:
    """A line for every kind: the mean over seeds, and from the smallest to the largest."""
    for name, colour, style in KINDS.values():
        table = np.array([values(run) for run in group[name]])
        x = np.arange(table.shape[1])
        ax.plot(x, table.mean(0), style, color=colour, lw=1.5, label=name)
        ax.fill_between(x, table.min(0), table.max(0), color=colour, alpha=0.15, lw=0)
    ax.grid(alpha=0.3)


def finished(figure: Figure, axes: np.ndarray, title: str) -> Figure:
    """With title and legend."""
    figure.suptitle(title, fontsize="medium")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize="small")
    return figure


def curves(groups: Groups) -> Figure:
    """Training error by epoch, a panel for each depth."""
    figure, axes = panels(1, len(groups), (3.3, 3.2))
    for ax, (depth, group) in zip(axes[0], groups.items(), strict=True):
        lines(ax, group, lambda run: run["train_error"])
        ax.set(title=f"{depth} layers", xlabel="epoch", yscale="symlog", ylim=(0, 100))
        ax.set_yticks([0, 1, 2, 5, 10, 20, 50, 100], map(str, [0, 1, 2, 5, 10, 20, 50, 100]))
    axes[0, 0].set_ylabel("training error (%)")
    return finished(figure, axes, "training; lines are means over seeds, shades from the smallest to the largest")


def gradients(groups: Groups) -> Figure:
    """The gradient by each part's output over depth, before and after training."""
    figure, axes = panels(2, len(groups), (3.3, 2.7))
    for row, when in zip(axes, ("start", "end"), strict=True):
        for ax, (depth, group) in zip(row, groups.items(), strict=True):
            lines(ax, group, lambda run, when=when: run["flow"][when]["signal"])  # type: ignore[misc]
            ax.set(title=f"{depth} layers, {'before' if when == 'start' else 'after'} training", yscale="log")
    for ax in axes[1]:
        ax.set_xlabel("unit, from the stem on")
    for ax in axes.flat:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    for ax in axes[:, 0]:
        ax.set_ylabel("norm of the gradient\nby the unit's output")
    return finished(figure, axes, "gradients of the loss over depth")


def inversion(groups: Groups) -> Figure:
    """What is lost of images after each stack, by spatial frequency, for the shallowest and the deepest networks."""
    depths = [min(groups), max(groups)]
    figure, axes = panels(2, len(STACKS), (4, 2.8))
    for row, depth in zip(axes, depths, strict=True):
        for ax, (layer, ordinal) in zip(row, STACKS.items(), strict=True):
            lines(ax, groups[depth], lambda run, layer=layer: run["lost"][layer])  # type: ignore[misc]
            frequencies = groups[depth]["plain"][0]["frequencies"]
            ax.set_xticks(range(len(frequencies)), [f"{f:g}" for f in frequencies])
            ax.set(title=f"{depth} layers, after the {ordinal} stack", xlabel="cycles per pixel", yscale="log")
            ax.axhline(1, color="grey", lw=0.8)
    for ax in axes[:, 0]:
        ax.set_ylabel("power of the error / of the image")
    return finished(figure, axes, "images found again from a stack's output, by spatial frequency; 1: the mean colour")


def page(measured: Mapping[str, Any], groups: Groups) -> str:
    """The whole page; every number and every verdict comes from the file."""
    runs = measured["runs"]
    seeds = sorted({run["seed"] for run in runs})
    commits = sorted({(run["git_commit"] or "unknown")[:7] for run in runs})
    depths = list(groups)
    return "\n".join(
        [
            "# Why residual networks?\n",
            f"Plain and residual networks of {', '.join(map(str, depths))} layers on scikit-learn's digits, with and "
            "without a shortcut around each whole stack: what training makes of them, how gradients flow through them, "
            f"and what they still know of an image inside. {len(seeds)} seeds each. "
            "Written by `python scripts/write_why_residual.py` from [measured.json](why_residual/measured.json).\n",
            "```bash\n"
            "resnet-lab -m +sweep=plain_vs_residual 'seed=range(3)' unit=basic bottleneck=none \\\n"
            "    filters=w16 bridges=unit,stack name=why_residual\n"
            "python scripts/measure_why_residual.py outputs/why_residual\n"
            "python scripts/write_why_residual.py\n"
            "```\n",
            f"Trained on {', '.join(sorted({run['device'] for run in runs}))} at commit {', '.join(commits)}; two "
            "convolutions a unit, filters 16, 32, 64, 50 epochs of the default recipe.\n",
            "## Training\n",
            "![Training error by epoch](why_residual/curves.png)\n",
            caption("Training error by epoch", seeds),
            errors_table(groups, "test_error", "Test error in % after the last epoch"),
            errors_table(groups, "train_error", "Training error in % in the last epoch"),
            "How many times as large the test error becomes (geometric means over seeds; logarithms, since the spread "
            "grows with the error; each group with its own variance), with intervals that hold together with 95 % "
            f"confidence (Bonferroni; n = {len(seeds)} seeds of each network):\n",
            verdicts(groups),
            "An interval that contains 1 is unresolved: more seeds would be needed to say whether the error changes, "
            "and nothing here says that it does not.\n",
            "## Gradients\n",
            "![Norm of the gradient by the output of every unit](why_residual/gradients.png)\n",
            caption("Norm of the gradient", seeds),
            "How much smaller or larger the gradient has become on its way back through all units, as the ratio of its "
            "norm at the stem to that at the last unit, in powers of ten (0: unchanged), mean ± standard deviation "
            f"over {len(seeds)} seeds:\n",
            fall_table(groups),
            direction(groups),
            "## What is still known of the image\n",
            "![Error of recovered images by spatial frequency](why_residual/inversion.png)\n",
            caption("Error of recovered images", seeds),
            "Images were looked for that have the same tensor after a stack (resnet_lab.inspect.inversion; ten "
            "validation images, no prior). The error at the finest scale, half a cycle per pixel, and at the coarsest, "
            f"in parts of the image's own power there, mean ± standard deviation over {len(seeds)} seeds:\n",
            *(lost_table(groups, layer, ordinal) for layer, ordinal in STACKS.items()),
            "Where an error is above 1, that scale is not lost but made up. A search that ends before it has found the "
            "best image counts as loss too, so that these are upper bounds.\n",
        ]
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown, of numbers."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["--:"] * len(head), *rows]) + "\n"


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation."""
    return f"{fmean(values):.2f} ± {stdev(values):.2f}"


def last(run: Run, what: str) -> float:
    """A number of a run, of a list of them the last."""
    value = run[what]
    return float(value[-1] if isinstance(value, list) else value)


def errors_table(groups: Groups, what: str, title: str) -> str:
    """By depth and kind."""
    rows = [
        [f"{depth}", *(spread([last(r, what) for r in runs]) for runs in g.values())] for depth, g in groups.items()
    ]
    n = len(next(iter(groups.values()))[KIND_NAMES[0]])
    return f"{title}, mean ± standard deviation over {n} seeds:\n\n{table(['layers', *KIND_NAMES], rows)}"


def caption(what: str, seeds: Sequence[int]) -> str:
    """What a figure shows, and of how many runs."""
    return f"{what}: lines are means over {len(seeds)} seeds, shades reach from the smallest to the largest of them.\n"


def verdicts(groups: Groups) -> str:
    """The ratios of the test errors of PAIRS at every depth, and averaged over all depths."""
    errors = [run["test_error"] for group in groups.values() for runs in group.values() for run in runs]
    scale = Scale.of(CLASSIFICATION.scoring, True, errors, TEST_IMAGES)
    names = [(depth, kind) for depth in groups for kind in KIND_NAMES]
    means = estimate(
        {
            f"{depth} {kind}": [("", scale.transform(r["test_error"])) for r in groups[depth][kind]]
            for depth, kind in names
        }
    )
    averages: list[list[int]] = [*([depth] for depth in groups), [*groups]]
    rows = []
    for depths in averages:
        cells = []
        for before, after in PAIRS:
            weights = np.zeros(len(names))
            for depth in depths:
                weights[names.index((depth, after))] += 1 / len(depths)
                weights[names.index((depth, before))] -= 1 / len(depths)
            found = contrast(weights, means, LEVEL / (len(PAIRS) * len(averages)))
            low, mean, high = (scale.number(value) for value in (found.low, found.mean, found.high))
            cells.append(f"{mean} ({low} to {high}{'' if found.resolved else ', unresolved'})")
        rows.append([str(*depths) if len(depths) == 1 else "all, averaged", *cells])
    return table(["layers", *(f"{before} → {after}" for before, after in PAIRS)], rows)


def fall_table(groups: Groups) -> str:
    """How gradients change on their way, before and after training."""
    rows = [
        [f"{depth}, {words}", *(spread([fall(run, when) for run in runs]) for runs in group.values())]
        for depth, group in groups.items()
        for when, words in (("start", "before"), ("end", "after"))
    ]
    return table(["layers, training", *KIND_NAMES], rows)


def direction(groups: Groups) -> str:
    """In words, what the table says of the networks before training."""
    plain, residual = ([fall(run, "start") for g in groups.values() for run in g[name]] for name in KIND_NAMES[:2])
    grows = min(plain + residual) > 0
    more = all(
        min(fall(run, "start") for run in g["plain"]) > max(fall(run, "start") for run in g["residual"])
        for g in groups.values()
    )
    return (
        "Before training gradients "
        + ("grow on their way back in every one of these networks" if grows else "grow in some, and vanish in others")
        + (", and at every depth more in every plain one than in any residual one. " if more else ". ")
        + "All of these networks have BatchNorm, which was not varied.\n"
    )


def fall(run: Run, when: str) -> float:
    """Powers of ten between the norms of the gradient at the stem and at the last unit."""
    signal = run["flow"][when]["signal"]
    return float(np.log10(signal[0] / signal[-1]))


def lost_table(groups: Groups, layer: str, ordinal: str) -> str:
    """What is lost after a stack, at the coarsest and at the finest scale."""
    rows = [
        [f"{depth}, {words}", *(spread([run["lost"][layer][index] for run in runs]) for runs in group.values())]
        for depth, group in groups.items()
        for index, words in ((0, "coarsest"), (-1, "finest"))
    ]
    return f"After the {ordinal} stack:\n\n{table(['layers, scale', *KIND_NAMES], rows)}"


if __name__ == "__main__":
    main()
