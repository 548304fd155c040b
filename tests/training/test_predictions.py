"""What a run stores of each image is what its result says of all of them."""

import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.lab import FailsAt, Lab, same_weights

from resnet_lab import load_run
from resnet_lab.config.checks import ConfigError
from resnet_lab.data.datamodule import ImageData
from resnet_lab.interrupts import RunFailed
from resnet_lab.report.collect import collect
from resnet_lab.rundir.predictions import PARTS, Predictions, read_predictions, write_predictions
from resnet_lab.rundir.safe import Unreadable
from resnet_lab.rundir.stored_runs import read_run

RUN_OF_0_1 = next((Path(__file__).parents[1] / "golden" / "runs" / "0.1").rglob("result.json")).parent
WHEN = ("last", "best")
SHORT = ("trainer.max_epochs=1", "trainer.max_batches=1", "diagnostics=off")


def stored(lab: Lab, *changes: str, part: str = "test", when: str = "last") -> Predictions:
    return read_predictions(lab.directory(*changes).predictions_file, part, when)


def assert_as_in_the_result(lab: Lab, *changes: str) -> None:
    result = lab.directory(*changes).result()
    for when in WHEN:
        for part in PARTS:
            wrong = stored(lab, *changes, part=part, when=when).wrong
            assert wrong is not None
            assert 100 * wrong.mean() == pytest.approx(result[when][f"{part}_error"], rel=1e-12), (part, when)


def test_it_is_what_the_stored_networks_say(finished: Lab):
    assert_as_in_the_result(finished)
    data = ImageData(finished.config())
    parts = {"test": (data.source.test, data.test_rows), "val": (data.source.train, data.validation_rows)}
    for when in WHEN:
        _, net = load_run(finished.directory().path, when)
        for part, (images, rows) in parts.items():
            with torch.no_grad():
                logits = net(data.normalise(torch.from_numpy(images.pixels[rows])))
            found = stored(finished, part=part, when=when)
            assert found.index.tolist() == rows.tolist()
            assert found.label is not None
            assert found.label.tolist() == images.labels[rows].tolist()
            assert found.predicted is not None
            assert found.predicted.tolist() == logits.argmax(1).tolist()
            assert found.classes is found.penalty is None
            np.testing.assert_allclose(found.probabilities, logits.softmax(1), rtol=2**-10, atol=1e-6)


def test_an_interrupted_run_stores_the_same_bytes(lab: Lab, finished: Lab):
    with pytest.raises(RunFailed):
        lab.run(callbacks=[FailsAt(1)])
    assert not lab.directory().predictions_file.exists()
    lab.run()
    assert lab.directory().predictions_file.read_bytes() == finished.directory().predictions_file.read_bytes()


def test_seeds_share_images_and_labels(lab: Lab, finished: Lab):
    lab.run("seed=1")
    for part in PARTS:
        one, other = stored(finished, part=part), stored(lab, "seed=1", part=part)
        assert one.index.tolist() == other.index.tolist()
        assert np.array_equal(one.label, other.label)
        assert not np.array_equal(one.probabilities, other.probabilities)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "64"])
def test_other_precisions(lab: Lab, precision: str):
    lab.run(f"trainer.precision={precision}", "trainer.eval_batch_size=7")
    assert_as_in_the_result(lab, f"trainer.precision={precision}")


def test_without_validation_there_is_one_test(lab: Lab):
    lab.run("data.validation=0", *SHORT)
    assert len(stored(lab, "data.validation=0", *SHORT).index) == 16
    for part, when in (("val", "last"), ("test", "best")):
        with pytest.raises(Unreadable, match=f"holds no predictions of the {when} weights for the {part} part"):
            stored(lab, "data.validation=0", *SHORT, part=part, when=when)


def test_it_can_be_switched_off_and_changes_no_number(lab: Lab, finished: Lab):
    directory = lab.directory()
    directory.path.mkdir(parents=True)
    directory.predictions_file.write_bytes(b"of an earlier start")
    lab.run("trainer.predictions_mb=0")
    assert not directory.predictions_file.exists()
    assert same_weights(lab.checkpoint(), finished.checkpoint())
    assert directory.result()["last"] == finished.directory().result()["last"]
    with pytest.raises(ConfigError, match=r"trainer\.predictions_mb must be at least 0, got -1"):
        lab.config("trainer.predictions_mb=-1")


# 100 test and 50 validation images of 200 classes take 133 kB, with five classes 21 kB, without probabilities 12 kB.
MANY = ("data.num_images=400", "data.num_classes=200", "data.validation=50", *SHORT)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "said", "shape"),
    [
        (0.133, "", (100, 200)),
        (0.131, "has the probabilities of the 5 most probable classes only", (100, 5)),
        (0.020, "has no probabilities", None),
        (0.011, "is not written", None),
    ],
)
def test_the_limit(lab: Lab, limit: float, said: str, shape: tuple[int, int] | None):
    changes = (*MANY, f"trainer.predictions_mb={limit}")
    lab.run(*changes)
    file = lab.directory(*changes).predictions_file
    logged = lab.directory(*changes).log_file.read_text()
    note = f"note: predictions.npz {said}: with more it could exceed trainer.predictions_mb={limit:g}"
    assert note in logged if said else "predictions.npz" not in logged
    if "written" in said:
        assert not file.exists()
        return
    assert file.stat().st_size <= limit * 10**6
    assert_as_in_the_result(lab, *changes)
    found = stored(lab, *changes)
    assert (None if found.probabilities is None else found.probabilities.shape) == shape
    if shape == (100, 5):
        assert found.classes is not None
        assert found.predicted is not None
        assert found.probabilities is not None
        assert np.array_equal(found.classes[:, 0], found.predicted)
        assert (np.diff(found.probabilities, axis=1) <= 0).all()


def test_the_largest_file_is_within_the_limit(tmp_path: Path):
    """Of random bytes, which cannot be compressed."""
    rng, count = np.random.default_rng(0), 5000
    classes = rng.integers(0, 2**31, count)
    bits = rng.integers(0, 0x7C00, (count, 300)) + 0x8000 * rng.integers(0, 2, (count, 300))  # of finite numbers
    probabilities = bits.astype(np.uint16).view(np.float16)
    found = Predictions(index=classes, label=classes[::-1], predicted=classes + 1, probabilities=probabilities)
    write_predictions(tmp_path / "p.npz", {("test", "last"): found, ("test", "best"): found})
    needed = 8192 + 1.001 * 2 * count * (12 + 600)  # as `num_kept` counts
    assert 0.95 * needed < (tmp_path / "p.npz").stat().st_size < needed
    assert read_predictions(tmp_path / "p.npz", "test", "best").probabilities == pytest.approx(probabilities)


def packed(path: Path, **changes: Any) -> None:
    """Write a file with two arrays that are whole, and with `changes`."""
    arrays: dict[str, Any] = {"test_index": np.arange(3, dtype=np.uint8), "test_last_penalty": np.ones(3), **changes}
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})


def bomb(path: Path) -> None:
    """Three kilobytes that stand for two gigabytes, if what the archive says were believed."""
    packed(path)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as whole:
        [size] = [entry.file_size for entry in whole.infolist() if entry.filename == "test_index.npy"]
    path.write_bytes(content.replace(size.to_bytes(4, "little"), (2**31).to_bytes(4, "little")))


DAMAGES: dict[str, Any] = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("{}"),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "a wrong byte": lambda path: path.write_bytes(path.read_bytes().replace(b"descr", b"de(cr", 1)),
    "no array of bytes": lambda path: zipfile.ZipFile(path, "w").writestr("test_last_penalty.npy", b"123"),
    "objects": lambda path: packed(path, test_last_penalty=np.array([{}, [], "x"], dtype=object)),
    "no images": lambda path: packed(path, test_index=None),
    "text instead of numbers": lambda path: packed(path, test_last_penalty=np.array(["a", "b", "c"])),
    "another number of images": lambda path: packed(path, test_last_penalty=np.ones(4)),
    "another shape": lambda path: packed(path, test_last_penalty=np.ones((3, 1))),
    "not a number": lambda path: packed(path, test_last_penalty=np.array([1, np.nan, 1])),
    "no labels": lambda path: packed(path, test_last_predicted=np.arange(3)),
    "classes without probabilities": lambda path: packed(path, test_last_classes=np.ones((3, 5), int)),
    "too large": bomb,
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_unreadable_and_the_run_is_still_reported(finished: Lab, tmp_path: Path, damage: str):
    shutil.copytree(finished.output_dir, tmp_path / "outputs")
    lab = Lab(tmp_path / "outputs")
    packed(lab.directory().predictions_file)
    assert stored(lab).penalty is not None
    DAMAGES[damage](lab.directory().predictions_file)
    with pytest.raises(Unreadable, match=r"^predictions\.npz (is damaged: .|is not a regular file|is missing)"):
        stored(lab)
    assert [run.path for run in collect([lab.output_dir]).done] == [lab.directory().path]


def test_any_wrong_byte_is_answered(finished: Lab, tmp_path: Path):
    """By the file as it was, or by one message."""
    whole, path, rng = finished.directory().predictions_file.read_bytes(), tmp_path / "p.npz", np.random.default_rng(0)
    for place in rng.integers(0, len(whole), 300):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ int(rng.integers(1, 256))]) + whole[place + 1 :])
        try:
            read_predictions(path, "test", "last")
        except Unreadable as error:
            assert len(str(error)) < 300


def test_a_run_of_a_former_version_has_none():
    run = read_run(RUN_OF_0_1)
    assert run.config.trainer.predictions_mb == 32
    with pytest.raises(Unreadable, match=r"predictions\.npz is missing"):
        read_predictions(run.path / "predictions.npz", "test", "last")
