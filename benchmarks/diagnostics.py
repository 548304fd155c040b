"""Cost of the light diagnostics: `python -m benchmarks.diagnostics OVERRIDES…` prints their share of a run's time."""

import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from resnet_lab.callbacks.dashboard import Dashboard
from resnet_lab.callbacks.light import LightDiagnostics
from resnet_lab.config.compose import load_config
from resnet_lab.training.run import run

HOOKS = ("on_train_start", "on_train_batch_end", "on_train_epoch_end")


class Timed(LightDiagnostics):
    """Sums up the seconds spent in its hooks, which synchronise with the device before they return."""

    seconds = 0.0

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return self.timed(found) if name in HOOKS else found

    def timed(self, hook: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any) -> None:
            start = time.perf_counter()
            hook(*arguments)
            self.seconds += time.perf_counter() - start

        return call


def main(overrides: list[str]) -> None:
    """Train once in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        overrides = [*overrides, f"output_dir={folder}"]
        config, timed = load_config(*overrides), Timed()
        result = run(config, [Dashboard(config), timed])
    share = 100 * timed.seconds / result["seconds"]
    print(f"{timed.seconds:.2f} s of {result['seconds']:.1f} s: {share:.2f} % ({result['device']})")


if __name__ == "__main__":
    main(sys.argv[1:])
