"""The model card of an exported network: one Markdown page, in the form of those on Hugging Face."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.overrides import overrides_of
from resnet_lab.config.registry import DATASETS
from resnet_lab.config.schema import Config
from resnet_lab.config.tasks import Scoring
from resnet_lab.page import render
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.stored_runs import unfinished
from resnet_lab.tasks.cost import measure, parts
from resnet_lab.text import first_few, plural, shell_quoted
from resnet_lab.use.parts import PARTS, Part
from resnet_lab.use.scores import error_interval
from resnet_lab.use.trained import Trained

PURPOSES = {"train": "for training", "validation": "for validation", "test": "for the test"}
LOCAL = {"data.root": "IMAGES", "pretrained.run": "RUN"}  # what is elsewhere on another machine


def card(trained: Trained, to: str, file: Path, name: str, facts: Mapping[str, Any], run: RunDirectory | None) -> bytes:
    """Return the page for an exported file, which holds the part of PARTS with this name.

    Without a run, which a shared file does not have, it knows no scores.
    """
    result = run.result() if run else {}
    config, cost = trained.config, measure(trained.config)
    part, half = PARTS[name], "" if name == "whole" else name
    costs = parts(config, cost)[half] if half else cost.totals()
    output = part.output_of(trained)
    things = "series" if config.data.dims == 1 else "images"
    counts = result.get("images", {}).get("images", {})
    named = "Classes" if trained.classifies else "Attributes"
    origin = [f"{named}: {', '.join(trained.classes)}"] if trained.classes else []
    if result:
        origin += [f"Trained on {result['device']}, commit {result['git_commit'] or 'unknown'}"]
        origin += ["Versions: " + ", ".join(f"{name} {number}" for name, number in result["versions"].items())]
    return render(
        "use/card.md",
        **{fact: facts[fact] for fact in ("run", "checkpoint", "identity")},
        version=facts["versions"]["resnet-lab"],
        names_images=trained.classifies and things == "images",
        title=config.name,
        half=half,
        depth=costs["depth"],
        params=f"{costs['params']:,}",
        macs=f"{costs['macs']:,}",
        task=f"`task={config.task}`: {trained.task.info.help}",
        to=to,
        file=file.name,
        names=(part.input, output),
        input=_input(trained, to, part),
        output=_output(trained, output),
        start=Path(config.pretrained.run).name if config.pretrained.run else "",
        things=things,
        images=", ".join([_source(config), *(f"{counts[p]:,} {PURPOSES[p]}" for p in counts)]),
        recipe=_recipe(config),
        command=_command(run.stored_config()) if run else "",
        scoring=Scoring.of(result).label(Scoring.of(result).score) if result else "",
        rows=_rows(result, str(facts["checkpoint"]), trained.classifies) if result else [],
        limits=[*_unfinished(run), *_limits(trained, things)],
        origin=origin,
    )


def _source(config: Config) -> str:
    """Where the images are from."""
    info = DATASETS.info(config.data.name)
    return f"images of the author's own (data={config.data.name})" if info.own_images else info.help


def _input(trained: Trained, to: str, part: Part) -> str:
    """What a program gives to the file."""
    data = trained.config.data
    shape = " × ".join(map(str, data.image_shape))
    if to == "safetensors":
        return "files of images or series; they become what the network was trained on" + (
            f", {shape} values" if data.dims == 1 else f", {shape} pixels"
        )
    if part.input == "latent":
        return f"latent {_latent(trained)}, float32, as the encoder returns them"
    if data.dims == 1:
        return f"series, float32 (any number, {shape}); they are normalised inside"
    way = f"data.fit={data.fit.name}" + (f" after a crop to {data.crop}" if data.crop else "")
    return (
        f"decoded pixels, uint8 (any number, {shape}), resized by bilinear interpolation as {way} does; they are "
        "normalised inside"
    )


def _output(trained: Trained, output: str) -> str:
    """What a program gets from the file."""
    words = {
        "probabilities": "probabilities of",
        "numbers": "one number",
        "latent": _latent(trained),
    }.get(output, output)
    return f"{words} {first_few(trained.classes)}" if trained.classes else words


def _latent(trained: Trained) -> str:
    """What the encoder returns of an image."""
    dim, *sides = trained.latent_shape
    return f"{dim} maps of {' × '.join(map(str, sides))} numbers" if sides else f"vectors of {dim} numbers"


def _recipe(config: Config) -> str:
    """Optimiser, length and augmentations in a line."""
    optim = config.optim
    names = [name for name, settings in config.augment.items() if settings.active]
    return (
        f"{optim.name.name}, learning rate {optim.lr:g} ({optim.schedule.kind.name}), "
        f"weight decay {optim.weight_decay:g}, mini-batches of {optim.batch_size}, "
        f"{plural(config.trainer.max_epochs, 'epoch')}, seed {config.seed}; augmentation: {', '.join(names) or 'none'}"
    )


def _command(config: Config) -> str:
    """What repeats the run on another machine; empty if no command can."""
    try:
        words = overrides_of(replace(config, output_dir="outputs"))
    except ConfigError:
        return ""
    settings = (word.partition("=") for word in words)
    return shell_quoted(
        ["resnet-lab", *(f"{name}{equals}{LOCAL.get(name, value)}" for name, equals, value in settings)]
    )


def _rows(result: Mapping[str, Any], checkpoint: str, classifies: bool) -> Sequence[Sequence[str]]:
    """Part, number of images and score of the exported weights, with the interval of a test error."""
    scoring, counts = Scoring.of(result), result["images"].get("images", {})
    best = result["best"]
    scores = best if checkpoint.startswith("best") else result["last"]
    average = "ema_" if checkpoint.endswith("_ema") else ""
    rows = []
    for part, short in (("validation", "val"), ("test", "test")):
        value = scores.get(f"{short}_{average}{scoring.score}")
        if value is None:
            continue
        text, number = scoring.text(value), counts.get(part)
        chosen = f", whose minimum chose epoch {scores['epoch']}" if part == "validation" and scores is best else ""
        if part == "test" and number and classifies:
            low, high = error_interval(round(value / 100 * number), number)
            text += f" (95 % interval over images: {low:.2f} to {high:.2f})"
        rows.append([part + chosen, f"{number:,}" if number else "", text])
    return rows


def _unfinished(run: RunDirectory | None) -> Sequence[str]:
    """That training was not finished, if so."""
    if run and (state := unfinished(run.path)):
        return [f"Its training was not finished ({state}): this is the network after the last stored epoch."]
    return []


def _limits(trained: Trained, things: str) -> Sequence[str]:
    """What the scores do not say."""
    alien = "It names one of its classes whatever an image shows. Its probabilities were not calibrated."
    return [
        *([alien] if trained.classifies else []),
        f"Other {things} than those of the training may be harder; `resnet-lab evaluate` tests them.",
        "It is one run. Another seed gives other scores, so that it does not say which architecture is better.",
        f"Terms for the use of the training {things} may apply to the network. Nothing is said of a licence here.",
    ]
