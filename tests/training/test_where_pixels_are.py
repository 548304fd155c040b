"""A run gives the same numbers wherever its pixels are kept, and goes on from another store."""

from pathlib import Path

import pytest
from support.lab import FailsAt, Lab, same_weights, without_times
from support.pictures import photographs

from resnet_lab.data.listing import list_images
from resnet_lab.interrupts import RunFailed
from resnet_lab.training.run import Result

OWN = (
    "data=image_folder",
    "data.num_classes=2",
    "data.channels=3",
    "data.image_size=16",
    "augment=[resized_crop,mixup]",
)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Settings for own images, with a cache of their own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = photographs(tmp_path / "photographs", {"train/a": 40, "train/b": 40, "test/a": 6, "test/b": 6})
    list_images.cache_clear()
    return (*OWN, f"data.root={root}", "data.validation=0.2", "optim.batch_size=10")


def numbers(result: Result) -> dict[str, object]:
    """All that a run has found, without its settings of data, which name the store."""
    found: dict[str, object] = without_times(result)
    return {name: value for name, value in found.items() if name != "data"}


def test_all_stores_train_the_same_network(lab: Lab, tmp_path: Path, own: tuple[str, ...]) -> None:
    expected = numbers(lab.run(*own, "data.store=device"))
    for store in ("host", "files"):
        there = Lab(tmp_path / store)
        assert numbers(there.run(*own, f"data.store={store}")) == expected
        assert same_weights(there.checkpoint(*own), lab.checkpoint(*own))


@pytest.mark.parametrize("more", [(), ("data.whole=true",), ("data.pack.side=20", "data.whole=true")])
def test_a_run_that_decodes_while_it_trains_continues(lab: Lab, tmp_path: Path, own: tuple[str, ...], more) -> None:
    changes = (*own, *more, "data.store=files", "trainer.max_epochs=3")
    expected = numbers(lab.run(*changes))
    other = Lab(tmp_path / "interrupted")
    with pytest.raises(RunFailed):
        other.run(*changes, callbacks=[FailsAt(1)])
    assert numbers(other.run(*changes, "data.workers=0")) == expected
    assert same_weights(other.checkpoint(*changes), lab.checkpoint(*changes))
