"""Find the directory of a run: where this version puts it, or where version 0.1 did."""

import os
from functools import cache
from pathlib import Path

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.schema import Config
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.identity import identity
from resnet_lab.rundir.naming import run_path


def run_directory(config: Config) -> RunDirectory:
    """Return the directory of a run. A directory that version 0.1 named after the overrides stays in place."""
    from resnet_lab.config.compose import base_of  # imports Hydra, which reading runs does not need

    directory = RunDirectory(run_path(config, base_of(config)))
    if os.path.exists(directory.config_file):  # False for an invalid path, which is reported later
        return directory
    folder = directory.path.parents[1]
    former = _former(folder.resolve()).get(identity(config))
    return RunDirectory(folder / former) if former else directory


@cache
def _former(folder: Path) -> dict[str, Path]:
    """Map identities to the runs of version 0.1 in `folder`; of repeated runs, keep the one that got furthest."""
    found: dict[str, RunDirectory] = {}
    if not os.path.isdir(folder):  # or its name is too long
        return {}
    for file in sorted([*folder.glob("*=*/seed-*/config.yaml"), *folder.glob("default/seed-*/config.yaml")]):
        directory = RunDirectory(file.parent)
        try:
            key = identity(directory.stored_config())
        except ConfigError:
            continue  # listed by the report
        if key not in found or _progress(directory) > _progress(found[key]):
            found[key] = directory
    return {key: directory.path.relative_to(folder) for key, directory in found.items()}


def _progress(directory: RunDirectory) -> tuple[bool, bool]:
    return bool(directory.result()), directory.last.exists()
