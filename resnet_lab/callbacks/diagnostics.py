"""Diagnostics of a network in TensorBoard during training: thin wrappers around resnet_lab.inspect.

All measurements use a replica of the network and fixed images, outside the training step. They do not affect what a
run learns.
"""

from pytorch_lightning import Callback

from resnet_lab.callbacks.full import FullDiagnostics
from resnet_lab.callbacks.light import LightDiagnostics
from resnet_lab.config import enums
from resnet_lab.config.schema import Config


def diagnostics(config: Config) -> list[Callback]:
    """Return the callbacks that `config.diagnostics` selects."""
    light, full = LightDiagnostics(), FullDiagnostics()
    kinds: dict[enums.Diagnostics, list[Callback]] = {
        enums.Diagnostics.off: [],
        enums.Diagnostics.light: [light],
        enums.Diagnostics.full: [light, full],
    }
    return kinds[config.diagnostics]
