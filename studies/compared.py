"""Which networks are better at equal cost? `python -m studies.compared [RUNS]` writes these pages.

With RUNS, the folder of the sweeps of docs/results/*/commands.sh, the lab's report compares their runs first, and what
it says is kept as docs/results/<study>/<sweep>.json. Pages and figures are made of these files.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.markdown import table
from resnet_lab.report.question import Question
from resnet_lab.report.words import minus
from resnet_lab.report.write import report
from studies.words import RESULTS, origin

BLUE, GREY = "#0b62a4", "#8a8a8a"

Comparison = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sweep:
    """One sweep of a study: what is compared with which group, and by which margin in points of test error."""

    name: str
    title: str
    axis: str
    baseline: str
    margin: float

    def compared(self, runs: Path) -> Comparison:
        """What the lab's report says of the runs in the folder of this name."""
        question = Question(by=[self.axis], by_test=True, baseline=f"{self.axis}={self.baseline}", margin=self.margin)
        with tempfile.TemporaryDirectory() as out:
            report([runs / self.name], question, Path(out))
            [comparison] = json.loads(Path(out, "report.json").read_text())["comparisons"]
        for group in comparison["groups"]:
            group["runs"] = [{key: value for key, value in run.items() if key != "path"} for run in group["runs"]]
        kept: Comparison = comparison
        return kept

    def level(self, group: Mapping[str, Any]) -> str:
        """The group's value of the axis."""
        return str(group["fields"][self.axis])

    def gaps(self, comparison: Comparison) -> dict[str, dict[str, Any]]:
        """The differences of all other groups from the baseline, by their values of the axis."""
        found = {gap["group"]: gap for gap in comparison["differences"] if gap["group"] != gap["other"]}
        return {self.level(group): found[group["group"]] for group in comparison["groups"] if group["group"] in found}


@dataclass(frozen=True, slots=True)
class Study:
    """A question, the sweeps that answer it, and how their comparisons are put into words."""

    name: str
    question: str
    sweeps: tuple[Sweep, ...]
    answer: Callable[[Mapping[str, Comparison]], Iterable[str]]
    full_size: str  # the command

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return RESULTS / self.name

    def stored(self) -> dict[str, Comparison]:
        """The comparisons by sweep."""
        return {sweep.name: json.loads((self.folder / f"{sweep.name}.json").read_text()) for sweep in self.sweeps}


def main(arguments: Sequence[str]) -> None:
    """Compare, if the folder of runs is given, and write all studies that are complete."""
    for study in STUDIES:
        if arguments and all((Path(arguments[0]) / sweep.name).is_dir() for sweep in study.sweeps):
            for sweep in study.sweeps:
                content = json.dumps(sweep.compared(Path(arguments[0])), indent=1)
                (study.folder / f"{sweep.name}.json").write_text(content + "\n")
        if (study.folder / f"{study.sweeps[0].name}.json").exists():
            found = study.stored()
            figure(study, found).savefig(study.folder / "errors.png", dpi=110)
            page_of(study).write_text(page(study, found))
            print(f"{page_of(study)} is written")


def page_of(study: Study) -> Path:
    """Where the page of a study is."""
    return RESULTS / f"{study.name}.md"


def page(study: Study, found: Mapping[str, Comparison]) -> str:
    """The page; every number and verdict comes from the comparisons."""
    anchor = "".join(c for c in study.question.lower().replace(" ", "-") if c.isalnum() or c == "-")
    files = ", ".join(f"[{sweep.name}]({study.name}/{sweep.name}.json)" for sweep in study.sweeps)
    parts = [
        f"# {study.question}",
        f"Networks, training, margin and commands were [written down before the runs](studies.md#{anchor}). Written by "
        f"`python -m studies.compared` from what `resnet-lab report` says of all runs: {files}.",
        f"```bash\nbash docs/results/{study.name}/commands.sh\npython -m studies.compared outputs\n```",
        made_on(list(found.values())),
        f"![Test error of each network]({study.name}/errors.png)",
        "Test error on CIFAR-10 (JPEG copy) at the last epoch: means with 95 % intervals over runs; points are runs.",
    ]
    for sweep in study.sweeps:
        parts += [f"## {sweep.title}", errors_table(sweep, found[sweep.name])]
    parts += [
        "± is half the width of the 95 % interval over runs: the noise of seeds and of splits, not that of the test "
        "images. The intervals of differences hold together with 95 % confidence (Dunnett; each group has its own "
        "variance).",
        "## Answer",
        " ".join(study.answer(found)),
        f"At full size, on a GPU:\n\n```bash\n{study.full_size}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def made_on(comparisons: Sequence[Comparison]) -> str:
    """On what the runs of all sweeps were made; a setting names each value, with its number of runs in brackets."""
    devices, commits = (
        [told.partition(" (")[0] for found in comparisons for told in found["setting"][name].split("; ")]
        for name in ("device", "commit")
    )
    count = sum(len(group["runs"]) for found in comparisons for group in found["groups"])
    return origin(count, devices, commits)


def errors_table(sweep: Sweep, comparison: Comparison) -> str:
    """Errors, costs and differences of all groups, in the order of the axis."""
    gaps = sweep.gaps(comparison)
    rows = []
    for group in comparison["groups"]:
        error, gap = group["errors"]["test_last"], gaps.get(sweep.level(group))
        costs = (f"{group['costs'][name] / 1e6:.3g} M" for name in ("params", "macs"))
        told = [shown(gap), verdict(gap, sweep.margin)] if gap else ["", ""]
        rows.append([sweep.level(group), str(error["n"]), *costs, f"{error['mean']:.2f} ± {error['half']:.2f}", *told])
    head = [sweep.axis, "runs", "parameters", "MACs", "test error (%)", "difference, points", ""]
    return table(head, rows).rstrip()


def shown(gap: Mapping[str, Any]) -> str:
    """A difference in points, with its interval."""
    return minus(f"{gap['mean']:+.2f} ({gap['low']:+.2f} to {gap['high']:+.2f})")


def inside(gap: Mapping[str, Any]) -> str:
    """The same within brackets."""
    return minus(f"{gap['mean']:+.2f} points, {gap['low']:+.2f} to {gap['high']:+.2f}")


def verdict(gap: Mapping[str, Any], margin: float) -> str:
    """What an interval says, with regard to the margin."""
    told = "worse" if gap["low"] > 0 else "better" if gap["high"] < 0 else "unresolved"
    if gap["low"] > margin:
        return f"worse by more than {margin:g}"
    return told if gap["high"] < 0 or gap["high"] >= margin else f"{told}, worse by less than {margin:g} if at all"


def figure(study: Study, found: Mapping[str, Comparison]) -> Figure:
    """A panel for each sweep: means with intervals, and single runs."""
    made = Figure(figsize=(4.6 * len(study.sweeps), 3.4), layout="constrained")
    axes = made.subplots(1, len(study.sweeps), squeeze=False, sharey=True)[0]
    for ax, sweep in zip(axes, study.sweeps, strict=True):
        groups = found[sweep.name]["groups"]
        for x, group in enumerate(groups):
            error, runs = group["errors"]["test_last"], [run["test_last"] for run in group["runs"]]
            ax.plot([x + 0.16] * len(runs), runs, ".", color=GREY, ms=4, alpha=0.7)
            ax.errorbar(x, error["mean"], error["half"], fmt="o", color=BLUE, capsize=3)
        ax.set_xticks(range(len(groups)), [sweep.level(group).replace("_", "\n") for group in groups])
        ax.set(title=sweep.title, xlabel=sweep.axis)
        ax.grid(alpha=0.3, axis="y")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("test error (%)")
    return made


def largest_reduction(found: Mapping[str, Comparison]) -> Iterable[str]:
    """The largest reduction that is not worse than none by more than the margin, of each sweep."""
    for sweep in REDUCTION.sweeps:
        gaps = sweep.gaps(found[sweep.name])
        within = [level for level, gap in gaps.items() if gap["high"] < sweep.margin]
        told = {level: f"{level} ({inside(gap)})" for level, gap in gaps.items()}
        better = [told[level] for level, gap in gaps.items() if gap["high"] < 0]
        worse = [told[level] for level, gap in gaps.items() if gap["low"] > 0]
        best = f"is **{max(within, key=int)}**" if within else "was not found: none is shown to be that good"
        yield (
            f"**{sweep.title}:** the largest reduction that is not worse than none by more than {sweep.margin:g} point "
            f"{best}. Better than none: {', '.join(better) or 'none is shown to be'}. "
            f"Worse: {', '.join(worse) or 'none is shown to be'}."
        )
    yield (
        "This is about 20 layers, 16×16 pixels, 10,000 images and 10 epochs, far from what these networks "
        "reach; deeper networks and longer training may bear other reductions."
    )


def worth_bridging(found: Mapping[str, Comparison]) -> Iterable[str]:
    """Which bridges are better or worse than those of units, and which are not worse by more than the margin."""
    [sweep] = BRIDGES.sweeps
    gaps = sweep.gaps(found[sweep.name])
    macs = {sweep.level(group): group["costs"]["macs"] for group in found[sweep.name]["groups"]}
    dearest = max(macs, key=lambda level: macs[level])

    def listed(holds: Callable[[Mapping[str, Any]], bool]) -> str:
        return ", ".join(f"`{level}` ({inside(gap)})" for level, gap in gaps.items() if holds(gap)) or "none"

    better, worse = listed(lambda gap: gap["high"] < 0), listed(lambda gap: gap["low"] > 0)
    as_good = listed(lambda gap: gap["low"] <= 0 <= gap["high"] < sweep.margin)
    unknown = listed(lambda gap: gap["low"] <= 0 and gap["high"] >= sweep.margin)
    yield (
        "At equal parameters, a shortcut around each stack as well as around units (`stack`) is "
        f"**{verdict(gaps['stack'], sweep.margin)}** ({inside(gaps['stack'])}). Better than shortcuts around units "
        f"alone: {better}. Worse: {worse}. Unresolved, but not worse by {sweep.margin:g} point or more: {as_good}. "
        f"Unresolved altogether: {unknown}."
    )
    yield (
        f"Equal parameters are not equal MACs: `{dearest}` needs {macs[dearest] / macs[sweep.baseline]:.1f} times as "
        f"many as `{sweep.baseline}`. This is about networks of 20 to 22 layers, 16×16 pixels, 10,000 images and "
        "6 epochs; with more of each, the ranking may differ."
    )


REDUCTION = Study(
    "reduction_cifar",
    "What depth reduction is possible in the bottleneck layers?",
    (
        Sweep("reduction_macs", "At equal cost", "reduction", "1", 1.0),
        Sweep("reduction_filters", "With equal filters", "reduction", "1", 1.0),
    ),
    largest_reduction,
    "resnet-lab -m +experiment=cifar10_56 +sweep=bottleneck 'seed=range(5)' data.split_seed=0,1 \\\n"
    "    hydra.sweeper.budget=macs 'hydra.sweeper.budget_of=\"bottleneck=half\"'",
)
BRIDGES = Study(
    "bridges",
    "Is it worth bridging whole stacks?",
    (Sweep("bridges", "At equal parameters", "bridges", "unit", 1.0),),
    worth_bridging,
    "resnet-lab -m +experiment=cifar10_basic_56 +sweep=bridges 'seed=range(5)' data.split_seed=0,1 \\\n"
    "    hydra.sweeper.budget=params 'hydra.sweeper.budget_of=\"bridges=unit\"'",
)
STUDIES = (REDUCTION, BRIDGES)

if __name__ == "__main__":
    main(sys.argv[1:])
