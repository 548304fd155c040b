"""Write docs/results/series.md and its figure: `python scripts/write_series.py [RUNS]`.

With RUNS, the folder of the sweeps that the page names, their finished runs are written into
docs/results/series/measured.json first; runs that are there already stay, unless they were made again.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from matplotlib.figure import Figure
from scipy.stats import t, ttest_ind_from_stats

from resnet_lab.report.statistics.procedures import holm
from resnet_lab.report.statistics.summary import LEVEL

RESULTS = Path(__file__).parents[1] / "docs" / "results"
FOLDER, PAGE = RESULTS / "series", RESULTS / "series.md"

# Accuracy in %, mean and standard deviation of five runs: Fawaz et al., arXiv:1809.04356, from the results for the UCR
# archive of 2018 that come with their code (github.com/hfawaz/dl-4-tsc).
PUBLISHED = {"ArrowHead": (83.77, 2.38), "GunPoint": (99.07, 0.76), "ItalyPowerDemand": (96.15, 0.27)}
PUBLISHED_RUNS = 5
ONCE = {"OSULeaf": "98.02 (0.61)", "BasicMotions": "not in that archive"}
LAB = "resnet-lab -m +experiment=ucr_resnet"
COMMANDS = {  # of each study; {sets} are the data sets that have runs
    "ucr_resnet": [f"{LAB} data.series.name={{sets}} 'seed=range(5)'"],
    "ucr_shape": [
        f"{LAB} data.series.name=GunPoint name=ucr_shape trainer.max_epochs=150 \\\n    {sweep} 'seed=range(3)'"
        for sweep in (
            "units=n1,n2,n3 shortcut=projection_norm,none",
            "'model.filters=[16,32,32],[32,64,64],[64,128,128]'",
        )
    ],
    "ucr_short": [f"{LAB} data.series.name={{sets}} name=ucr_short trainer.max_epochs=150"],
}

Run = dict[str, Any]


def main(arguments: Sequence[str]) -> None:
    """Write what was measured, if its folder is given, then the figure and the page."""
    FOLDER.mkdir(exist_ok=True)
    file = FOLDER / "measured.json"
    runs = json.loads(file.read_text()) if file.exists() else []
    if arguments:
        runs = together(runs, gathered(Path(arguments[0])))
        file.write_text(json.dumps(runs, indent=1) + "\n")
    figure(runs).savefig(FOLDER / "accuracy.png", dpi=110)
    PAGE.write_text(page(runs))
    print(f"{PAGE} is written")


def gathered(folder: Path) -> list[Run]:
    """The facts of all finished runs that the page is about."""
    found = [
        json.loads(file.read_text()) for name in COMMANDS for file in sorted(folder.glob(f"{name}/*/*/result.json"))
    ]
    return [
        {
            "study": result["name"],
            "set": result["data"]["series"]["name"],
            "seed": result["seed"],
            **{name: result[name] for name in ("device", "epochs", "depth", "params", "macs", "seconds")},
            "commit": result["git_commit"][:7],
            "torch": result["versions"]["torch"],
            "units": result["axes"]["units"][0],
            "filters": result["axes"]["filters"],
            "plain": result["axes"]["shortcut"] == "none",
            "accuracy": 100 - result["best"]["test_error"],
            "accuracy_last": 100 - result["last"]["test_error"],
            "best_epoch": result["best"]["epoch"],
            "test_series": result["images"]["images"]["test"],
        }
        for result in found
    ]


def together(*measured: Iterable[Run]) -> list[Run]:
    """The runs in a fixed order; of those with the same settings, the last one."""
    names = ("study", "set", "units", "filters", "plain", "seed")
    runs = {tuple(map(str, (run[name] for name in names))): run for part in measured for run in part}
    return [runs[key] for key in sorted(runs)]


@dataclass(frozen=True, slots=True)
class Group:
    """Accuracies of the same network on the same data."""

    mean: float
    std: float
    runs: int

    @classmethod
    def of(cls, runs: Iterable[Run], name: str = "accuracy") -> "Group":
        values = [run[name] for run in runs]
        return cls(fmean(values), stdev(values) if len(values) > 1 else 0.0, len(values))

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.std:.2f}"


def welch(one: Group, other: Group) -> tuple[str, float]:
    """The difference of two means with its 95 % interval, in words, and the p value: each group has its variance."""
    parts = [group.std**2 / group.runs for group in (one, other)]
    tested = ttest_ind_from_stats(*(x for g in (one, other) for x in (g.mean, g.std, g.runs)), equal_var=False)
    if not sum(parts):
        return f"{one.mean - other.mean:+.2f}", float("nan")
    df = sum(parts) ** 2 / sum(part**2 / (group.runs - 1) for part, group in zip(parts, (one, other), strict=True))
    half, gap = float(t.ppf(1 - LEVEL / 2, df)) * sqrt(sum(parts)), one.mean - other.mean
    words = f"{round(gap, 2) + 0.0:+.2f} ({gap - half:+.2f} to {gap + half:+.2f})"  # + 0.0: no minus zero
    return words.replace("-", "−"), float(tested.pvalue)


def page(runs: Sequence[Run]) -> str:
    """The page, with the studies that were made."""
    devices, versions, commits = (
        ", ".join(sorted({run[name] for run in runs})) for name in ("device", "torch", "commit")
    )
    sets = {study: ",".join(by_set([run for run in runs if run["study"] == study])) for study in COMMANDS}
    commands = [command.format(sets=sets[study]) for study, own in COMMANDS.items() if sets[study] for command in own]
    parts = [
        "# The ResNet for series, measured again",
        "The network of [`ucr_resnet`](../series.md#the-baseline) on data sets of the UCR archive, next to what "
        "Fawaz et al. ([arXiv:1809.04356](https://arxiv.org/abs/1809.04356)) measured. "
        "Written by `python scripts/write_series.py` from "
        "[measured.json](series/measured.json).",
        "\n".join(["```bash", *commands, "python scripts/write_series.py outputs", "```"]),
        f"Trained on one core each of {devices} that did other work at the same time, with torch {versions}, at commit "
        f"{commits}. Accuracies are in % of the test series, after the epoch with the "
        "lowest training loss, as in the recipe; ± is the standard deviation over seeds.",
        *baseline([run for run in runs if run["study"] == "ucr_resnet"]),
        *once([run for run in runs if run["study"] == "ucr_short"]),
        *shapes([run for run in runs if run["study"] == "ucr_shape"]),
    ]
    return "\n\n".join(parts) + "\n"


def by_set(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs of the data sets in alphabetical order."""
    return {name: [run for run in runs if run["set"] == name] for name in sorted({run["set"] for run in runs})}


def baseline(runs: Sequence[Run]) -> list[str]:
    """The published recipe and epochs, next to the published accuracies."""
    rows, p_values, sets = [], [], by_set(runs)
    for name, own in sets.items():
        here, there = Group.of(own), Group(*PUBLISHED[name], PUBLISHED_RUNS)
        difference, p = welch(here, there)
        p_values.append(p)
        rows.append([name, str(own[0]["test_series"]), str(here.runs), str(here), str(there), difference])
        rows[-1].append(str(Group.of(own, "accuracy_last")))
    corrected = holm(p_values)
    rows = [[*row[:-1], f"{p:.2g}", row[-1]] for row, p in zip(rows, corrected, strict=True)]
    told = [name for name, p in zip(sets, corrected, strict=True) if p < LEVEL]
    if told:
        verdict = f"This differs from what was published on {', '.join(told)} (95 % confidence, all together)."
    else:
        verdict = "On none does this differ significantly from what was published (95 % confidence, all together)."
    head = [
        "data set",
        "test series",
        "seeds",
        "this lab",
        "published",
        "difference",
        "p (Holm)",
        "after the last epoch",
    ]
    return [
        "## The published recipe",
        f"All {runs[0]['epochs']:,} epochs. The published numbers are means and standard deviations of "
        f"{PUBLISHED_RUNS} runs, taken as those of samples; differences have 95 % intervals by Welch's test, and "
        "p values are corrected by Holm's method.",
        table(head, rows),
        f"{verdict} An interval says what difference is possible.",
        "![Accuracy of each seed next to the published mean and standard deviation](series/accuracy.png)",
    ]


def once(runs: Sequence[Run]) -> list[str]:
    """One seed each, with fewer epochs."""
    if not runs:
        return []
    rows = [[name, f"{own[0]['accuracy']:.2f}", ONCE[name]] for name, own in by_set(runs).items()]
    return [
        "## Fewer epochs",
        f"One seed and {runs[0]['epochs']:,} epochs each, which says that the network learns there, and no more.",
        table(["data set", "this lab, 1 run", "published, 1,500 epochs"], rows),
    ]


def shapes(runs: Sequence[Run]) -> list[str]:
    """Depth, with and without shortcuts, and width: of what has two runs or more."""
    depths, widths, values = [], [], []
    for units in sorted({run["units"] for run in runs}):
        own = [run for run in runs if run["units"] == units and run["filters"] == [64, 128, 128]]
        kinds = [[run for run in own if run["plain"] is plain] for plain in (False, True)]
        if min(map(len, kinds)) > 1:
            residual, plain = map(Group.of, kinds)
            depth = f"{own[0]['depth']}"
            difference, p = welch(residual, plain)
            values.append(p)
            depths.append([f"{units}", depth, str(residual), str(plain), difference])
    for filters in sorted({tuple(run["filters"]) for run in runs}):
        own = [run for run in runs if tuple(run["filters"]) == filters and run["units"] == 1 and not run["plain"]]
        if len(own) > 1:
            cost = [f"{own[0]['params']:,}", f"{own[0]['macs'] / 1e6:.1f} M", f"{len(own)}"]
            widths.append([", ".join(map(str, filters)), *cost, str(Group.of(own))])
    tables = [
        table(["units per stack", "layers", "residual", "plain", "difference"], depths) if depths else "",
        table(["filters", "params", "MACs per series", "seeds", "accuracy"], widths) if widths else "",
    ]
    if not all(tables):
        return []
    return [
        "## Depth, shortcuts and width on GunPoint",
        f"{runs[0]['epochs']} epochs; {runs[0]['test_series']} test series, so that one is "
        f"{100 / runs[0]['test_series']:.2f} points. Differences are residual minus plain, of three seeds each, with "
        "95 % intervals by Welch's test, each on its own.",
        tables[0],
        f"{sum(p < LEVEL for p in values) or 'None'} of these differences is significant at that level: so few seeds "
        "show what may be expected, and prove nothing.",
        tables[1],
    ]


def figure(runs: Sequence[Run]) -> Figure:
    """A dot for each seed, next to the published mean ± standard deviation."""
    sets = by_set([run for run in runs if run["study"] == "ucr_resnet"])
    made = Figure(figsize=(7, 0.8 + 0.6 * len(sets)), layout="constrained")
    ax = made.subplots()
    for row, (name, own) in enumerate(sets.items()):
        mean, std = PUBLISHED[name]
        ax.errorbar(mean, row - 0.15, xerr=std, fmt="s", color="#6b7280", capsize=3, label="" if row else "published")
        accuracies = [run["accuracy"] for run in own]
        ax.plot(
            accuracies, [row + 0.15] * len(own), "o", color="#2563eb", alpha=0.6, label="" if row else "each seed here"
        )
        ax.plot(
            [fmean(accuracies)], [row + 0.15], "|", color="#1e3a8a", ms=16, mew=2, label="" if row else "their mean"
        )
    ax.set(yticks=range(len(sets)), yticklabels=list(sets), xlabel="test accuracy (%)", ylim=(len(sets) - 0.5, -0.5))
    ax.grid(axis="x", alpha=0.3)
    made.legend(loc="outside upper center", ncols=3, fontsize="small")
    return made


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; all columns but the first are numbers."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main(sys.argv[1:])
