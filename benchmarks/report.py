"""`python -m benchmarks.report`: write docs/performance.md and its figure from the measured JSON."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.facts import RESULTS, load
from benchmarks.markdown import spread, table, verdict_table
from benchmarks.tables import TABLES, Content

DOCS = Path(__file__).parents[1] / "docs"
PAGE, FIGURE = DOCS / "performance.md", DOCS / "figures" / "performance.png"
COLOURS = {"roof": "#8a8a8a", "lab": "#0b62a4"}
OTHERS = "#c9d3dc"


def main() -> None:
    argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__).parse_args()
    results = read(RESULTS)
    PAGE.write_text(page(results))
    print(f"written: {PAGE}")
    if comparisons(results):
        draw(results, FIGURE)
        print(f"written: {FIGURE}")


def read(folder: Path) -> dict[str, Content]:
    """Read all results files, by path without suffix, such as gpu/checks."""
    found = {str(file.relative_to(folder).with_suffix("")): load(file) for file in folder.rglob("*.json")}
    return dict(sorted(found.items()))


def comparisons(results: Mapping[str, Content]) -> dict[str, dict[str, Any]]:
    """Return the compared networks by network and device; duplicates also by the end of the file's name."""
    found: dict[str, dict[str, Any]] = {}
    for name, content in results.items():
        if name.startswith("train-"):
            for network, measured in content["networks"].items():
                title = f"{network}, {content['device']}"
                found[f"{title} ({name.rpartition('-')[2]})" if title in found else title] = measured
        elif "ratios" in content:
            found[f"{name.removeprefix('gpu/fast-')}, cuda"] = content
    return found


def page(results: Mapping[str, Content]) -> str:
    """Return the Markdown of the whole page."""
    parts = [
        "# Performance\n",
        "Written by `python -m benchmarks.report` from the JSON in `benchmarks/results/`; "
        "[benchmarks/README.md](../benchmarks/README.md) describes the implementations and the measurements. "
        "`resnet-lab bench OVERRIDES…` measures any configuration on your machine.\n",
        "## Comparison with other implementations of the same training\n",
    ]
    compared = comparisons(results)
    figure = "![Images per second of each implementation](figures/performance.png)\n"
    parts.append(figure if compared else "Not measured yet: run `python -m benchmarks.train`.\n")
    for name, measured in compared.items():
        parts += [f"### {name}\n", *speed_tables(measured)]
    for name, title in SECTIONS.items():
        if name in results:
            checks = results[name]["checks"]
            parts += [f"## {title}\n", *(TABLES[name](results[name])), *([verdict_table(checks)] if checks else [])]
    if gpu := {name: content for name, content in results.items() if name.startswith("gpu/") and "checks" in content}:
        parts += ["## On a GPU\n"]
        for name, content in gpu.items():
            if "error" in content:
                parts += [f"`{name}` could not be measured: {content['error']}\n"]
            else:
                parts += [
                    f"`{name}`\n",
                    *(TABLES[name](content) if name in TABLES else []),
                    verdict_table(content["checks"]),
                ]
    else:
        parts += ["## On a GPU\n", "Not measured yet: run `python -m benchmarks.gpu` on a machine with a GPU.\n"]
    if not any(name.startswith("gpu/packing") for name in results):
        parts += ["Several runs on one GPU are not measured yet: `python -m benchmarks.gpu --only packing`.\n"]
    return "\n".join([*parts, "## Machines and commands\n", *(origin(name, results[name]) for name in results)])


def speed_tables(measured: Mapping[str, Any]) -> list[str]:
    """Return the tables of images/s, of ratios over rounds, and of their limits."""
    ratios = measured["ratios"]
    rows = [
        [name, spread(speed, ",.0f"), spread(ratios[name], ".2f") if name in ratios else ""]
        for name, speed in measured["images_per_second"].items()
    ]
    rounds = len(measured["rounds"])
    head = ["implementation", "images/s", "lab / implementation"]
    caption = f"Median of {rounds} round{'s' if rounds > 1 else ''}, smallest and largest in parentheses.\n"
    return [caption, table(head, rows), verdict_table(measured["checks"])]


SECTIONS = {
    "profile-cpu": "Where a training step spends its time, on one CPU thread",
    "kernels": "Own kernels next to PyTorch's",
    "trained": "Whole trainings with own kernels",
    "waiting": "Threads that wait for each other",
    "export-cpu": "Exported networks, on one CPU thread",
    "augmentations": "Augmentations, on one CPU thread",
    "axes": "Options of the network, on one CPU thread",
    "series": "The baseline for series next to a plain PyTorch loop, on one CPU thread",
    "reconstruction": "Autoencoders, on one CPU thread",
    "recompute": "Activation checkpointing, on one CPU thread",
    "store": "Where pixels are kept",
    "decoders": "Another decoder of JPEG files, on one CPU thread",
    "startup": "Start-up",
    "own_images": "Own images",
    "scaling": "More images, more layers",
}


def origin(name: str, content: Content) -> str:
    """Describe command, machine and versions of a results file."""
    machine, versions = content["machine"], content["versions"]
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    commit = content["git_commit"] or "unknown"
    commit = commit[:10] + " with changes" * commit.endswith("+")
    left_out = "".join(f" Left out: {why}." for why in content.get("left_out", []))
    return (
        f"- `{name}.json`: `{content['command']}`, {content['when'][:10]}, commit {commit}, "
        f"{machine['cpu']} ({machine['cores']} cores){gpu}, Python {versions['python']}, torch {versions['torch']}, "
        f"Lightning {versions['pytorch-lightning']}.{left_out}\n"
    )


def draw(results: Mapping[str, Content], path: Path) -> None:
    """Plot images/s of every implementation, a panel for each network: median, smallest and largest."""
    from matplotlib.figure import Figure

    compared = comparisons(results)
    figure = Figure(figsize=(7.5, 0.7 + 2.3 * len(compared)), layout="constrained")
    axes = figure.subplots(len(compared), squeeze=False)[:, 0]
    for ax, (title, measured) in zip(axes, compared.items(), strict=True):
        speeds = measured["images_per_second"]
        names = sorted(speeds, key=lambda name: speeds[name]["median"])
        medians = [speeds[name]["median"] for name in names]
        errors = [
            [speeds[name]["median"] - speeds[name]["low"] for name in names],
            [speeds[name]["high"] - speeds[name]["median"] for name in names],
        ]
        ax.barh(names, medians, color=[COLOURS.get(name, OTHERS) for name in names], height=0.7)
        ax.errorbar(medians, names, xerr=errors, fmt="none", ecolor="#333333", elinewidth=1, capsize=3)
        for name, speed in zip(names, medians, strict=True):
            ax.annotate(
                f"{speed:,.0f}",
                (0, name),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                color="white" if name in COLOURS else "black",
            )
        ax.set(title=title, xlim=(0, None))
        ax.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("training images per second: median over rounds, smallest and largest")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
