"""A network of series, from its first step to its use: trained, continued, inspected, evaluated and exported."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from support.composing import config as load_config
from support.lab import FailsAt
from support.series import write_waves

from resnet_lab import Run
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.schema import Config
from resnet_lab.data.sources import read
from resnet_lab.evaluate import main as evaluate
from resnet_lab.export import main as export
from resnet_lab.inspect.__main__ import main as inspect_main
from resnet_lab.inspect.saliency import class_activation
from resnet_lab.interrupts import RunFailed
from resnet_lab.job import callbacks
from resnet_lab.predict import main as predict
from resnet_lab.report.__main__ import main as report_main
from resnet_lab.rundir.place import run_directory
from resnet_lab.tasks.load import load_run
from resnet_lab.tasks.pretrained import identified
from resnet_lab.training.run import run
from resnet_lab.use.trained import Trained

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_waves(tmp_path_factory.mktemp("archive"))


def settings(root: Path, outputs: Path, *changes: str) -> Config:
    data = ("data=ucr", f"data.root={root}", "data.series.name=Waves", "optim.batch_size=8")
    usual = (*data, "stacks=two", "units=n1", "filters=w8", f"output_dir={outputs}")
    return load_config(*usual, "diagnostics=full", "trainer.max_epochs=4", *changes)


@pytest.fixture(scope="module")
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = settings(root, tmp_path_factory.mktemp("runs"))
    run(config, callbacks(config))
    return run_directory(identified(config)[0]).path


def test_it_learns_and_is_found_again(root: Path, finished: Path):
    again = run(settings(root, finished.parents[2]))
    history = [record["train/loss"] for record in again["history"]]
    assert len(history) == 4
    assert history[-1] < history[0]
    assert "failed" not in (finished / "run.log").read_text()


def test_an_interrupted_run_ends_as_an_uninterrupted_one(root: Path, tmp_path: Path):
    changes = ("deterministic=true", "optim.batch_share=0.1", "trainer.best_by=train/loss", "data.validation=0")
    whole = run(settings(root, tmp_path / "whole", *changes))
    parts = settings(root, tmp_path / "parts", *changes)

    with pytest.raises(RunFailed):
        run(parts, callbacks=[FailsAt(2)])
    continued = run(parts)
    losses = [[record["train/loss"] for record in result["history"]] for result in (whole, continued)]
    assert losses[0] == losses[1]
    assert whole["history"][0]["step"] == 10  # 40 series, four at a time
    best = min(range(4), key=lambda epoch: losses[0][epoch])
    assert whole["best"]["epoch"] == best + 1
    assert whole["last"] == continued["last"]


def test_its_inside_is_drawn(finished: Path, tmp_path: Path):
    assert inspect_main([str(finished), "--out", str(tmp_path)]) == 0
    page = (tmp_path / "inspect.html").read_text()
    assert 'class="failed"' not in page
    assert "the mean colour" not in page
    assert (tmp_path / "figures" / "saliency.png").is_file()


def test_networks_are_compared_in_words_for_series(root: Path, tmp_path: Path):
    for units in ("n1", "n2"):
        for seed in (0, 1):
            run(
                settings(
                    root, tmp_path / "runs", f"units={units}", f"seed={seed}", "diagnostics=off", "trainer.log=off"
                )
            )
    assert report_main([str(tmp_path / "runs"), "--out", str(tmp_path / "report")]) == 0
    said = (tmp_path / "report" / "report.md").read_text()
    assert "- series: 36 train, 4 validation, 20 test" in said
    assert not re.search(r"\b(images|pixels?)\b", said)


def test_a_series_is_named_by_its_number(finished: Path, root: Path, tmp_path: Path):
    for name in ("none", str(root / "Waves_TEST.ts")):
        with pytest.raises(ConfigError, match=r"^--images: .* is not the number of a series"):
            inspect_main([str(finished), "saliency", "--images", name, "--out", str(tmp_path)])


def test_class_activation_adds_up_to_the_logit(finished: Path):
    _, net = load_run(finished)
    series, targets = torch.randn(5, 2, 24), torch.tensor([0, 1, 1, 0, 1])
    activation = class_activation(net, series, targets)
    assert activation is not None
    with torch.no_grad():
        logits = net(series)[torch.arange(5), targets] - net.head.classifier.bias[targets]
    np.testing.assert_allclose(activation.mean(axis=1), logits.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("to", ["onnx", "pt2", "safetensors"])
def test_it_is_exported(finished: Path, tmp_path: Path, to: str, capsys: pytest.CaptureFixture[str]):
    assert export([str(finished), "--to", to, "--out", str(tmp_path / f"network.{to}")]) == 0
    assert "test series differ by at most" in capsys.readouterr().out


def test_it_is_evaluated(finished: Path, capsys: pytest.CaptureFixture[str]):
    assert evaluate([str(finished)]) == 0
    assert "test part of Waves" in "".join(capsys.readouterr())


def test_it_is_evaluated_on_another_set(finished: Path, root: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copy(root / "Waves_TRAIN.ts", root / "Others_TRAIN.ts")
    few = (root / "Waves_TEST.ts").read_text().splitlines()[:9]
    (root / "Others_TEST.ts").write_text("\n".join(few))
    assert evaluate([str(finished), "data.series.name=Others"]) == 0
    assert "the test part of Others: 7 series" in "".join(capsys.readouterr())
    with pytest.raises(ConfigError, match=r"^data\.series\.scale=given: series are prepared as in"):
        evaluate([str(finished), "data.series.scale=given"])


def test_it_is_applied_to_other_files(finished: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    made = Run(finished).predict(root / "Waves_TEST.ts")
    assert [one.file.name for one in made[:2]] == ["Waves_TEST.ts#1", "Waves_TEST.ts#2"]
    trained = Trained.load(finished)
    source = read(trained.config.data)
    expected = trained.probabilities(source.test.pixels[source.rows["test"]])
    shown = [dict(one.ranking)[trained.classes[row.argmax()]] for one, row in zip(made, expected, strict=True)]
    np.testing.assert_allclose(shown, expected.max(dim=1).values, rtol=1e-5)

    x = np.stack([np.sin(np.arange(24) / 2)] * 2)[None]
    np.savez(tmp_path / "mine.npz", x=x)
    assert predict([str(finished), str(tmp_path / "mine.npz"), str(tmp_path / "none.csv")]) == 1
    out = "".join(capsys.readouterr())
    assert "mine.npz#1" in out
    assert "none.csv does not exist" in out


def test_series_of_other_lengths_are_said(finished: Path, root: Path, capsys: pytest.CaptureFixture[str]):
    lines = (root / "Waves_TEST.ts").read_text().splitlines()
    (root / "Odd.ts").write_text("\n".join([*lines[:2], f"{'1,2,' * 20}5:{'2,?,' * 20}7:0", "1,2,3:4,5,6:1"]))
    assert predict([str(finished), str(root / "Odd.ts")]) == 0
    out = "".join(capsys.readouterr())
    for note in ("shorter than 24: ", "longer than 24: the end is cut off", "with missing values: "):
        assert f"Odd.ts: 1 of 2 series {note}" in out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("one.csv", "a,b\n1,2\n3,4\n", "has series of 1 channel, but the network takes 2 channels"),
        ("some.ts", "1,2:0\n1,2:3,4:5,6:0\n1,2:3,4:0\n", "has series of 1, 2, 3 channels, but the network takes"),
        ("empty.csv", "", "is empty: it must have a line with the names of columns"),
        ("labels.csv", "class,part\n0,train\n", "has no columns of values"),
    ],
)
def test_a_file_that_does_not_fit_is_named_once(finished: Path, tmp_path: Path, name: str, content: str, message: str):
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError) as caught:
        predict([str(finished), str(tmp_path / name)])
    [line] = str(caught.value).splitlines()
    assert line.startswith(f"{tmp_path / name} {message}")


def test_what_is_for_training_alone_is_not_read(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    x = np.zeros((2, 2, 24))
    np.savez(tmp_path / "mine.npz", **{"x": x, "class": np.array([None, 1]), "part": ["later"]})
    assert predict([str(finished), str(tmp_path / "mine.npz")]) == 0
    assert "mine.npz#2" in capsys.readouterr().out


def test_what_is_for_images_is_refused(finished: Path, tmp_path: Path):
    sorts = ["a.ts", "--sort-into", str(tmp_path)]
    for command, arguments in ((predict, sorts), (evaluate, ["--corrupt", "blur"]), (evaluate, ["--flip"])):
        with pytest.raises(ConfigError, match=r"is for images, but ucr was trained on series"):
            command([str(finished), *arguments])
