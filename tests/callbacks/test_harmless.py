"""What only looks never hurts: whatever happens to a picture, the run ends as it would have without."""

import os
import resource
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from support.forked import Forked
from support.lab import Lab, events, same_weights, scalars, without_times

from resnet_lab.callbacks import full
from resnet_lab.interrupts import Interrupted
from resnet_lab.job import callbacks
from resnet_lab.training.harmless import harmless

pytestmark = pytest.mark.slow

CHANGES = ("trainer.max_epochs=4",)  # diagnostics=full looks after the epochs 1, 2 and 4


def trained(lab: Lab, kind: str = "full") -> Lab:
    lab.run(*CHANGES, callbacks=callbacks(lab.config(*CHANGES, f"diagnostics={kind}")))
    return lab


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return trained(Lab(tmp_path_factory.mktemp("undisturbed")))


def assert_same(lab: Lab, undisturbed: Lab) -> None:
    directory = lab.directory(*CHANGES)
    assert directory.status()["state"] == "done"
    assert without_times(directory.result()) == without_times(undisturbed.directory(*CHANGES).result())
    assert same_weights(lab.checkpoint(*CHANGES), undisturbed.checkpoint(*CHANGES))


def warnings(log: str) -> list[str]:
    """What was switched off, and why."""
    return [line.split(" WARNING ")[-1] for line in log.splitlines() if "is disabled" in line]


def out_of_luck(*args: Any, **kwargs: Any) -> Any:
    raise ValueError("out of\n[luck]")


@pytest.mark.parametrize(
    ("function", "kind", "who"),
    [
        ("dashboard.tree", "off", "Dashboard"),
        ("light.weight_histograms", "light", "LightDiagnostics"),
        ("full.flow_figure", "full", "FullDiagnostics"),
        ("progress.Progress", "off", "ProgressBar"),
    ],
)
def test_a_picture_that_fails_is_one_warning(
    lab: Lab, undisturbed: Lab, monkeypatch: pytest.MonkeyPatch, function: str, kind: str, who: str
):
    monkeypatch.setattr(f"resnet_lab.callbacks.{function}", out_of_luck)
    assert_same(trained(lab, kind), undisturbed)
    log = lab.directory(*CHANGES).log_file.read_text()
    said = f"{who} failed and is disabled; the run continues without it: ValueError: out of [luck]"
    assert warnings(log) == [said]
    assert log.count("Traceback") == 1
    assert "in out_of_luck" in log


def test_what_failed_is_left_out_and_the_rest_is_there(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("resnet_lab.callbacks.full.confusion_figure", out_of_luck)
    directory = trained(lab).directory(*CHANGES)
    read = events(directory.path)
    assert [image.step for image in read.Images("pictures/flow")] == [3]  # of the one epoch in which something failed
    assert "pictures/confusion" not in read.Tags()["images"]
    assert not (directory.path / "projector_config.pbtxt").exists()
    assert scalars(directory.path)["network gradient/stem"][-1][0] == 12  # light has nothing to do with it


def interrupt(hidden: bool) -> None:
    try:
        raise Interrupted(signal.SIGTERM)
    except Interrupted:
        if hidden:  # as C++ code does that calls Python
            raise RuntimeError("something else") from None
        raise


@pytest.mark.parametrize("hidden", [False, True])
def test_an_interrupt_passes_and_finds_the_checkpoint_written(
    lab: Lab, undisturbed: Lab, monkeypatch: pytest.MonkeyPatch, hidden: bool
):
    draw, looks = full.flow_figure, []

    def drawing(*args: Any) -> Any:
        looks.append(args)
        if len(looks) == 2:
            interrupt(hidden)
        return draw(*args)

    with monkeypatch.context() as patch:
        patch.setattr(full, "flow_figure", drawing)
        with pytest.raises(Interrupted):
            trained(lab)
    directory = lab.directory(*CHANGES)
    assert directory.status()["state"] == "interrupted"
    assert len(lab.checkpoint(*CHANGES)["history"]) == 2
    assert warnings(directory.log_file.read_text()) == []
    assert_same(trained(lab), undisturbed)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, Interrupted(signal.SIGINT)])
def test_other_ways_to_end_a_program_pass(error: Any):
    class Looks:
        @harmless
        def on_train_end(self) -> None:
            raise error

    with pytest.raises(error if isinstance(error, type) else Interrupted):
        Looks().on_train_end()


def disturbed(disturb: Callable[[], object]) -> None:
    """The second drawing of the flow is disturbed, in this process."""
    draw, looks = full.flow_figure, []

    def drawing(*args: Any) -> Any:
        looks.append(args)
        if len(looks) == 2:
            disturb()
        return draw(*args)

    full.flow_figure = drawing


def command(lab: Lab, before: Callable[[], object]) -> tuple[int, str, str]:
    """The command as a process of its own: its exit status, stdout and stderr."""
    return Forked(lab.output_dir.parent, *lab.overrides(*CHANGES, "diagnostics=full"), before=before).end()


def fail() -> None:
    raise ValueError("$1_to_$5")


def test_the_terminal_has_no_traceback(lab: Lab, undisturbed: Lab):
    status, stdout, stderr = command(lab, partial(disturbed, fail))
    assert status == 0, stderr
    assert stdout.startswith("fake seed 0: validation error ")
    [said] = warnings(stderr)
    assert said.endswith("FullDiagnostics failed and is disabled; the run continues without it: ValueError: $1_to_$5")
    assert "Traceback" not in stderr
    assert_same(lab, undisturbed)


def test_killed_while_it_draws(lab: Lab, undisturbed: Lab):
    assert command(lab, partial(disturbed, partial(os._exit, 9)))[0] == 9
    assert lab.directory(*CHANGES).status()["state"] == "running"
    assert len(lab.checkpoint(*CHANGES)["history"]) >= 1
    assert_same(trained(lab), undisturbed)


def test_a_disk_too_full_for_pictures(lab: Lab, undisturbed: Lab):
    """The event file may not grow as large as it would, while the checkpoints fit."""
    directory = undisturbed.directory(*CHANGES)
    [written] = directory.path.glob("events.*")
    room = 2 * directory.last.stat().st_size
    assert room < written.stat().st_size / 2
    status, _, stderr = command(lab, partial(resource.setrlimit, resource.RLIMIT_FSIZE, (room, room)))
    assert status == 0, stderr
    assert "Traceback" not in stderr
    said = warnings(stderr)
    assert {"FullDiagnostics", "EventLogger"} <= {line.split()[0] for line in said}
    assert len({line.split()[0] for line in said}) == len(said)  # each once
    assert all("File too large" in line for line in said)
    assert_same(lab, undisturbed)
