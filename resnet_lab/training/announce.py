"""What a run tells the user before it trains."""

from collections.abc import Iterator
from typing import Any

from resnet_lab.config.canonical import without_effect
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.schema import Config
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.stores import SAID, choice
from resnet_lab.kernels.choice import KINDS
from resnet_lab.model.complexity import Complexity
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.tasks.pretrained import Pretrained
from resnet_lab.text import plural
from resnet_lab.training.predictions import what_is_left_out
from resnet_lab.training.runtime import Runtime

Checkpoint = dict[str, Any] | None  # to continue from


def description(
    config: Config,
    cost: Complexity,
    runtime: Runtime,
    directory: RunDirectory,
    data: ImageData | None,
    checkpoint: Checkpoint,
) -> str:
    """Describe in four lines what will be done, and how; omit the number of images if no data was read."""
    epochs, images = config.trainer.max_epochs, ""
    if data:
        parts = (len(data.train_rows), len(data.validation_rows), len(data.test_rows))
        images = ": {:,} training, {:,} validation, {:,} test ".format(*parts) + f"{config.data.things}, "
        where, why = choice(data.source.train, config.data, runtime.accelerator == "gpu")
        images += f"{plural(data.num_batches, 'step')} per epoch; {SAID[where]} ({why})"
    todo = f"train {plural(epochs, 'epoch')}"
    if checkpoint:
        todo = f"continue after epoch {len(checkpoint['history'])} of {epochs}"
        if begun := checkpoint["resnet_lab"].get("continued_from"):
            todo += f"; epochs 1 to {begun['epochs']} are those of {begun['run']}"
    return (
        f"{config.name}: depth {cost.depth}, {cost.params:,} params, {cost.macs:,} MACs per {config.data.thing}\n"
        f"{config.data.set_name}{images}\n"
        f"{runtime.accelerator} ({runtime.name}): {runtime.reasons}\n"
        f"{directory.path}: {todo}"
    )


def notes_on_network(model: ModelConfig) -> Iterator[str]:
    """Yield what the user should know of the network's settings."""
    if narrow := model.narrow_attention:
        yield (
            f"attention: {' and '.join(map(str, narrow))} maps are fewer than model.attention.reduction "
            f"{model.attention.reduction}: one hidden unit for them"
        )
    if unread := without_effect(model):
        yield f"no effect in this network: {', '.join(f'model.{name}' for name in unread)}"


def begun_with(checkpoint: Checkpoint, runtime: Runtime) -> str:
    """Return the kernels that a run has used so far; earlier versions had torch's alone."""
    begun: str = checkpoint["resnet_lab"].get("kernels", KINDS[False]) if checkpoint else KINDS[runtime.kernels]
    return begun


def notes(
    config: Config, runtime: Runtime, directory: RunDirectory, data: ImageData, checkpoint: Checkpoint
) -> Iterator[str]:
    """Yield what the user should know: axes without effect, first weights, former precision and images, and so on."""
    yield from notes_on_network(config.model)
    if not checkpoint and (pretrained := Pretrained.of(config, data.source.classes)):
        yield pretrained.note
    facts = checkpoint["resnet_lab"] if checkpoint else {}
    kernels = begun_with(checkpoint, runtime)
    if kernels != KINDS[runtime.kernels]:
        now = f"it continues with {KINDS[runtime.kernels]} ones, which round otherwise"
        yield f"so far the run used {kernels} kernels; {now}"
    precision = facts.get("precision") or runtime.precision  # version 0.1 stored none
    if precision != runtime.precision:
        then = f"computed in {precision} ({facts.get('device')})"
        yield f"so far the run was {then}; it continues in {runtime.precision}, which gives other numbers"
    if left_out := what_is_left_out(config, data):
        yield left_out
    if not directory.config_file.exists():
        return
    if changes := directory.changed_images(data.source.facts):
        yield f"the images have changed since the run began; it continues with the current ones: {changes}"
    if not directory.images_file.exists():
        yield "an earlier version started this run without a record of its images; they are recorded from now on"
