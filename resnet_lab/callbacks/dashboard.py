"""What TensorBoard shows of a run in addition to the curves."""

import io
from typing import Any

import yaml
from pytorch_lightning import Trainer
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch.utils.tensorboard.summary import hparams

from resnet_lab.callbacks.observer import Observer, writer_of
from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.config.stored import to_dict
from resnet_lab.inspect.mosaic import rows_of
from resnet_lab.inspect.pixel_range import PixelRange
from resnet_lab.tasks.cost import measure, tree
from resnet_lab.text import plain_console
from resnet_lab.training.lightning import tag

SHOWN = ("filters", "reduction", "seed", "shortcut", "units")  # columns that the table of HPARAMS shows by default
GRID = 64  # number of augmented training images
COLUMNS = 8  # of series


class Dashboard(Observer):
    """Write at the start: hyper-parameters (HPARAMS), configuration and network (TEXT), training images (IMAGES).

    What depends on settings alone is written again when a run continues, which may have begun with a former version or
    as a shorter run. CUSTOM SCALARS has one chart of the training and validation scores, and one of the losses.

    The metrics of HPARAMS are the run's scalars `<score>/val` and `test/<score>`; the table shows their last values.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        writer = writer_of(trainer)
        self._describe_settings(writer)
        if trainer.global_step == 0:
            self._describe_network(trainer, writer)

    def _describe_settings(self, writer: Any) -> None:
        cost, task = measure(self.config), TASKS.info(self.config.task)
        writer.add_text("config", as_code(yaml.safe_dump(to_dict(self.config), sort_keys=False)), 0)
        values = hyper_parameters(self.config) | {"depth": cost.depth, "params": cost.params, "macs": cost.macs}
        experiment, *session = hparams(values, {tag(f"val/{task.score}"): None, f"test/{task.score}": None})
        for hparam_summary in (_marked(experiment), *session):
            writer.file_writer.add_summary(hparam_summary, 0)
        charts = {task.label(task.score): task.score, "loss": "loss"}
        parts = ("train/", "val/", *(["val/ema_"] if self.config.optim.ema else []))
        tags = {title: [tag(f"{part}{name}") for part in parts] for title, name in charts.items()}
        lines = {title: ["Multiline", pair] for title, pair in tags.items()}
        writer.add_custom_scalars({"training and validation": lines})

    def _describe_network(self, trainer: Trainer, writer: Any) -> None:
        summary = io.StringIO()
        plain_console(100, file=summary).print(tree(self.config, measure(self.config)))
        writer.add_text("summary", as_code(summary.getvalue()), 0)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        images, _ = next(iter(data.train_dataloader()))
        if self.config.data.dims == 1:
            rows = [row.cpu().numpy() for row in images[:GRID].split(COLUMNS)]
            figure = rows_of(rows, [""] * len(rows), [[]] * len(rows), "training series, as augmented")
            writer.add_figure("pictures/augmented training series", figure, 0)
            return
        shown = PixelRange.of(data.normalise, images.device).pictures(images[:GRID])
        writer.add_images("pictures/augmented training images", shown, 0)


def hyper_parameters(config: Config) -> dict[str, Any]:
    """Return the settings by which users compare runs."""
    model, optim = config.model, config.optim
    return {
        "units": "-".join(map(str, model.stack_units)),
        "filters": "-".join(map(str, model.stack_filters)),
        "reduction": "-".join(map(str, model.stack_reductions)),
        "unit": model.unit,
        "activation": model.activation.name,
        "shortcut": model.shortcut,
        "bridges": model.bridges.name,
        "data": config.data.name,
        "optimizer": optim.name.name,
        "lr": optim.lr,
        "batch_size": optim.batch_size,
        "weight_decay": optim.weight_decay,
        "epochs": config.trainer.max_epochs,
        "seed": config.seed,
    }


def _marked(experiment: Any) -> Any:
    """Mark the hyper-parameters in SHOWN as differing between runs, and return the summary that lists them.

    TensorBoard's table starts with these; of the rest it shows the first in alphabetical order.
    """
    metadata = experiment.value[0].metadata.plugin_data
    content = HParamsPluginData.FromString(metadata.content)
    for info in content.experiment.hparam_infos:
        info.differs = info.name in SHOWN
    metadata.content = content.SerializeToString()
    return experiment


def as_code(text: str) -> str:
    """Return Markdown that shows the text verbatim."""
    return "".join(f"    {line}\n" for line in text.splitlines())
