import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from support.composing import config as load_config
from support.lab import TINY, FailsAt, Lab, events, same_weights, scalars, without_times
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import plugin_data_pb2

from resnet_lab import load_run
from resnet_lab.callbacks.dashboard import Dashboard
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.schema import DataConfig
from resnet_lab.config.stored import to_dict
from resnet_lab.data import datamodule
from resnet_lab.data.images import Normalisation
from resnet_lab.data.sources import Source, read
from resnet_lab.interrupts import RunFailed
from resnet_lab.model.complexity import complexity
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.training.lightning import tag
from resnet_lab.training.result import format_result, scores
from resnet_lab.training.run import run

SCALARS = {
    "train/loss",
    "train/error",
    "val/loss",
    "val/error",
    "lr",
    "images_per_second",
    "seconds",
    "test/loss",
    "test/error",
}


def files(path: Path) -> dict[str, tuple[int, bytes]]:
    """Time of change and content of every file below a folder."""
    return {str(f): (f.stat().st_mtime_ns, f.read_bytes()) for f in path.rglob("*") if f.is_file()}


# --- what a finished run leaves


def test_result(finished: Lab):
    directory = finished.directory()
    result = json.loads(directory.result_file.read_text())
    config = finished.config()
    cost = complexity(ResNetV2(config.model), config.data.image_shape)
    expected = {
        "schema_version": 1,
        "name": "fake",
        "seed": 0,
        "epochs": 2,
        "axes": to_dict(config.model),
        "data": to_dict(config.data),
        "optim": to_dict(config.optim),
        "depth": 2 * 2 * 3 + 2,
        "params": sum(p.numel() for p in ResNetV2(config.model).parameters()),
        "macs": cost.macs,
        "activations": cost.activations,
        "receptive_field": cost.receptive_field,
        "precision": "32-true",
        "reserved_memory": None,
    }
    assert {name: result[name] for name in expected} == expected
    assert set(result["versions"]) == {"python", "resnet-lab", "torch", "pytorch-lightning", "hydra-core", "numpy"}
    assert result["versions"]["torch"] == torch.__version__
    assert result["device"]
    assert result["peak_memory"] > 1e6
    assert result["git_commit"] is None or len(result["git_commit"].rstrip("+")) == 40
    epochs = [record["epoch"] for record in result["history"]]
    assert epochs == [1, 2]
    assert [record["step"] for record in result["history"]] == [3, 6]
    assert result["seconds"] == pytest.approx(sum(record["seconds"] for record in result["history"]))
    assert result["images_per_second"] > 0
    assert directory.status()["state"] == "done"
    assert directory.log_file.read_text()


def test_last_and_best_are_epochs_of_the_history(finished: Lab):
    result = finished.directory().result()
    history = result["history"]
    lowest = min(record["val/error"] for record in history)
    best = next(record for record in history if record["val/error"] == lowest)
    for part, record in (("last", history[-1]), ("best", best)):
        assert result[part]["epoch"] == record["epoch"]
        for name in ("train_loss", "train_error", "val_loss", "val_error"):
            assert result[part][name] == record[name.replace("_", "/")]
    validation, test = result["last"]["val_error"], result["last"]["test_error"]
    words = f"validation error {validation:.2f} %, test error {test:.2f} % (last epoch, {result['epochs']}); "
    assert format_result(result).startswith(f"fake seed 0: {words}")
    assert "test error" not in scores(result, with_test=False)


@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_test_errors_are_those_of_the_stored_networks(lab: Lab, checkpoint: str):
    changes = ("trainer.max_epochs=4", "data.num_classes=10", "seed=1")
    result = lab.run(*changes)
    assert result["best"]["epoch"] < 4  # otherwise both would be the same network
    config, net = load_run(lab.directory(*changes).path, checkpoint)
    test = read(config.data).test
    normalise = Normalisation(tuple(config.data.mean or ()), tuple(config.data.std or ()))
    with torch.no_grad():
        predicted = net(normalise(torch.from_numpy(test.pixels))).argmax(dim=1)
    wrong = sum(int(p) != int(label) for p, label in zip(predicted, test.labels, strict=True))
    assert result[checkpoint]["test_error"] == pytest.approx(100 * wrong / len(test.labels))


def test_again_returns_the_stored_result_and_touches_nothing(finished: Lab):
    directory = finished.directory()
    before = files(directory.path)
    again = finished.run(callbacks=[FailsAt(0)])
    assert again == json.loads(directory.result_file.read_text())
    assert files(directory.path) == before


def test_one_event_file_with_every_scalar_once_an_epoch(finished: Lab):
    directory = finished.directory()
    assert len(list(directory.path.rglob("events.out.tfevents.*"))) == 1
    written = scalars(directory.path)
    assert set(written) == set(map(tag, SCALARS))
    history = directory.result()["history"]
    for name in SCALARS - {"test/loss", "test/error"}:
        assert written[tag(name)] == [(record["step"], pytest.approx(record[name])) for record in history], name
    last = directory.result()["last"]
    assert written["test/error"] == [(6, pytest.approx(last["test_error"]))]
    assert written["test/loss"] == [(6, pytest.approx(last["test_loss"]))]


def test_dashboard(finished: Lab):
    read = events(finished.directory().path)
    tags = {"config/text_summary", "summary/text_summary"}
    assert tags <= set(read.Tags()["tensors"])
    texts = {tag: read.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in tags}
    assert "milestones" in texts["config/text_summary"]
    assert "depth 14" in texts["summary/text_summary"]
    (grid,) = (image for tag in read.Tags()["images"] for image in read.Images(tag))
    assert grid.width * grid.height >= 16 * 8 * 8  # a mini-batch


def test_training_and_validation_stand_in_one_chart(finished: Lab):
    directory = finished.directory().path
    [written] = events(directory).Tensors("custom_scalars__config__")
    layout = layout_pb2.Layout.FromString(written.tensor_proto.string_val[0])
    charts = [list(chart.multiline.tag) for category in layout.category for chart in category.chart]
    assert charts == [["error/train", "error/val"], ["loss/train", "loss/val"]]
    assert {tag for chart in charts for tag in chart} <= set(scalars(directory))


def test_hyper_parameters(finished: Lab):
    plugin = events(finished.directory().path).summary_metadata
    experiment, session = (
        plugin_data_pb2.HParamsPluginData.FromString(plugin[f"_hparams_/{name}"].plugin_data.content)
        for name in ("experiment", "session_start_info")
    )
    metrics = [metric.name.tag for metric in experiment.experiment.metric_infos]
    assert metrics == ["error/val", "test/error"]
    shown = {info.name for info in experiment.experiment.hparam_infos if info.differs}
    assert shown == {"units", "filters", "reduction", "shortcut", "seed"}
    assert set(metrics) <= set(scalars(finished.directory().path))
    values = session.session_start_info.hparams
    assert len(values) >= 12
    assert values["lr"].number_value == pytest.approx(0.1)
    assert values["units"].string_value == "2-2"
    assert values["depth"].number_value == 14


# --- variations


def test_without_validation(lab: Lab):
    result = lab.run("data.validation=0")
    assert result["best"] is None
    assert result["last"]["val_error"] is None
    assert result["last"]["test_error"] is not None
    words = (
        f"fake seed 0: test error {result['last']['test_error']:.2f} % (last epoch, {result['epochs']}); trained in "
    )
    assert format_result(result).startswith(words)
    assert scores(result, with_test=False) == scores(result)
    directory = lab.directory("data.validation=0")
    assert [file.name for file in directory.checkpoints.iterdir()] == ["last.ckpt"]
    assert not {"loss/val", "error/val"} & set(scalars(directory.path))


def test_debug_takes_two_batches_and_one_epoch(tmp_path: Path):
    overrides = [o for o in TINY if not o.startswith("trainer")] + ["trainer=debug", f"output_dir={tmp_path}"]
    result = run(load_config(*overrides))
    assert [record["step"] for record in result["history"]] == [2]


def test_dry_run_creates_nothing(lab: Lab):
    assert lab.run("dry_run=true") == {}
    assert not lab.output_dir.exists()


def test_the_test_set_only_ever_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    one, other = Lab(tmp_path / "one"), Lab(tmp_path / "other")
    result = one.run()

    def shifted(config: DataConfig) -> Source:
        source = read(config)
        labels = (source.test.labels + 1) % 3
        return dataclasses.replace(source, test=dataclasses.replace(source.test, labels=labels))

    monkeypatch.setattr(datamodule, "read", shifted)
    changed = other.run()
    assert same_weights(one.checkpoint(), other.checkpoint())
    assert without_times(result["history"]) == without_times(changed["history"])
    assert result["last"]["test_loss"] != changed["last"]["test_loss"]
    for epoch in ("last", "best"):
        for name in ("epoch", "train_loss", "train_error", "val_loss", "val_error"):
            assert result[epoch][name] == changed[epoch][name]


def test_seeds_differ_and_repeat(tmp_path: Path):
    one, two, again = Lab(tmp_path / "1"), Lab(tmp_path / "2"), Lab(tmp_path / "3")
    first = one.run()
    assert without_times(first) == without_times(again.run())
    assert same_weights(one.checkpoint(), again.checkpoint())
    two.run("seed=1")
    assert not same_weights(one.checkpoint(), two.checkpoint("seed=1"))


# --- endings


def test_a_diverged_run_says_so_and_is_not_repeated(lab: Lab):
    with pytest.raises(RunFailed, match=r"diverged: train/loss is \S+ in epoch 1; a lower optim\.lr, .*may help"):
        lab.run("optim.lr=1e30")
    directory = lab.directory("optim.lr=1e30")
    status = directory.status()
    assert status["state"] == "diverged"
    assert "in epoch 1" in status["why"]
    assert not directory.result_file.exists()
    before = files(directory.path)
    with pytest.raises(RunFailed) as again:
        lab.run("optim.lr=1e30")
    assert status["why"] in str(again.value)
    assert files(directory.path) == before


def test_a_failed_run_keeps_its_traceback_and_continues(tmp_path: Path):
    changes = ("trainer.max_epochs=3",)
    straight, broken = Lab(tmp_path / "straight"), Lab(tmp_path / "broken")
    expected = straight.run(*changes)
    with pytest.raises(RunFailed, match=r"RuntimeError: out of luck.*run\.log") as kept:
        broken.run(*changes, callbacks=[FailsAt(2)])
    directory = broken.directory(*changes)
    assert directory.status()["state"] == "failed"
    assert directory.status()["why"] == "RuntimeError: out of luck"
    assert "RuntimeError: out of luck" in directory.log_file.read_text()
    assert "Traceback" in directory.log_file.read_text()
    assert len(broken.checkpoint(*changes)["history"]) == 2
    assert kept.value  # its traceback holds the frames of the run, and must not hold the directory
    assert without_times(broken.run(*changes)) == without_times(expected)
    assert same_weights(straight.checkpoint(*changes), broken.checkpoint(*changes))


@pytest.mark.parametrize("seed", range(3))
def test_a_moved_run_continues_with_its_best_epoch(tmp_path: Path, seed: int):
    changes = ("trainer.max_epochs=5", f"seed={seed}")
    straight, before, after = (Lab(tmp_path / name) for name in ("straight", "before", "after"))
    expected = straight.run(*changes)
    assert expected["best"]["epoch"] < 5
    with pytest.raises(RunFailed):
        before.run(*changes, callbacks=[FailsAt(4)])
    before.output_dir.rename(after.output_dir)
    assert without_times(after.run(*changes)) == without_times(expected)
    stored = torch.load(after.directory(*changes).best, weights_only=True)
    assert len(stored["history"]) == expected["best"]["epoch"]


def test_killed_before_the_result_was_written(lab: Lab):
    expected = lab.run(callbacks=[Dashboard(lab.config())])
    directory = lab.directory()
    before = scalars(directory.path)
    directory.set_status("running")
    directory.result_file.unlink()
    again = lab.run(callbacks=[Dashboard(lab.config())])
    assert without_times(again) == without_times(expected)
    assert scalars(directory.path) == before
    assert len(list(directory.path.glob("events.*"))) == 1
    assert "summary/text_summary" in events(directory.path).Tags()["tensors"]


def test_killed_while_the_events_were_copied(lab: Lab):
    with pytest.raises(RunFailed):
        lab.run(callbacks=[Dashboard(lab.config()), FailsAt(1)])
    (file,) = lab.directory().path.glob("events.*")
    content = file.read_bytes()
    (file.parent / "events.out.tfevents.9999999999.killed").write_bytes(content[: len(content) - 7])
    lab.run(callbacks=[Dashboard(lab.config())])
    assert [step for step, _ in scalars(file.parent)["loss/train"]] == [3, 6]
    assert len(list(file.parent.glob("events.*"))) == 1


# --- refusals


def test_one_of_several_processes_is_refused(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"devices=1, but torchrun has started 2 processes.* set trainer\.devices=2"):
        lab.run()
    assert not lab.output_dir.exists()


def test_a_checkpoint_of_another_configuration_is_refused(lab: Lab):
    lab.run()
    with pytest.raises(RunFailed):
        lab.run("optim.lr=0.05", callbacks=[FailsAt(1)])
    directory = lab.directory("optim.lr=0.05")
    shutil.copy(lab.directory().last, directory.last)
    before = files(directory.path)
    with pytest.raises(ConfigError, match=r"last\.ckpt is a checkpoint of another configuration"):
        lab.run("optim.lr=0.05")
    assert files(directory.path) == before


def test_another_configuration_in_the_same_directory_is_refused(lab: Lab):
    lab.run()
    lab.directory("optim.lr=0.05").path.parent.mkdir()
    lab.directory().path.rename(lab.directory("optim.lr=0.05").path)
    before = files(lab.output_dir)
    with pytest.raises(ConfigError, match=r"another configuration: optim\.lr is 0\.1 there, 0\.05 now\. Choose"):
        run(lab.config("optim.lr=0.05"))
    assert files(lab.output_dir) == before


@pytest.mark.parametrize("validation", ["64", "65", "0.999"])
def test_nothing_left_to_train_on(lab: Lab, validation: str):
    with pytest.raises(ConfigError, match=r"data\.validation"):
        lab.run(f"data.validation={validation}")
    assert not lab.output_dir.exists()


def test_output_dir_below_a_file(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"output_dir: cannot create .*file is not a folder"):
        Lab(tmp_path / "file" / "outputs").run()
    with pytest.raises(ConfigError, match=r"output_dir: cannot create .*: File name too long"):
        Lab(tmp_path / ("x" * 300)).run()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
