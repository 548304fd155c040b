"""In how few epochs? `python -m studies.learning_speed [RUNS]` writes page and figure.

With RUNS, the output_dir of docs/results/learning_speed/commands.sh, it reads the results of all runs first.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.markdown import table
from resnet_lab.report.statistics.effects import Estimate, contrast
from resnet_lab.report.statistics.means import Means, estimate
from resnet_lab.report.statistics.procedures import with_best
from resnet_lab.report.statistics.summary import LEVEL, summarise
from resnet_lab.rundir.files import write_json
from studies.look import look, stored
from studies.words import RESULTS, change, origin, rounded

FOLDER, PAGE = RESULTS / "learning_speed", RESULTS / "learning_speed.md"
TARGET = 48.0  # % of the validation images
EPOCHS = 10

# Experiment → colour.
RECIPES = {
    "book_56": "#8a8a8a",
    "book_56_adam_linear": "#c2410c",
    "book_56_adamw_linear": "#2563eb",
    "book_56_adamw_cosine": "#0d9488",
    "book_56_one_cycle_sgd": "#f59e0b",
    "book_56_one_cycle_adamw": "#7c3aed",
}
KERNELS = {1: "-", 3: "--"}  # of the convolutions on shortcuts → line style
L2, DECOUPLED = "book_56_adam_linear", "book_56_adamw_linear"
FULL_SIZE = (
    f"resnet-lab -m +experiment={','.join(RECIPES)} model.projection_kernel=1,3 'seed=range(5)' "
    "output_dir=outputs/full\nresnet-lab report outputs/full --by name model.projection_kernel --target 8"
)

Run = dict[str, Any]
Groups = dict[tuple[str, int], list[Run]]  # by experiment and kernel


def main(arguments: Sequence[str]) -> None:
    """Read the results, if runs are given; then figure and page."""
    if arguments:
        write_json(FOLDER / "measured.json", {"runs": look(Path(arguments[0]), [*RECIPES], measured)})
    runs = json.loads((FOLDER / "measured.json").read_text())["runs"]
    figure(grouped(runs)).savefig(FOLDER / "errors.png", dpi=110)
    PAGE.write_text(page(runs))
    print(f"{PAGE} is written")


def measured(folder: Path) -> Run:
    """One run: its recipe, and its errors in %."""
    config, result = stored(folder)
    return {
        "recipe": config.name,
        "kernel": config.model.projection_kernel,
        "seed": config.seed,
        **{name: result[name] for name in ("depth", "params", "macs")},
        "device": result["device"],
        "git_commit": result["git_commit"],
        "test_error": rounded([result["last"]["test_error"]])[0],
        "val_error": rounded(record["val/error"] for record in result["history"]),
    }


def grouped(runs: Sequence[Run]) -> Groups:
    """Runs by recipe and kernel, in the order of seeds."""
    return {
        (recipe, kernel): sorted(
            (run for run in runs if (run["recipe"], run["kernel"]) == (recipe, kernel)), key=lambda run: run["seed"]
        )
        for recipe in RECIPES
        for kernel in KERNELS
    }


def first(run: Run) -> int | None:
    """The first epoch, from 1 on, that reaches the target; None if none does."""
    return next((epoch for epoch, error in enumerate(run["val_error"], 1) if error <= TARGET), None)


def spent(run: Run) -> float:
    """Epochs to the target, or all that there are."""
    return float(first(run) or EPOCHS)


def named(group: tuple[str, int]) -> str:
    """In words."""
    return f"{group[0]}, {group[1]}×{group[1]}"


def means(groups: Groups, score: str) -> Means:
    """Means of all groups: of the test error, or of the epochs spent."""
    of = {"error": lambda run: run["test_error"], "epochs": spent}[score]
    return estimate({named(group): [("", of(run)) for run in runs] for group, runs in groups.items()})


def contrasts(groups: Groups) -> dict[str, dict[str, Estimate]]:
    """What decoupled decay and 3×3 convolutions change, in test error and in epochs: together with 95 % confidence."""
    pairs = {
        "decay": [((L2, kernel), (DECOUPLED, kernel)) for kernel in KERNELS],
        "kernel": [((recipe, 1), (recipe, 3)) for recipe in RECIPES],
    }
    found: dict[str, dict[str, Estimate]] = {name: {} for name in pairs}
    for score in ("error", "epochs"):
        of = means(groups, score)
        for name, steps in pairs.items():
            weights = np.zeros(len(of.names))
            for before, after in steps:
                weights[of.names.index(named(before))] -= 1 / len(steps)
                weights[of.names.index(named(after))] += 1 / len(steps)
            found[name][score] = contrast(weights, of, LEVEL / 4)
    return found


def page(runs: Sequence[Run]) -> str:
    """The whole page; every number and every verdict comes from the file."""
    groups = grouped(runs)
    seeds = len({run["seed"] for run in runs})
    [layers] = {run["depth"] for run in runs}
    return "\n".join(
        [
            "# In how few epochs?\n",
            f"[Six recipes](../learning-speed.md) for the book's network, of which {layers} layers are left, all with "
            f"{EPOCHS} epochs on CIFAR-10 (JPEG copy); network, training and target were [written down before the runs]"
            "(studies.md#in-how-few-epochs). Written by `python -m studies.learning_speed` from "
            "[measured.json](learning_speed/measured.json).\n",
            "```bash\nbash docs/results/learning_speed/commands.sh\n"
            "python -m studies.learning_speed outputs/learning_speed\n```\n",
            origin(len(runs), (run["device"] for run in runs), (run["git_commit"] for run in runs)) + "\n",
            "![Validation error by epoch, and test error at the end](learning_speed/errors.png)\n",
            f"Left: validation error, means over {seeds} seeds; the dotted line is the target. Right: test error at "
            f"the last epoch, means with 95 % intervals over {seeds} seeds; points are runs.\n",
            "## Epochs and errors\n",
            f"The first epoch with a validation error of {TARGET:g} % or less: how many runs have one, its median over "
            "all runs (a run without one counts as later than all others), and in brackets the earliest and the "
            "latest:\n",
            results(groups),
            "± is half the width of the 95 % interval over seeds: the noise of seeds, not that of the test images. "
            "The last column compares with the best of the twelve; its intervals hold together with 95 % "
            "confidence.\n",
            "## Decay and shortcuts\n",
            f"Decoupled decay instead of an L2 penalty, with the same straight lines (`{DECOUPLED}` minus `{L2}`), "
            "mean over both shortcuts; and 3×3 instead of 1×1 convolutions on shortcuts, mean over the six recipes. "
            f"Epochs are those spent until the target, at most {EPOCHS}: a run that does not reach it counts with "
            f"{EPOCHS}. The four intervals hold together with 95 % confidence (Bonferroni; each group with its own "
            "variance):\n",
            differences(groups),
            costs(groups) + "\n",
            "## Answer\n",
            answer(groups),
            "At full size, with the recipes' own numbers of epochs and a target of 8 %, on a GPU:\n",
            f"```bash\n{FULL_SIZE}\n```\n",
        ]
    )


def results(groups: Groups) -> str:
    """A row for each recipe and kernel."""
    from_best = {gap.group: gap for gap in with_best(means(groups, "error"))}
    rows = []
    for group, runs in groups.items():
        recipe, kernel = group
        gap, error = from_best[named(group)], summarise(run["test_error"] for run in runs)
        assert error
        reached = [epoch for run in runs if (epoch := first(run))]
        rows.append(
            [
                f"`{recipe}`",
                f"{kernel}×{kernel}",
                f"{len(reached)} of {len(runs)}",
                middle(runs) + (f" ({min(reached)} to {max(reached)})" if reached else ""),
                f"{error.mean:.2f} ± {error.half:.2f}",
                "lowest mean" if gap.group == gap.other else change(Estimate(gap.mean, gap.low, gap.high, gap.p)),
            ]
        )
    head = ["", "shortcuts", "reach it", "first epoch", "test error (%)", "from the best, points"]
    return table(head, rows)


def middle(runs: Sequence[Run]) -> str:
    """The median of the first epochs; "none" if too many runs have none."""
    epoch = median(first(run) or np.inf for run in runs)
    return f"{epoch:g}" if np.isfinite(epoch) else "none"


def differences(groups: Groups) -> str:
    """Both contrasts, in both scores."""
    found = contrasts(groups)
    names = {"decay": "decoupled decay instead of L2", "kernel": "3×3 instead of 1×1 shortcuts"}
    rows = [[said, change(found[name]["epochs"]), change(found[name]["error"])] for name, said in names.items()]
    return table(["", "epochs to the target", "test error, points"], rows)


def costs(groups: Groups) -> str:
    """What 3×3 convolutions on shortcuts cost."""
    small, large = (groups[L2, kernel][0] for kernel in KERNELS)
    params, macs = (large[name] / small[name] for name in ("params", "macs"))
    return (
        f"3×3 shortcuts are not free. With them, the network has {large['params']:,} parameters instead of "
        f"{small['params']:,} ({params:.1f} times as many), and {large['macs'] / 1e6:.3g} M MACs instead of "
        f"{small['macs'] / 1e6:.3g} M ({macs:.1f} times)."
    )


def answer(groups: Groups) -> str:
    """The question answered, as far as the intervals do."""
    medians = {group: median(first(run) or np.inf for run in runs) for group, runs in groups.items()}
    soonest = min(medians.values())
    fastest = " and ".join(f"`{recipe}`, {kernel}×{kernel}" for (recipe, kernel), m in medians.items() if m == soonest)
    runs = [run for group in groups.values() for run in group]
    gaps = with_best(means(groups, "error"))
    [best] = [group for group in groups if named(group) == gaps[0].other]
    as_good = [gap.group for gap in gaps if not gap.resolved and gap.group != named(best)]
    others = f"not distinguished from it: {'; '.join(as_good)}" if as_good else "all others are worse"
    found = contrasts(groups)
    return (
        f"**The fewest epochs to {TARGET:g} % are {soonest:g} of {EPOCHS}**, the median with {fastest}; "
        f"{sum(first(run) is None for run in runs)} of {len(runs)} runs do not reach it. **`{best[0]}`, "
        f"{best[1]}×{best[1]}, has the lowest mean test error at the end**, and a median of {medians[best]:g} epochs "
        f"to the target; {others}. **Decoupled decay instead of L2** {changes(found['decay'])}. **3×3 instead of 1×1 "
        f"shortcuts**, at more parameters and MACs, {changes(found['kernel'])}. Epochs are counted on single curves "
        "that go up and down, so that the first one below a target is early by chance at times. Each recipe has its "
        f"own learning rate, found for the whole network and for more epochs, and not for these {EPOCHS}: this "
        "compares recipes as they are, not optimisers at their best.\n"
    )


def changes(of: Mapping[str, Estimate]) -> str:
    """By how much, in both scores."""
    return f"changes epochs to the target by {change(of['epochs'])} and the test error by {change(of['error'])} points"


def figure(groups: Groups) -> Figure:
    """Validation error by epoch, and the test error at the end."""
    made = Figure(figsize=(7.5, 3.8), layout="constrained")
    left, right = made.subplots(1, 2)
    for x, ((recipe, kernel), runs) in enumerate(groups.items()):
        colour, curves = RECIPES[recipe], np.array([run["val_error"] for run in runs])
        label = recipe if kernel == 1 else None
        left.plot(range(1, curves.shape[1] + 1), curves.mean(0), KERNELS[kernel], color=colour, lw=1.5, label=label)
        error = summarise(run["test_error"] for run in runs)
        assert error
        right.plot([x + 0.2] * len(runs), [run["test_error"] for run in runs], ".", color="#8a8a8a", ms=4, alpha=0.7)
        filled = colour if kernel == 1 else "white"
        right.errorbar(x, error.mean, error.half, fmt="o", color=colour, mfc=filled, capsize=3)
    left.axhline(TARGET, color="black", lw=0.8, ls=":")
    left.set(xlabel="epoch", ylabel="validation error (%)")
    right.set(ylabel="test error at the last epoch (%)", xlabel="filled: 1×1 shortcuts, open: 3×3 (dashed)", xticks=[])
    for ax in (left, right):
        ax.grid(alpha=0.3, axis="y")
        ax.spines[["top", "right"]].set_visible(False)
    made.legend(loc="outside lower center", ncols=3, fontsize="small")
    return made


if __name__ == "__main__":
    main(sys.argv[1:])
