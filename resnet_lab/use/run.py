"""Runs from Python: train them, and use what they have stored."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pytorch_lightning import Callback

from resnet_lab.config.canonical import canonical
from resnet_lab.config.checks import ConfigError, require
from resnet_lab.config.schema import Config
from resnet_lab.config.tasks import Scoring
from resnet_lab.interrupts import keyboard_interrupts
from resnet_lab.job import callbacks as usual_callbacks
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.report.collect import collect
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.place import run_directory
from resnet_lab.rundir.stored_runs import StoredRun
from resnet_lab.tasks.load import load_run
from resnet_lab.tasks.pretrained import identified
from resnet_lab.training.log import log, show_on_terminal
from resnet_lab.training.run import run
from resnet_lab.use.calibration import calibrated
from resnet_lab.use.corrupt import STRENGTHS
from resnet_lab.use.evaluate import refuse_flip, scored
from resnet_lab.use.forms import Prediction
from resnet_lab.use.images import images_to_test, refuse_other_settings
from resnet_lab.use.mean_scores import MeanScores
from resnet_lab.use.predict import predictions, refuse_untold
from resnet_lab.use.scores import Scores
from resnet_lab.use.series import find_inputs
from resnet_lab.use.trained import Trained

# What `load_runs` takes from result.json, next to the scores; None for a run that is not done.
NUMBERS = ("epochs", "depth", "params", "macs", "activations", "seconds", "wall_seconds", "peak_memory")


class Run:
    """A stored run. Raises ConfigError if `path` is not a run directory, or its config.yaml cannot be read."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.directory = RunDirectory(self.path)
        self.config: Config = self.directory.stored_config()

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def result(self) -> dict[str, Any]:
        """The content of result.json; {} unless the run is done."""
        return self.directory.result()

    @property
    def history(self) -> list[dict[str, Any]]:
        """A record for each epoch: losses, scores, learning rate, seconds; [] unless the run is done."""
        return self.result.get("history", [])

    @cached_property
    def net(self) -> ResNetV2:
        """The network after the last epoch, in eval mode on the CPU. Raises ConfigError if there is no checkpoint."""
        return load_run(self.path)[1]

    def predict(
        self, *images: str | Path, top: int = 1, checkpoint: str = "last", batch_size: int = 64
    ) -> list[Prediction]:
        """Say what image files, and the images in folders, show, as `resnet-lab predict` does.

        Return a prediction for each image: its `top` most probable classes, the probabilities of its attributes or its
        number, or why it cannot be read. Raises ConfigError if one of `images` does not exist or is a folder without
        images, or if the task has no such labels.
        """
        require(top >= 1, f"top must be at least 1, got {top}")
        require(batch_size >= 1, f"batch_size must be at least 1, got {batch_size}")
        trained = Trained.load(self.path, checkpoint)
        refuse_untold(trained, self.path)
        if top > 1:
            trained.refuse_without_classes(f"top={top}", self.path)
        trained, _ = calibrated(trained, self.path, checkpoint)
        found, read = find_inputs(map(Path, images), trained)
        require(bool(found.files) and not found.failed, "\n".join(found.failed) or "no images to classify")
        return [*predictions(trained, found.files, read, batch_size, top)]

    def encode(self, *images: str | Path, checkpoint: str = "last", batch_size: int = 64) -> npt.NDArray[np.float32]:
        """Return the latent vectors of image files, and of the images in folders, in the order in which they are found.

        They are (N, latent_dim), or (N, latent_dim, h, w) for `latent_layer=map`; of a variational autoencoder, the
        means. Raises ConfigError if an image cannot be read, or the network has no decoder.
        """
        trained = Trained.load(self.path, checkpoint)
        found, read = find_inputs(map(Path, images), trained)
        require(bool(found.files) and not found.failed, "\n".join(found.failed) or "no images to encode")
        batches = (found.files[start : start + batch_size] for start in range(0, len(found.files), batch_size))
        return np.concatenate([trained.encode(np.stack([*map(read, batch)])).numpy() for batch in batches])

    def decode(self, latent: npt.ArrayLike, checkpoint: str = "last") -> npt.NDArray[np.float32]:
        """Return the images that latent vectors, as of `encode`, stand for: pixels in 0…1, (N, C, H, W).

        Raises ConfigError if the network has no decoder, or `latent` is not an array of numbers of that shape.
        """
        trained = Trained.load(self.path, checkpoint)
        try:
            vectors = np.asarray(latent, np.float32)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"latent must be an array of numbers, got {latent!r:.60}") from error
        return trained.decode(vectors).numpy()

    def evaluate(
        self, *overrides: str, checkpoint: str = "last", corrupt: Sequence[str] = (), flip: bool = False
    ) -> Scores | MeanScores:
        """Test the network on the run's test part, or on the images that overrides of `data` select.

        `corrupt` lists kinds of corruption: "gaussian", "mask", "blur", "contrast", "jpeg". With `flip`, probabilities
        are averaged with those of the mirror images (of tasks without classes, outputs). Raises ConfigError for
        overrides of other settings, and for classes that the network does not know. `MeanScores` are for tasks without
        classes.
        """
        refuse_other_settings(overrides)
        unknown = ", ".join(kind for kind in corrupt if kind not in STRENGTHS)
        require(not unknown, f"corrupt: {unknown} is not known; choose from {', '.join(STRENGTHS)}")
        trained = Trained.load(self.path, checkpoint)
        refuse_flip(flip, trained, "flip=True")
        images = images_to_test(self.path, trained, overrides)
        trained, _ = calibrated(trained, self.path, checkpoint)
        return scored(str(self.path), self.path, trained, images, corrupt, flip)


def train(config: Config, callbacks: Sequence[Callback] | None = None) -> Run:
    """Train, continue or look up the configured run, as the command does; return it.

    `callbacks` of Lightning replace the command's: dashboard, diagnostics and progress. Raises ConfigError when a
    setting or the data is wrong, and RunFailed when training fails, diverges or reaches `trainer.max_time`. After
    Ctrl-C, which raises KeyboardInterrupt, the next call continues the run.
    """
    require(not config.dry_run, "dry_run=true trains nothing: print the dry run of the command instead")
    show_on_terminal()
    with keyboard_interrupts():
        run(config, usual_callbacks(config) if callbacks is None else callbacks)
    return Run(run_directory(identified(config)[0]).path)


def load_runs(*folders: str | Path) -> list[dict[str, Any]]:
    """Return a record of plain values for each run below the folders, as for `pandas.DataFrame(load_runs("outputs"))`.

    It has `path`, `state`, `name`, every setting that affects the results by its dotted name, the scores of the last
    and the best epoch (`last.test_error`), and the costs. A run that is not done has no scores, and None for the costs.
    Damaged runs are left out with a warning.
    """
    found = collect(map(Path, folders))
    for damaged in found.damaged:
        log.warning("%s: damaged, skipped (%s)", damaged.path, damaged.why)
    runs = sorted([*found.done, *found.unfinished], key=lambda stored: stored.path)
    return [_record(stored) for stored in runs]


def _record(stored: StoredRun) -> dict[str, Any]:
    result = stored.result
    record: dict[str, Any] = {"path": str(stored.path), "state": stored.state.value, "name": stored.config.name}
    record |= canonical(stored.config)
    for name in result["last"] if result else ():
        if name.endswith(f"_{Scoring.of(result).score}"):
            for when in ("last", "best"):
                record[f"{when}.{name}"] = (result[when] or {}).get(name)
    return record | {name: result.get(name) for name in NUMBERS}
