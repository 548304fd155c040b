"""Draw what autoencoders make of images, into docs/figures/: `python scripts/draw_autoencoders.py`.

Trains one with shortcuts and one without on Fashion-MNIST first, unless they are in outputs/.
"""

from pathlib import Path

import matplotlib

from resnet_lab.config.compose import load_config
from resnet_lab.config.schema import Config
from resnet_lab.inspect.context import Choices, context
from resnet_lab.inspect.sections import PARTS
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.rundir.place import run_directory
from resnet_lab.tasks.load import load_run
from resnet_lab.training.log import show_on_terminal
from resnet_lab.training.run import run

matplotlib.use("Agg")

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
OVERRIDES = (
    "task=reconstruction",
    "data=fashion_mnist",
    "head=latent_flat",
    "units=n1",
    "filters=w16",
    "optim=adam",
    "optim.lr=0.01",
    "augment=none",
    "trainer=cpu",
    "trainer.max_epochs=4",
    "trainer.max_batches=150",
    "deterministic=true",
)
DRAWN = ("reconstructions", "spectrum", "samples")  # parts of `inspect`, of which the first figure is taken


def trained(*overrides: str) -> tuple[Config, ResNetV2]:
    """Train a network, unless that was done, and load it."""
    config = load_config(*OVERRIDES, *overrides)
    run(config)
    return load_run(run_directory(config).path)


def main() -> None:
    """Draw the figures of the network with shortcuts, compared with the one without."""
    show_on_terminal()
    config, net = trained("name=residual")
    _, plain = trained("name=plain", "shortcut=none")
    inspected = context(config, net, Choices(), [("no shortcuts", plain)], iter)
    for name in DRAWN:
        next(PARTS[name](inspected)).figure.savefig(FIGURES / f"autoencoder_{name}.png", dpi=110)


if __name__ == "__main__":
    main()
