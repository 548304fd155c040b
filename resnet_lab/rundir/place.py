"""Finding the directory of a run: where it belongs, or where version 0.1 put it."""

import os
from functools import cache
from pathlib import Path

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.schema import Config
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.identity import identity
from resnet_lab.rundir.naming import run_path


def run_directory(config: Config) -> RunDirectory:
    """The directory of a run. One that version 0.1 named after its overrides stays where it is."""
    from resnet_lab.config.compose import base_of  # Hydra, which nobody needs who only reads runs

    directory = RunDirectory(run_path(config, base_of(config)))
    if os.path.exists(directory.config_file):  # False where the path cannot be, which is said later
        return directory
    folder = directory.path.parents[1]
    former = _former(folder.resolve()).get(identity(config))
    return RunDirectory(folder / former) if former else directory


@cache
def _former(folder: Path) -> dict[str, Path]:
    """Where in a folder runs of 0.1 are, by their identity; of several that are one run the one that came furthest."""
    found: dict[str, RunDirectory] = {}
    if not os.path.isdir(folder):  # nor could it be, where its name is too long
        return {}
    for file in sorted([*folder.glob("*=*/seed-*/config.yaml"), *folder.glob("default/seed-*/config.yaml")]):
        directory = RunDirectory(file.parent)
        try:
            key = identity(directory.stored_config())
        except ConfigError:
            continue  # a report names it
        if key not in found or _progress(directory) > _progress(found[key]):
            found[key] = directory
    return {key: directory.path.relative_to(folder) for key, directory in found.items()}


def _progress(directory: RunDirectory) -> tuple[bool, bool]:
    return bool(directory.result()), directory.last.exists()
