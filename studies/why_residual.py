"""Why residual networks, with and without BatchNorm? `python -m studies.why_residual [RUNS]` writes page and figures.

With RUNS, the folder with the sweeps of docs/results/why_residual/commands.sh, it looks inside their networks first.
"""

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from benchmarks.markdown import table
from resnet_lab.report.statistics.effects import Estimate, contrast
from resnet_lab.report.statistics.means import estimate
from resnet_lab.report.statistics.summary import LEVEL
from resnet_lab.rundir.files import write_json
from studies.inside import measured
from studies.look import look
from studies.why_residual_figures import KINDS, Case, Groups, Run, curves, gradients, inversion, named
from studies.words import RESULTS, change, origin, spread

SWEEPS = ("why_digits", "why_cifar")
FOLDER, PAGE = RESULTS / "why_residual", RESULTS / "why_residual.md"

NAMES = [name for name, *_ in KINDS.values()]
CHANCE = 90.0  # %: the error that a run counts with that diverged
FULL_SIZE = (
    "resnet-lab -m +experiment=cifar10_basic_20 +sweep=plain_vs_residual norm=batch,none 'seed=range(5)' name=why_full"
)

Rates = dict[Case, dict[str, dict[float, list[float]]]]  # validation errors by learning rate


def main(arguments: Sequence[str]) -> None:
    """Measure, if runs are given; then figures and page."""
    if arguments:
        write_json(FOLDER / "measured.json", {"runs": look(Path(arguments[0]), SWEEPS, measured)})
    runs = json.loads((FOLDER / "measured.json").read_text())["runs"]
    groups, _ = grouped(runs)
    for name, draw in {"curves": curves, "gradients": gradients, "inversion": inversion}.items():
        draw(groups).savefig(FOLDER / f"{name}.png", dpi=110)
    PAGE.write_text(page(runs))
    print(f"{PAGE} is written")


def grouped(runs: Sequence[Run]) -> tuple[Groups, Rates]:
    """Runs by case and kind, of each with the learning rate whose mean validation error is the lowest; and these."""
    cases = sorted({(run["data"], layers(run)) for run in runs}, key=lambda case: (case[0] != "digits", case[1]))
    groups: Groups = {case: {} for case in cases}
    rates: Rates = {case: {} for case in cases}
    for case in cases:
        for kind, (name, *_) in KINDS.items():
            own = [r for r in runs if (r["data"], layers(r)) == case and (r["shortcut"], r["norm"]) == kind]
            own.sort(key=lambda run: run["seed"])
            by_rate = {rate: [run for run in own if run["lr"] == rate] for rate in sorted({run["lr"] for run in own})}
            rates[case][name] = {rate: [error(run, "val") for run in found] for rate, found in by_rate.items()}
            best = min(by_rate, key=lambda rate: fmean(rates[case][name][rate]))
            groups[case][name] = by_rate[best]
    return groups, rates


def layers(run: Run) -> int:
    """Of a network with two convolutions a unit and three stacks."""
    return 6 * int(run["units"]) + 2


def error(run: Run, part: str) -> float:
    """After the last epoch, in %; chance for a run that diverged."""
    return CHANCE if run["diverged"] else float(run[f"{part}_error"])


def page(runs: Sequence[Run]) -> str:
    """The whole page; every number and every verdict comes from the file."""
    groups, rates = grouped(runs)
    seeds = len({run["seed"] for run in runs})
    return "\n".join(
        [
            "# Why residual networks, with and without BatchNorm?\n",
            "What shortcuts do for networks of two depths, with BatchNorm and without any norm, on scikit-learn's "
            "digits and on CIFAR-10 (JPEG copy): networks, training and question were [written down before the runs]"
            "(studies.md#why-residual-networks-with-and-without-batchnorm). "
            f"{seeds} seeds each. Written by `python -m studies.why_residual` from "
            "[measured.json](why_residual/measured.json).\n",
            "```bash\nbash docs/results/why_residual/commands.sh\npython -m studies.why_residual outputs\n```\n",
            made_on(runs),
            "## Training\n",
            "![Training error by epoch](why_residual/curves.png)\n",
            caption("Training error by epoch", seeds),
            f"Test error in % after the last epoch, mean ± standard deviation over {seeds} seeds:\n",
            cells(groups, lambda runs: spread([error(run, "test") for run in runs])),
            "Learning rates, each with the mean validation error in %; the lower one counts. A run that diverged, of "
            f"which there are {sum(run['diverged'] for run in runs)}, counts with {CHANCE:g} %:\n",
            rates_table(rates),
            "By how many points shortcuts change the test error, and by how many points BatchNorm changes that, with "
            "intervals that hold together with 95 % confidence (Bonferroni; each group with its own variance). Where "
            "the last is positive, shortcuts do more without norm; where it is negative, with BatchNorm:\n",
            verdicts(groups),
            "## Gradients\n",
            "![Norm of the gradient by the output of every unit](why_residual/gradients.png)\n",
            caption("Norm of the gradient", seeds),
            "Before training: the ratio of its norm at the stem to that at the last unit, in powers of ten (0: "
            f"unchanged, below 0: it shrinks on its way back), mean ± standard deviation over {seeds} seeds:\n",
            cells(groups, lambda runs: spread([fall(run) for run in runs if not run["diverged"]])),
            directions(groups),
            "## What is still known of the image\n",
            "![Error of recovered images by spatial frequency](why_residual/inversion.png)\n",
            caption("Error of recovered images", seeds),
            "Images were looked for that have the same tensor after the second stack (resnet_lab.inspect.inversion; "
            "ten validation images, no prior). The error at the coarsest and at the finest scale, half a cycle per "
            "pixel, in parts of the image's own power there, means over seeds:\n",
            cells(groups, lost),
            "Where an error is above 1, that scale is not lost but made up. A search that ends before it has found the "
            "best image counts as loss too, so that these are upper bounds.\n",
            "## Answer\n",
            answer(groups),
            "At full size, on a GPU, with learning rates for the networks without norm to be found:\n",
            f"```bash\n{FULL_SIZE}\n```\n",
        ]
    )


def made_on(runs: Sequence[Run]) -> str:
    """On what the runs were made; those that diverged have not stored it."""
    done = [run for run in runs if not run["diverged"]]
    said = origin(len(runs), (run["device"] for run in done), (run["git_commit"] for run in done))
    return f"{said} {len(runs) - len(done)} of them diverged.\n"


def cells(groups: Groups, words: Callable[[list[Run]], str]) -> str:
    """A table by case and kind."""
    return table(["", *NAMES], [[named(case), *map(words, group.values())] for case, group in groups.items()])


def caption(what: str, seeds: int) -> str:
    """What a figure shows, and of how many runs."""
    return (
        f"{what}: lines are means over {seeds} seeds, less those that diverged; shades reach from the smallest to the "
        "largest of them.\n"
    )


def rates_table(rates: Rates) -> str:
    """The mean validation error at each learning rate."""

    def words(errors: Mapping[float, list[float]]) -> str:
        return "; ".join(f"{rate:g}: {fmean(found):.2f}" for rate, found in errors.items())

    return table(
        ["", *NAMES], [[named(case), *(words(kinds[name]) for name in NAMES)] for case, kinds in rates.items()]
    )


def contrasts(groups: Groups) -> dict[Case, tuple[Estimate, Estimate, Estimate]]:
    """What shortcuts change with BatchNorm and without, and the difference of these, in points, for each case."""
    weights = np.array([[-1.0, 1, 0, 0], [0, 0, -1, 1], [-1, 1, 1, -1]])
    found = {}
    for case, group in groups.items():
        means = estimate({name: [("", error(run, "test")) for run in runs] for name, runs in group.items()})
        level = LEVEL / (len(weights) * len(groups))
        found[case] = tuple(contrast(row, means, level) for row in weights)
    return found  # type: ignore[return-value]


def verdicts(groups: Groups) -> str:
    """All contrasts with their intervals."""
    head = ["", "shortcuts, with BatchNorm", "shortcuts, without norm", "what BatchNorm changes"]
    return table(head, [[named(case), *map(change, found)] for case, found in contrasts(groups).items()])


def fall(run: Run) -> float:
    """Powers of ten between the norms of the gradient at the stem and at the last unit, before training."""
    signal = run["flow"]["start"]["signal"]
    return math.log10(signal[0] / signal[-1]) if signal[0] and signal[-1] else -math.inf


def directions(groups: Groups) -> str:
    """In which networks gradients shrink on their way back in every case, and in which they grow."""
    means = {
        name: [fmean(fall(run) for run in group[name] if not run["diverged"]) for group in groups.values()]
        for name in NAMES
    }
    shrink = ", ".join(f"`{name}`" for name in NAMES if max(means[name]) < 0) or "none"
    grow = ", ".join(f"`{name}`" for name in NAMES if min(means[name]) > 0) or "none"
    return f"Networks whose gradients shrink in every case: {shrink}; in which they grow in every case: {grow}.\n"


def lost(runs: Sequence[Run]) -> str:
    """What is lost after the second stack, at the coarsest and at the finest scale."""
    known = [run["lost"]["stacks.1"] for run in runs if not run["diverged"]]
    return " and ".join(f"{fmean(errors[index] for errors in known):.2f}" for index in (0, -1)) if known else ""


def answer(groups: Groups) -> str:
    """The question answered, as far as the intervals do."""
    found = contrasts(groups)

    def cases(indices: Sequence[int], holds: Callable[[Estimate], bool]) -> str:
        listed = [
            f"{named(case)}: {change(of[index])} points"
            for index in indices
            for case, of in found.items()
            if holds(of[index])
        ]
        return "; ".join(listed) or "in no case"

    return (
        f"**Shortcuts lower the test error with BatchNorm** ({cases([0], lambda e: e.high < 0)}) **and without any "
        f"norm** ({cases([1], lambda e: e.high < 0)}). They raise it "
        f"{cases([0, 1], lambda e: e.low > 0)}, with or without BatchNorm. **What they change depends on BatchNorm** "
        f"({cases([2], lambda e: e.resolved and math.isfinite(e.low))}). "
        "All else is unresolved. Networks without norm had a choice of two learning rates, those with BatchNorm one; "
        "other ways of training without norm (other initialisation, warm-up, learned factors of the branches) were not "
        "tried. Few epochs favour what trains fast: in the pilot, with 50 epochs on digits, one residual network of 56 "
        "layers without norm did learn.\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
