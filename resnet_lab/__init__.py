"""resnet_lab: a laboratory for residual networks. Public API for notebooks."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resnet_lab.config.compose import load_config
    from resnet_lab.model.complexity import complexity
    from resnet_lab.model.resnet import ResNetV2
    from resnet_lab.tasks.load import load_run
    from resnet_lab.use.run import Run, load_runs, train

__all__ = ["ResNetV2", "Run", "complexity", "load_config", "load_run", "load_runs", "train"]

_HOMES = {
    "ResNetV2": "resnet_lab.model.resnet",
    "complexity": "resnet_lab.model.complexity",
    "load_config": "resnet_lab.config.compose",
    "load_run": "resnet_lab.tasks.load",
    "Run": "resnet_lab.use.run",
    "load_runs": "resnet_lab.use.run",
    "train": "resnet_lab.use.run",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that `--help` and the report do not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'resnet_lab' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
