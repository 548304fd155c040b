"""Full diagnostics in TensorBoard during training: figures of `inspect`, and images in the Projector."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from pytorch_lightning import Trainer

from resnet_lab.callbacks.observer import Observer, prepared, writer_of
from resnet_lab.config.enums import Labels
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.split import drawn
from resnet_lab.inspect.attributes import attribute_mistakes
from resnet_lab.inspect.autoencoding import encoded, inputs, originals, reconstructed
from resnet_lab.inspect.context import NUM_CHOSEN
from resnet_lab.inspect.figures import confusion_figure, flow_figure, spectrum_figure
from resnet_lab.inspect.flow import flow
from resnet_lab.inspect.latent_figures import components_figure
from resnet_lab.inspect.maps import by_strength, feature_maps
from resnet_lab.inspect.mistakes import mistakes
from resnet_lab.inspect.mosaic import sheet
from resnet_lab.inspect.pixel_range import PixelRange
from resnet_lab.inspect.replica import intermediate, replica, stages
from resnet_lab.inspect.show_attributes import correlation_figure, errors_figure
from resnet_lab.inspect.show_decoded import reconstruction_figure
from resnet_lab.inspect.show_latent import few
from resnet_lab.inspect.spectrum import spectra
from resnet_lab.inspect.wording import reword
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.tasks.base import Task
from resnet_lab.text import literal_text

NUM_IMAGES = 32  # at a time, through the network
MOST_MAPS = 64
MOST_IMAGES = 2000  # in the confusion matrix and in the Projector
MOST_PIXELS = 8192  # along one side of the Projector's sprite sheet


class FullDiagnostics(Observer):
    """Measured after epochs 1, 2, 4, 8, … and the last, on validation images, or training images if there are none.

    | tag | |
    |---|---|
    | `pictures/flow` | figure: gradients, branch shares and activations over depth |
    | `pictures/maps of <layer>` | figure: maps of one image after the stem, each stack, and before the pooling |
    | `pictures/confusion` | figure: confusion matrix, if labels are classes |
    | `pictures/attributes`, `pictures/correlation` | figures: errors and correlations, if labels are attributes |
    | `pictures/reconstructions`, `pictures/spectrum`, `pictures/latent` | figures of autoencoders |
    | Projector | at the end: penultimate features, or latent vectors, with images and labels, a column per attribute |
    """

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.data: ImageData = trainer.datamodule  # type: ignore[attr-defined]
        rows = self.data.validation_rows if len(self.data.validation_rows) else self.data.train_rows
        side = MOST_PIXELS // max(self.data.config.data.image_shape[1:])
        self.images, self.labels = prepared(self.data, drawn(rows, min(MOST_IMAGES, side**2)), pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        epoch = trainer.current_epoch + 1
        if epoch & (epoch - 1) and epoch != trainer.max_epochs:
            return
        with literal_text():
            for name, figure in self._figures(pl_module.net, pl_module.task, epoch):
                reword(figure, pl_module.config.data.dims)
                writer_of(trainer).add_figure(f"pictures/{name}", figure, trainer.global_step)

    def _figures(self, net: ResNetV2, task: Task, epoch: int) -> Iterator[tuple[str, Figure]]:
        classes = self.data.source.classes
        flows = {"this network": flow(net, task, self.images[:NUM_IMAGES], self.labels[:NUM_IMAGES])}
        yield "flow", flow_figure(flows, f"flow through the network, epoch {epoch}")
        for name in stages(net):
            maps = feature_maps(net, self.images[:1], name)[0]
            order = by_strength(maps)[:MOST_MAPS]
            what = task.words(self.labels[0], classes)
            title = f"{len(order)} of {len(maps)} maps of {name} for a {what}, epoch {epoch}"
            numbers = list(map(str, order))
            yield f"maps of {name}", sheet(maps[order], numbers, title, "activation", "viridis", symmetric=False)
        title = f"{len(self.images):,} images, epoch {epoch}"
        if "mistakes" in task.info.figures and task.info.labels is Labels.attributes:
            found = attribute_mistakes(net, self.images, self.labels)
            yield "attributes", errors_figure(found, classes, title)
            yield "correlation", correlation_figure(found, classes, title)
        elif "mistakes" in task.info.figures:
            wrong = mistakes(net, self.images, self.labels)
            yield "confusion", confusion_figure(wrong, classes, title)
        yield from self._decoded(net, task, title)

    def _decoded(self, net: ResNetV2, task: Task, what: str) -> Iterator[tuple[str, Figure]]:
        figures = task.info.figures
        if "reconstructions" in figures or "spectrum" in figures:
            images, given = originals(task, self.images), inputs(task, self.images)
            found = reconstructed(net, task, given)
        if "reconstructions" in figures:
            names = [task.words(label, self.data.source.classes) for label in self.labels[:NUM_CHOSEN]]
            pixels = images[:NUM_CHOSEN], originals(task, given[:NUM_CHOSEN])
            shown = {"this network": found[:NUM_CHOSEN]}
            yield "reconstructions", reconstruction_figure(*pixels, shown, names, f"some of {what}")
        if "spectrum" in figures:
            yield "spectrum", spectrum_figure({"this network": spectra(images, found)}, f"power of {what}")
        if "latent" in figures:
            yield "latent", components_figure(few(encoded(net, self.images)), f"latent vectors of {what}")

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        other = replica(pl_module.net)
        name = "latent" if "latent" in pl_module.task.info.figures else "features"
        with torch.no_grad():
            chunks = [intermediate(other, chunk, name).flatten(1) for chunk in self.images.split(NUM_IMAGES)]
        writer = writer_of(trainer)
        folder = Path(writer.log_dir)
        shutil.rmtree(folder / f"{trainer.global_step:05d}", ignore_errors=True)  # of a run that did not finish
        (folder / "projector_config.pbtxt").unlink(missing_ok=True)
        words, header = self._metadata(pl_module.task)
        pictures = None
        if self.data.config.data.dims == 2:
            pixel_range = PixelRange.of(self.data.normalise, self.images.device)
            pictures = pixel_range.pictures(self.images).float().cpu()
        writer.add_embedding(
            torch.cat(chunks).float().cpu(),
            words,
            pictures,
            trainer.global_step,
            tag=name,
            metadata_header=header,
        )

    def _metadata(self, task: Task) -> tuple[list[Any], list[str] | None]:
        """Return the label of each image in words, with a column for each attribute, and the names of the columns."""
        classes = self.data.source.classes
        words = [task.words(label, classes) for label in self.labels]
        if task.info.labels is not Labels.attributes:
            return words, None
        rows = zip(words, self.labels.tolist(), strict=True)
        return [[word, *map(str, values)] for word, values in rows], ["attributes", *classes]
