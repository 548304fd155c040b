from collections.abc import Iterator
from pathlib import Path

import pytest
from own import POSITION, SQUARES, OwnLab, Position, squares

from resnet_lab.config.registry import DATASETS, TASKS
from resnet_lab.job import callbacks


@pytest.fixture(scope="package")
def registered() -> Iterator[None]:
    """The task and its data set are in the registries, as if a plugin had added them."""
    with pytest.MonkeyPatch.context() as patch:
        for registry in (TASKS, DATASETS):
            patch.setattr(registry, "_entries", dict(registry._entries))
        TASKS.add("position", POSITION, Position)
        DATASETS.add("squares", SQUARES, squares)
        yield


@pytest.fixture
def own(registered: None, tmp_path: Path) -> OwnLab:
    """A laboratory of the test's own."""
    return OwnLab(tmp_path / "outputs")


@pytest.fixture(scope="package")
def finished(registered: None, tmp_path_factory: pytest.TempPathFactory) -> OwnLab:
    """A laboratory with a finished run, as the command line makes it, to look at and not to change."""
    lab = OwnLab(tmp_path_factory.mktemp("position"))
    lab.run("diagnostics=full", callbacks=callbacks(lab.config("diagnostics=full")))
    return lab
