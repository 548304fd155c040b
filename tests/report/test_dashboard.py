"""TensorBoard on a sweep: runs are named by what varies, and nothing else."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from runs import write
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch.utils.tensorboard import SummaryWriter

from resnet_lab.command import exit_status
from resnet_lab.dashboard import main
from resnet_lab.report.view import View


def trained(path: Path, seed: int, units: int, **others: object) -> Path:
    """A run with a curve, whose event file says that other settings vary, as one of training does."""
    write(path, seed, axes={"units": [units]}, **others)  # type: ignore[arg-type]
    with SummaryWriter(path) as writer:
        writer.add_scalar("error/val", 5.0, 1)
        writer.add_hparams({"batch_size": 64}, {}, run_name=".")
    return path


def shown(view: View) -> list[str]:
    return sorted(folder.name for folder in view.folder.iterdir())


def test_runs_are_named_by_what_varies(tmp_path: Path):
    runs, view = tmp_path / "runs", View(tmp_path / "view")
    assert view.update([runs]) == 0
    trained(runs / "sweep" / "a" / "seed-0", 0, 3)
    assert view.update([runs]) == 1
    assert shown(view) == ["sweep"]  # a single run has the name of its sweep
    trained(runs / "sweep" / "b" / "seed-0", 0, 5)
    view.update([runs])
    assert shown(view) == ["units=3", "units=5"]
    trained(runs / "sweep" / "b" / "seed-1", 1, 5)
    (runs / "damaged").mkdir()
    (runs / "damaged" / "config.yaml").write_text("{")
    view.update([runs])
    assert shown(view) == ["units=3 seed=0", "units=5 seed=0", "units=5 seed=1"]
    trained(runs / "other" / "b" / "seed-1", 1, 5)  # the same once more
    view.update([runs])
    assert shown(view) == ["units=3 seed=0", "units=5 seed=0", "units=5 seed=1", "units=5 seed=1 #2"]
    trained(runs / "before" / "b" / "seed-1", 1, 5)  # is read first: each name is of another run now
    view.update([runs])
    for folder in view.folder.iterdir():
        assert len({link.resolve().parent for link in folder.iterdir() if link.is_symlink()}) == 1
    assert len(shown(view)) == 5


def test_a_folder_of_any_name_can_be_shown(tmp_path: Path):
    strange = tmp_path / "runs" / os.fsdecode(b"caf\xe9\n")
    write(strange / "a" / "seed-0")
    view = View(tmp_path / "view")
    view.update([tmp_path / "runs"])
    assert shown(view) == ["caf\\xe9\\x0a"]


def test_links_follow_a_run_that_continues(tmp_path: Path):
    path, view = trained(tmp_path / "runs" / "a" / "seed-0", 0, 3), View(tmp_path / "view")
    view.update([tmp_path])
    [folder] = view.folder.iterdir()
    for file in path.glob("events.*"):
        file.unlink()
    with SummaryWriter(path) as writer:
        writer.add_scalar("error/val", 4.0, 2)
    view.update([tmp_path])
    assert [event.value for event in EventAccumulator(str(folder)).Reload().Scalars("error/val")] == [4.0]


def test_hparams_show_the_settings_that_vary(tmp_path: Path):
    view = View(tmp_path / "view")
    for seed, units in ((0, 3), (1, 3), (0, 5)):
        trained(tmp_path / "runs" / f"{units}" / f"seed-{seed}", seed, units)
    view.update([tmp_path / "runs"])
    for folder in view.folder.iterdir():
        read = EventAccumulator(str(folder)).Reload()
        metadata = read.summary_metadata
        listed, own = (
            HParamsPluginData.FromString(metadata[f"_hparams_/{name}"].plugin_data.content)
            for name in ("experiment", "session_start_info")
        )
        domains = {info.name: list(info.domain_discrete) for info in listed.experiment.hparam_infos}
        assert domains == {"units": [3.0, 5.0], "seed": [0.0, 1.0]}  # to filter by
        assert all(info.differs for info in listed.experiment.hparam_infos)
        assert [info.name.tag for info in listed.experiment.metric_infos] == ["error/val", "test/error"]
        values = own.session_start_info.hparams
        assert folder.name == f"units={values['units'].number_value:g} seed={values['seed'].number_value:g}"
        assert [event.value for event in read.Scalars("error/val")] == [5.0]


@pytest.mark.slow
def test_tensorboard_serves_the_names_until_it_is_interrupted(tmp_path: Path):
    for seed in (0, 1):
        trained(tmp_path / "runs" / f"seed-{seed}", seed, 3)
    command = [sys.executable, "-m", "resnet_lab.dashboard", str(tmp_path / "runs"), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        address = next(word for line in server.stderr for word in line.split() if word.startswith("http://localhost"))
        tags = urllib.request.urlopen(f"{address}data/plugin/scalars/tags").read()
        server.send_signal(signal.SIGINT)
        server.stderr.read()
    assert server.returncode == 128 + signal.SIGINT
    assert json.loads(tags).keys() <= {"seed=0", "seed=1"}  # those that have been read by now


def test_nothing_to_show_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert exit_status(main, [str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"no run directories under {tmp_path}\n"
    assert exit_status(main, [str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/nowhere is not a folder\n"
    with pytest.raises(SystemExit):
        main(["--port", "99999"])
    assert "--port must be 0 to 65535, got 99999" in capsys.readouterr().err
