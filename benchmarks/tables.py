"""The tables of docs/performance.md: Markdown from the content of each results file."""

from typing import Any

from benchmarks.gpu import packing
from benchmarks.markdown import spread, table

Content = dict[str, Any]


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
    """Return the table of the speed of each augmentation, and its share of a training step in the same round."""
    caption = (
        f"Median of {content['rounds']} rounds, smallest and largest in parentheses; `erasing` fills with noise.\n"
    )
    rows = []
    for network, measured in content["networks"].items():
        speeds, shares = measured["per_second"], measured["share"]
        rows.append([f"**a training step of `{network}`**", spread(speeds["step"], ",.0f"), ""])
        rows += [[f"`{name}`", spread(speeds[name], ",.0f"), spread(shares[name], ".1%")] for name in shares]
    return [caption, table(["`augment=`", "images or series/s", "share of the step"], rows)]


def reconstruction_table(content: Content) -> list[str]:
    """Return the table of the time of each kind of autoencoder's step, and its ratio to a classifier's, by MACs."""
    caption = f"`{content['network']}`; median of {content['rounds']} rounds, smallest and largest in parentheses.\n"
    head = ["training step", "MACs of an image", "ms", "time per MAC / the classifier's"]
    return [caption, table(head, step_rows(content))]


def series_table(content: Content) -> list[str]:
    """Return the table of seconds for an epoch, and their ratio."""
    names = {"lab": "an epoch of the lab", "plain": "an epoch of a plain PyTorch loop"}
    rows = [[names[name], spread(seconds, ".2f")] for name, seconds in content["seconds"].items()]
    return [table(["what", "seconds"], [*rows, ["ratio", spread(content["ratio"], ".2f")]])]


def recompute_table(content: Content) -> list[str]:
    """Return the table of peak memory and time with activation checkpointing."""
    caption = (
        f"`{content['network']}`, {content['image_size']} pixels, mini-batches of {content['batch_size']}; median of "
        f"{len(content['rounds'])} rounds, smallest and largest in parentheses. Memory is the peak of the process.\n"
    )
    rows = [
        [f"`{name}`", spread({key: value / 1e9 for key, value in memory.items()}, ".2f"), spread(time, ".2f")]
        for (name, memory), time in zip(content["memory"].items(), content["time"].values(), strict=True)
    ]
    return [caption, table(["`trainer.checkpoint_activations=`", "GB", "time / that of `none`"], rows)]


def store_table(content: Content) -> list[str]:
    """Return the tables of loading alone and of trainings, by where pixels are kept."""
    sets = {"photographs": f"{content['counts'][1]:,} photographs", "folder": "files in FOLDER"}
    rows = [
        [sets[name], way, f"{own['once']:.1f}", *(spread(own[key], ",.0f") for key in ("loaded", "limit")),
         spread(own["ratio"], ".2f")]
        for name, ways in content["loading"].items()
        for way, own in ways.items()
    ]  # fmt: skip
    head = ["images, at 64 pixels", "read from", "decoded once (s)", "images/s", "the decoder's limit", "ratio"]
    trained = [
        [way, f"{int(count):,}", f"{own['once']:.1f}", f"{own['start']:.1f}", f"{own['images_per_second']:,.0f}",
         f"{own['memory'] / 1e9:.2f}"]
        for way, by_count in content["trainings"].items()
        for count, own in by_count.items()
    ]  # fmt: skip
    names = ["`imagenet_18` at 64 pixels", "photographs", "first start (s)", "second start (s)", "images/s", "GB"]
    few, many = (f"{content['memory'][f'{count}'] / 1e9:.2f} GB" for count in content["counts"])
    memory = f"\nAfter as many steps from `files`: {few} with {content['counts'][0]:,} photographs, {many} with all.\n"
    host = f"\n`cifar10_56` from `host`: {spread(content['host'], '.3f')} times the speed from `device`.\n"
    return [table(head, rows), table(names, trained), memory, host]


def decoders_table(content: Content) -> list[str]:
    """Return the table of another decoder next to Pillow, and whether it pays off."""
    names = {"decode": "the file to its pixels", "read": "and these to a network's 64 pixels, as the lab reads files"}
    rows = [
        [names[what], *(spread(own[key], ",.0f") for key in ("pillow", "simplejpeg")), spread(own["ratio"], ".2f"),
         "the same" if own["same"] else "others"]
        for what, own in content["measured"].items()
    ]  # fmt: skip
    worth, ratio = content["worth_it"], content["measured"]["read"]["ratio"]["median"]
    verdict = "It would pay off" if ratio >= worth else "So the lab decodes with Pillow alone"
    said = f"\n{verdict}: another decoder is worth a dependency from {worth:g} times the speed of reading on.\n"
    return [table(["images/s", "Pillow", f"simplejpeg {content['simplejpeg']}", "ratio", "pixels"], rows), said]


def kernels_table(content: Content) -> list[str]:
    """Return the table of steps with own kernels and with torch's, by network and threads."""
    caption = (
        f"A training step on one mini-batch of random images; median of {content['rounds']} rounds, smallest and "
        "largest in parentheses. `trainer.kernels=auto` leaves `digits` to PyTorch's.\n"
    )
    rows = [
        [f"`{network}`", threads, *(spread(own["milliseconds"][kind], ",.0f") for kind in ("torch", "native")),
         spread(own["ratio"], ".2f"), f"{own['native_share']:.0%}"]
        for network, by_threads in content["networks"].items()
        for threads, own in by_threads.items()
    ]  # fmt: skip
    head = ["network", "threads", "PyTorch's, ms", "own, ms", "times as fast", "share of own kernels"]
    return [caption, table(head, rows)]


def trained_table(content: Content) -> list[str]:
    """Return the table of test errors with either kind of kernels, and the difference that the report states."""
    rows = []
    for found in content["sets"].values():
        errors = (f"{error['mean']:.2f} ± {error['half']:.2f}" for _, error in sorted(found["errors"].items()))
        own = found["difference"]
        gap = f"{own['mean']:+.2f} ({own['low']:+.2f} to {own['high']:+.2f})"
        rows.append([found["title"], *errors, gap])
    caption = (
        f"Test error in %, {content['seeds']} seeds each, with 95 % intervals over seeds, as the report states them.\n"
    )
    return [caption, table(["training", "own kernels", "PyTorch's", "difference, points"], rows)]


def waiting_table(content: Content) -> list[str]:
    """Return the table of images/s of all jobs, by the threads of each, and how these wait."""
    caption = (
        f"Images/s of all jobs together on {content['cores']} cores, and in parentheses the ratio to one thread for "
        f"each job; medians of {content['rounds']} rounds. `passive` is OMP_WAIT_POLICY=passive.\n"
    )
    rows = []
    for network, by_jobs in content["networks"].items():
        for jobs, found in by_jobs.items():
            speeds, ratios = found["images_per_second"], found["ratio"]
            cells = (f"{speeds[way]['median']:,.0f} ({ratios[way]['median']:.2f})" for way in ratios)
            rows.append([f"`{network}`, {jobs}", *cells])
    first = next(iter(next(iter(content["networks"].values())).values()))
    return [caption, table(["network, jobs", *(f"{way} each" for way in first["ratio"])], rows)]


def axes_table(content: Content) -> list[str]:
    """Return a table for each network: the time of a step with each option, and its ratio to the plain one's."""
    found = [
        f"Mini-batches of {content['batch_size']}; median of {content['rounds']} rounds, smallest and largest in "
        "parentheses. Each ratio is to the first line of its table, in the same round.\n"
    ]
    for network, measured in content["networks"].items():
        head = [f"`{network}`", "MACs of an image", "ms", "time per MAC / the plain network's"]
        found += [table(head, step_rows(measured))]
    return found


def step_rows(measured: Content) -> list[list[str]]:
    """Return the rows of compared training steps: name, MACs, milliseconds, and ratio of the time for each MAC."""
    macs, times, ratios = measured["macs"], measured["milliseconds"], measured["ratio"]
    return [
        [
            f"`{name}`" if "=" in name else name,
            f"{macs[name] / 1e6:.1f} M",
            spread(times[name], ",.0f"),
            spread(ratios[name], ".2f"),
        ]
        for name in ratios
    ]


def packing_table(content: Content) -> list[str]:
    """Return the table of the total images/s of several seeds on one GPU, and their gain over one after the other."""
    speeds, gains, counts = content["images_per_second"], content["gains"], [*content["fastest"]]
    ways = dict.fromkeys(name.partition(", ")[2] for name in [*gains, *content["failed"]] if ", " in name)

    def cell(name: str) -> str:
        return f"{speeds[name]['median']:,.0f} ({gains[name]['median']:.2f} ×)" if name in gains else "failed"

    alone = [packing.ALONE, *[f"{speeds[packing.ALONE]['median']:,.0f}"] * len(counts)]
    rows = [alone, *([way, *(cell(f"{count} seeds, {way}") for count in counts)] for way in ways)]
    return [table(["images/s in total", *(f"{count} seeds" for count in counts)], rows)]


TABLES = {
    "profile-cpu": profile_table,
    "gpu/fast-kernels": profile_table,
    **{f"gpu/packing-{network}": packing_table for network in packing.NETWORKS},
    "kernels": kernels_table,
    "trained": trained_table,
    "waiting": waiting_table,
    "export-cpu": export_table,
    "augmentations": augment_table,
    "axes": axes_table,
    "series": series_table,
    "recompute": recompute_table,
    "store": store_table,
    "decoders": decoders_table,
    "reconstruction": reconstruction_table,
    "startup": startup_table,
    "own_images": own_images_table,
    "scaling": scaling_table,
}
