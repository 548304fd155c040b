"""Do residual units keep the small scales? `python -m studies.autoencoders [RUNS]` writes page and figure.

With RUNS, the folder with the sweeps of docs/results/autoencoders/commands.sh, it looks at what their networks return
first.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.markdown import table
from resnet_lab.report.statistics.effects import Estimate
from resnet_lab.report.statistics.means import estimate
from resnet_lab.report.statistics.procedures import Difference, with_baseline
from resnet_lab.report.statistics.summary import summarise
from resnet_lab.report.words import minus
from resnet_lab.rundir.files import write_json
from studies.look import look
from studies.returned import IMAGES, measured
from studies.words import RESULTS, change, origin, spread

SWEEPS = ("autoencoders_fashion", "autoencoders_cifar")
FOLDER, PAGE = RESULTS / "autoencoders", RESULTS / "autoencoders.md"

# Unit, activation, shortcut, bridges and norm → name, colour, style.
KINDS = {
    ("conv", None, "none", "unit", "batch"): ("plain CNN", "#8a8a8a", "-"),
    ("basic", "original", "none", "unit", "batch"): ("plain deep", "#c2410c", "-"),
    ("basic", "original", "none", "stack", "batch"): ("plain deep with stack bridges", "#c2410c", "--"),
    ("basic", "original", "projection", "unit", "batch"): ("V1", "#2563eb", "-"),
    ("basic", "original", "projection", "stack", "batch"): ("V1 with stack bridges", "#2563eb", "--"),
    ("basic", "full_preactivation", "projection", "unit", "batch"): ("V2", "#0d9488", "-"),
    ("basic", "full_preactivation", "projection", "stack", "batch"): ("V2 with stack bridges", "#0d9488", "--"),
    ("basic", "full_preactivation", "projection", "unit", "none"): ("V2 without norm", "#7c3aed", ":"),
}
BASELINE = "plain deep"
RESIDUAL = ("V1", "V2")
BANDS = {"8 pixels and more": (0.0, 0.125), "4 to 8": (0.125, 0.25), "2 to 4": (0.25, 0.5)}  # cycles per pixel
MIDDLE, FINEST = "4 to 8", "2 to 4"
MIXED = "unresolved, or not the same in all cases,"
FULL_SIZE = (
    "resnet-lab -m task=reconstruction bottleneck=none head=latent_flat recipe=autoencoder unit=basic units=n2 "
    "filters=w16 \\\n    data=cifar10 activation=original,full_preactivation shortcut=none,projection "
    "bridges=unit,stack model.head.latent_dim=64,256 'seed=range(5)'"
)

Run = dict[str, Any]
Case = tuple[str, int]  # data and latent numbers
Groups = dict[Case, dict[str, list[Run]]]  # by case and kind, in the order of seeds


def main(arguments: Sequence[str]) -> None:
    """Measure the sweeps that are in the folder of runs, if one is given; then figure and page."""
    for sweep in SWEEPS:
        if arguments and (Path(arguments[0]) / sweep).is_dir():
            write_json(FOLDER / f"{sweep}.json", {"runs": look(Path(arguments[0]), [sweep], measured)})
    runs = stored_runs()
    figure(grouped(runs)).savefig(FOLDER / "spectra.png", dpi=110)
    PAGE.write_text(page(runs))
    print(f"{PAGE} is written")


def stored_runs() -> list[Run]:
    """What was measured of the runs of all sweeps."""
    return [run for sweep in SWEEPS for run in json.loads((FOLDER / f"{sweep}.json").read_text())["runs"]]


def kind(run: Run) -> str:
    """The name of its network."""
    activation = run["activation"] if run["unit"] == "basic" else None
    return KINDS[run["unit"], activation, run["shortcut"], run["bridges"], run["norm"]][0]


def grouped(runs: Sequence[Run]) -> Groups:
    """Runs by case and kind."""
    groups: Groups = {}
    for run in sorted(runs, key=lambda run: (run["data"] != "Fashion-MNIST", run["latent"], run["seed"])):
        groups.setdefault((run["data"], run["latent"]), {}).setdefault(kind(run), []).append(run)
    order = [name for name, *_ in KINDS.values()]
    return {case: dict(sorted(group.items(), key=lambda item: order.index(item[0]))) for case, group in groups.items()}


def named(case: Case) -> str:
    """In words."""
    return f"{case[0]}, {case[1]} numbers"


def lost(run: Run, band: str) -> float:
    """The power of the error between the frequencies of a band, in % of the images' own power there."""
    above, until = BANDS[band]
    frequency = np.array(run["frequency"])
    inside = (frequency > above) & (frequency <= until)
    weight = frequency[inside]  # the number of coefficients in a ring grows with its radius
    return float(100 * (weight @ np.array(run["error"])[inside]) / (weight @ np.array(run["original"])[inside]))


def mse(run: Run) -> float:
    """In thousandths."""
    return 1000 * float(run["mse"])


def middle(run: Run) -> float:
    """What is lost of the band in the middle."""
    return lost(run, MIDDLE)


def finest(run: Run) -> float:
    """What is lost of the finest band."""
    return lost(run, FINEST)


def scale(run: Run) -> float:
    """The wavelength in pixels at which half of the power is lost; 2, the shortest there is, if it is not."""
    return 1 / run["half_power"] if run["half_power"] else 2.0 if run["half_power"] is None else np.inf


def against_plain(group: Mapping[str, list[Run]], score: Callable[[Run], float]) -> dict[str, Difference]:
    """Differences of all other kinds from the plain deep network; their intervals hold together (Dunnett)."""
    return {found.group: found for found in compared(group, score, BASELINE)}


def compared(group: Mapping[str, list[Run]], score: Callable[[Run], float], baseline: str) -> list[Difference]:
    """Differences from one kind, each kind with its own variance."""
    means = estimate({name: [("", score(run)) for run in done(runs)] for name, runs in group.items()})
    return with_baseline(means, baseline)


def done(runs: Sequence[Run]) -> list[Run]:
    """Those that did not diverge."""
    return [run for run in runs if not run["diverged"]]


def said(found: Difference | None, spec: str = ".2f") -> str:
    """A difference with its interval; nothing for the baseline itself."""
    return change(Estimate(found.mean, found.low, found.high, found.p), spec) if found else ""


def page(runs: Sequence[Run]) -> str:
    """The whole page; every number and every verdict comes from the file."""
    groups, finished = grouped(runs), done(runs)
    seeds = len({run["seed"] for run in runs})
    parts = [
        "# Do residual units keep the small scales?\n",
        "Autoencoders at equal parameters: a plain CNN, and deep networks without shortcuts, as ResNet V1 and as "
        "ResNet V2, each with and without a shortcut around whole stacks, on Fashion-MNIST and CIFAR-10 (JPEG copy) at "
        "16×16. Networks, training and question were [written down before the runs]"
        f"(studies.md#do-residual-units-keep-the-small-scales). {seeds} seeds each. Written by "
        f"`python -m studies.autoencoders` from {' and '.join(f'[{s}](autoencoders/{s}.json)' for s in SWEEPS)}.\n",
        "```bash\nbash docs/results/autoencoders/commands.sh\npython -m studies.autoencoders outputs\n```\n",
        origin(len(runs), (run["device"] for run in finished), (run["git_commit"] for run in finished))
        + f" {len(runs) - len(finished) or 'None'} of them diverged.\n",
        "![Power of the reconstructions and of their errors by spatial frequency](autoencoders/spectra.png)\n",
        f"Of {IMAGES:,} test images: lines are means over {seeds} seeds, shades reach from the smallest to the "
        "largest. Above: under 0 dB, reconstructions have less power at this scale than the originals, under −3 dB "
        "less than half. Below: at 100 %, nothing at all would have been as close.\n",
    ]
    for case, group in groups.items():
        parts += [f"## {named(case)}\n", scores(group), bands(group)]
    parts += [
        "`mse` is that of all test images at the last epoch, in thousandths, ± half the width of the 95 % interval "
        "over seeds. The scale is the wavelength in pixels at which half of the power is lost (−3 dB; 2 is the "
        "shortest there is), ± the standard deviation. Errors by wavelength are in % of the power that the images "
        "themselves have there. Differences are from the plain deep network; their intervals hold together with 95 % "
        "confidence in each column of a table (Dunnett; each group with its own variance).\n",
        "## Latent vectors\n",
        f"Of the same {IMAGES:,} images, mean ± standard deviation over seeds. A normal distribution has skewness and "
        "excess kurtosis 0, and a joint kurtosis (Mardia's, relative to that of a normal distribution) of 1:\n",
        latent(groups),
        "## Answer\n",
        answer(groups),
        "At full size, on a GPU:\n",
        f"```bash\n{FULL_SIZE}\n```\n",
    ]
    return "\n".join(parts)


def scores(group: Mapping[str, list[Run]]) -> str:
    """Parameters, error and scale of all kinds."""
    gaps, rows = against_plain(group, mse), []
    for name, runs in group.items():
        error = summarise(mse(run) for run in done(runs))
        assert error
        [params] = {run["params"] for run in done(runs)}
        told = [f"{error.mean:.2f} ± {error.half:.2f}", said(gaps.get(name)), spread([scale(r) for r in done(runs)])]
        rows.append([name, str(error.n), f"{params:,}", *told])
    return table(["", "runs", "parameters", "test `mse` (10⁻³)", "difference", "scale (pixels)"], rows)


def bands(group: Mapping[str, list[Run]]) -> str:
    """What is lost of each band, and the differences in the two finer ones."""
    gaps = [against_plain(group, score) for score in (middle, finest)]
    rows = []
    for name, runs in group.items():
        errors = (f"{fmean(lost(run, band) for run in done(runs)):.1f}" for band in BANDS)
        rows.append([name, *errors, *(said(gap.get(name), ".1f") for gap in gaps)])
    return table(["error (%) at wavelengths of", *BANDS, f"difference, {MIDDLE}", f"difference, {FINEST}"], rows)


def latent(groups: Groups) -> str:
    """Moments of latent vectors."""
    rows = []
    for case, group in groups.items():
        for name, runs in group.items():
            told = [spread([run[key] for run in done(runs)]) for key in ("skewness", "kurtosis", "joint_kurtosis")]
            rows.append([named(case), name, *told])
    return table(["", "", "mean absolute skewness", "mean excess kurtosis", "joint kurtosis"], rows)


def answer(groups: Groups) -> str:
    """The question answered, as far as the intervals do."""
    coarse, fine, errors = (
        {case: against_plain(group, score) for case, group in groups.items()} for score in (middle, finest, mse)
    )
    best = {case: min(fmean(map(finest, done(runs))) for runs in group.values()) for case, group in groups.items()}
    return (
        f"Compared with the plain deep network, in these {len(groups)} cases, **the error at wavelengths of 4 to 8 "
        f"pixels** (in points of the images' own power) is {verdicts(coarse, '.1f')}. **At 2 to 4 pixels**, the finest "
        f"scales, it is {verdicts(fine, '.1f')}; the lowest there is "
        f"{', '.join(f'{error:.1f} % ({named(case)})' for case, error in best.items())}, where 100 % means that "
        "nothing at all would have been as close. **The whole error** (`mse`, in thousandths) is "
        f"{verdicts(errors, '.2f')}. Brackets reach from the lowest to the highest end of the intervals of all cases. "
        f"**Without BatchNorm**, {moments(groups)}. A latent space this small holds little detail, whatever the "
        "network, and six epochs favour what trains fast: this does not say which network would return most in the "
        "end.\n"
    )


def verdicts(gaps: Mapping[Case, Mapping[str, Difference]], spec: str) -> str:
    """Which kinds are lower in all cases, higher in all, or neither, and from where to where their intervals reach."""
    told: dict[str, list[str]] = {"lower": [], "higher": [], MIXED: []}
    for name in min(gaps.values(), key=len):  # the kinds that all cases have
        own = [found[name] for found in gaps.values()]
        low, high = min(gap.low for gap in own), max(gap.high for gap in own)
        if all(gap.high < 0 for gap in own):
            verdict = "lower"
        elif all(gap.low > 0 for gap in own):
            verdict = "higher"
        else:
            verdict = MIXED
        told[verdict].append(minus(f"{name} ({low:+{spec}} to {high:+{spec}})"))
    return "; ".join(f"{verdict} for {', '.join(names)}" for verdict, names in told.items() if names)


def moments(groups: Groups) -> str:
    """How latent vectors of V2 differ without a norm, where that was trained."""
    parts = []
    for case, group in groups.items():
        kinds: dict[str, list[Run]] = {name: group[name] for name in ("V2", "V2 without norm") if name in group}
        if len(kinds) == 2:
            [skewness] = compared(kinds, lambda run: run["skewness"], "V2")
            [kurtosis] = compared(kinds, lambda run: run["kurtosis"], "V2")
            parts.append(f"{said(skewness)} and {said(kurtosis)} ({named(case)})")
    return (
        f"the mean absolute skewness and the mean excess kurtosis of latent vectors change by {'; and by '.join(parts)}"
    )


def figure(groups: Groups) -> Figure:
    """Power and error by spatial frequency, a column for each case."""
    made = Figure(figsize=(10, 4.6), layout="constrained")
    axes = made.subplots(2, len(groups), squeeze=False, sharex=True, sharey="row")
    for (above, below), (case, group) in zip(axes.T, groups.items(), strict=True):
        for name, colour, style in KINDS.values():
            runs = done(group.get(name, []))
            for ax, key in ((above, "ratio_db"), (below, "error")) if runs else ():
                own = np.array([run[key] for run in runs])
                if key == "error":
                    own = 100 * own / np.array([run["original"] for run in runs])
                x = runs[0]["frequency"]
                ax.plot(x, own.mean(0), style, color=colour, lw=1.3, label=name)
                ax.fill_between(x, own.min(0), own.max(0), color=colour, alpha=0.15, lw=0)
        above.axhline(-3, color="grey", lw=0.8)
        below.axhline(100, color="grey", lw=0.8)
        above.set_title(named(case), size="medium")
        below.set_xlabel("cycles per pixel")
        for ax in (above, below):
            ax.grid(alpha=0.3)
    axes[0, 0].set_ylabel("power of the\nreconstruction (dB)")
    axes[1, 0].set(ylabel="power of the error\n(% of the image's)", ylim=(0, None))
    labelled = max(axes[0], key=lambda ax: len(ax.lines))
    made.legend(*labelled.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize="small")
    return made


if __name__ == "__main__":
    main(sys.argv[1:])
