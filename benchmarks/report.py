"""`python -m benchmarks.report`: write docs/performance.md and its figure from the measured JSON."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.facts import RESULTS, load
from benchmarks.gpu import packing

DOCS = Path(__file__).parents[1] / "docs"
PAGE, FIGURE = DOCS / "performance.md", DOCS / "figures" / "performance.png"
COLOURS = {"roof": "#8a8a8a", "lab": "#0b62a4"}
OTHERS = "#c9d3dc"

Content = dict[str, Any]


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
            parts += [f"## {title}\n", *(TABLES[name](results[name])), verdict_table(results[name]["checks"])]
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


def startup_table(content: Content) -> list[str]:
    """Return the table of start-up times, which adds the spread to the verdicts."""
    names = {"help": "`python -m resnet_lab --help`", "first_step": "from the command to the first step, `cifar10_20`"}
    return [table(["what", "seconds"], [[names[name], spread(s, ".2f")] for name, s in content["spread"].items()])]


def scaling_table(content: Content) -> list[str]:
    """Return the tables of time per image and per multiply-accumulate."""
    images, macs = content["microseconds_per_image"], content["picoseconds_per_mac"]
    return [
        table(["images", "µs per image"], [[f"{int(n):,}", spread(s, ".1f")] for n, s in images.items()]),
        table(["layers", "ps per MAC"], [[n, spread(s, ".1f")] for n, s in macs.items()]),
    ]


def own_images_table(content: Content) -> list[str]:
    """Return the table of seconds until own images are ready."""
    count = content["images"]
    names = {
        "decoding": f"decoding {count['decoded']:,} images",
        "second start": "the same images, decoded before",
        "fingerprint, new files": f"fingerprint of {count['identified']:,} images",
        "fingerprint, known files": "the same fingerprint again",
        "listing": "of which listing the files",
    }
    return [table(["what", "seconds"], [[names[name], spread(s, ".2f")] for name, s in content["spread"].items()])]


def profile_table(content: Content) -> list[str]:
    """Return the table of the shares of a training step, a column for each network."""
    networks = content["networks"]
    kinds = dict.fromkeys(kind for network in networks.values() for kind in network["kinds"])
    shares = {
        kind: [network["kinds"].get(kind, {"share": 0})["share"] for network in networks.values()] for kind in kinds
    }
    rows = [
        [kind, *(f"{share:.1%}" for share in of_kind)]
        for kind, of_kind in sorted(shares.items(), key=lambda item: -sum(item[1]))
    ]
    total = ["milliseconds per step", *(f"{network['step_ms']:,.1f}" for network in networks.values())]
    return [table(["share of a step", *networks], [*rows, total])]


def export_table(content: Content) -> list[str]:
    """Return the table of images/s, and of the ratio to the lab's own, by network and number of images at once."""
    rows = []
    for network, batches in content["networks"].items():
        for batch, found in batches.items():
            own, *others = found["images_per_second"]
            cells = (
                f"{found['images_per_second'][name]['median']:,.0f} ({spread(found['ratios'][name], '.2f')} ×)"
                for name in others
            )
            rows.append([network, batch, f"{found['images_per_second'][own]['median']:,.0f}", *cells])
    caption = (
        "Images per second of CPU time, from uint8 pixels to probabilities. In parentheses: the ratio to the lab's own "
        "in the same round, as median (smallest–largest).\n"
    )
    return [caption, table(["network", "images at once", "the lab, eager", "ONNX Runtime", "pt2"], rows)]


def augment_table(content: Content) -> list[str]:
    """Return the table of images/s of each augmentation, and its share of a training step in the same round."""
    speeds, shares, rounds = content["images_per_second"], content["share"], content["rounds"]
    rows = [[f"`{name}`", spread(speeds[name], ",.0f"), spread(shares[name], ".1%")] for name in shares]
    step = [f"a training step of `{content['network']}`", spread(speeds["step"], ",.0f"), ""]
    caption = f"Median of {rounds} rounds, smallest and largest in parentheses; `erasing` fills with noise.\n"
    return [caption, table(["`augment=`", "images/s", "share of the step"], [*rows, step])]


def reconstruction_table(content: Content) -> list[str]:
    """Return the table of the time of each kind of autoencoder's step, and its ratio to a classifier's, by MACs."""
    macs, times, ratios = content["macs"], content["milliseconds"], content["ratio"]
    rows = [
        [
            f"`{name}`" if "=" in name else name,
            f"{macs[name] / 1e6:.1f} M",
            spread(times[name], ",.0f"),
            spread(ratios[name], ".2f"),
        ]
        for name in ratios
    ]
    caption = f"`{content['network']}`; median of {content['rounds']} rounds, smallest and largest in parentheses.\n"
    return [caption, table(["training step", "MACs of an image", "ms", "time per MAC / the classifier's"], rows)]


def packing_table(content: Content) -> list[str]:
    """Return the table of the total images/s of several seeds on one GPU, and their gain over one after the other."""
    speeds, gains, counts = content["images_per_second"], content["gains"], [*content["fastest"]]
    ways = dict.fromkeys(name.partition(", ")[2] for name in [*gains, *content["failed"]] if ", " in name)

    def cell(name: str) -> str:
        return f"{speeds[name]['median']:,.0f} ({gains[name]['median']:.2f} ×)" if name in gains else "failed"

    alone = [packing.ALONE, *[f"{speeds[packing.ALONE]['median']:,.0f}"] * len(counts)]
    rows = [alone, *([way, *(cell(f"{count} seeds, {way}") for count in counts)] for way in ways)]
    return [table(["images/s in total", *(f"{count} seeds" for count in counts)], rows)]


SECTIONS = {
    "profile-cpu": "Where a training step spends its time, on one CPU thread",
    "export-cpu": "Exported networks, on one CPU thread",
    "augmentations": "Augmentations, on one CPU thread",
    "reconstruction": "Autoencoders, on one CPU thread",
    "startup": "Start-up",
    "own_images": "Own images",
    "scaling": "More images, more layers",
}
TABLES = {
    "profile-cpu": profile_table,
    "gpu/fast-kernels": profile_table,
    **{f"gpu/packing-{network}": packing_table for network in packing.NETWORKS},
    "export-cpu": export_table,
    "augmentations": augment_table,
    "reconstruction": reconstruction_table,
    "startup": startup_table,
    "own_images": own_images_table,
    "scaling": scaling_table,
}


def verdict_table(checks: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of checks: what was measured, the number, its limit, and whether it keeps the limit."""
    rows = [
        [
            check["what"],
            f"{check['value']:.3g}" if check["value"] is not None else "",
            f"{'≥' if check['at_least'] else '≤'} {check['limit']:g}",
            said(check["passed"]),
        ]
        for check in checks
    ]
    return table(["check", "measured", "limit", "passed"], rows)


def said(holds: bool) -> str:
    """Format a verdict as yes or no."""
    return "yes" if holds else "**no**"


def spread(values: Mapping[str, float], spec: str) -> str:
    """Format as median (smallest–largest)."""
    median, low, high = (format(values[name], spec) for name in ("median", "low", "high"))
    return f"{median} ({low}–{high})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; all columns but the first are numbers."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


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
