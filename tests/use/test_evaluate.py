"""`evaluate` agrees with result.json and with `predict`, on the run's own images and on others, by class name."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from least import OWN, Shell, train
from support.lab import Lab
from support.pictures import GREY, noise, save

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import load_config
from resnet_lab.config.enums import Fit
from resnet_lab.data.decode import read_image
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.use.evaluate import labels, probabilities
from resnet_lab.use.images import data_config, images_to_test
from resnet_lab.use.trained import Trained


@pytest.fixture(scope="session")
def other_run(tmp_path_factory: pytest.TempPathFactory, pets: Path) -> Path:
    """A second run on the pets."""
    return train(Lab(tmp_path_factory.mktemp("others")), *OWN, f"data.root={pets}", "seed=1", "data.validation=4")


def evaluated(shell: Shell, tmp_path: Path, *words: object) -> dict:
    """What `evaluate --json` writes."""
    status, _, err = shell("evaluate", *words, "--json", tmp_path / "made.json")
    assert status == 0, err
    made: dict = json.loads((tmp_path / "made.json").read_text())
    return made


@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_the_own_test_part_gives_the_numbers_of_the_run(shell: Shell, pets_run: Path, tmp_path: Path, checkpoint: str):
    [made] = evaluated(shell, tmp_path, pets_run, "--checkpoint", checkpoint)["runs"]
    result = RunDirectory(pets_run).result()
    assert made["error"] == result[checkpoint]["test_error"]
    assert made["nll"] == pytest.approx(result[checkpoint]["test_loss"], rel=1e-6)
    assert made["class_errors"] == result["test"][checkpoint]["class_errors"]
    assert made["images"]["count"] == result["images"]["images"]["test"] == np.sum(made["confusion"])
    confusion = np.array(made["confusion"])
    assert made["error"] == 100 * (confusion.sum() - np.trace(confusion)) / confusion.sum()


def test_probabilities_are_those_of_predict(shell: Shell, pets: Path, pets_run: Path):
    """For every kind of image."""
    trained = Trained.load(pets_run)
    made = probabilities(trained, images_to_test(pets_run, trained, []))
    _, out, _ = shell("predict", pets_run, pets / "test", "--json")
    entries = json.loads(out)
    assert made.max(dim=1).values.tolist() == pytest.approx([entry["probability"] for entry in entries], abs=1e-6)
    assert [trained.classes[label] for label in made.argmax(dim=1)] == [entry["class"] for entry in entries]


def test_another_size_is_cut_out_of_the_resized_image(shell: Shell, pets: Path, pets_run: Path, tmp_path: Path):
    trained = Trained.load(pets_run)
    how = replace(trained.decoding, image_shape=(3, 12, 12), fit=Fit.crop, resize_to=16)
    files = [path for path in sorted((pets / "test").rglob("*")) if path.is_file()]
    likely = trained.probabilities(np.stack([read_image(path, how) for path in files])).argmax(dim=1).tolist()
    wrong = [trained.classes[label] != path.parent.name for label, path in zip(likely, files, strict=True)]
    [made] = evaluated(shell, tmp_path, pets_run, "--size", 12, "--resize-to", 16)["runs"]
    assert made["error"] == pytest.approx(100 * np.mean(wrong))
    assert trained.at(12).config.data.resize_to is None
    assert replace(trained, config=trained.at(12, 16).config).at(24).config.data.resize_to == 32


def test_an_autoencoder_takes_one_size(shell: Shell, tmp_path: Path):
    run = train(Lab(tmp_path), "task=reconstruction", "head=latent_flat", "data.image_size=8", "trainer.max_epochs=1")
    status, _, err = shell("evaluate", run, "--size", "12")
    assert status == 1
    assert err == "--size: the network of task=reconstruction takes images of the size that it was trained on\n"


def test_flips_are_the_mean_with_the_mirror_image(pets_run: Path):
    trained = Trained.load(pets_run)
    images = images_to_test(pets_run, trained, [])
    pixels = images.pixels[images.rows]
    expected = (trained.probabilities(pixels) + trained.probabilities(pixels[..., ::-1].copy())) / 2
    assert np.allclose(probabilities(trained, images, flip=True), expected, atol=1e-6)
    assert not np.allclose(probabilities(trained, images), expected, atol=1e-6)


def put_one_each(root: Path, pets: Path) -> Path:
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        shutil.copy(min((pets / "test" / name).iterdir()), root / name)
    return root


def test_classes_of_another_folder_are_matched_by_name(shell: Shell, pets: Path, pets_run: Path, tmp_path: Path):
    """`dog` is class 0 of this folder and class 1 of the network; a folder without parts is used as a whole."""
    dogs = tmp_path / "dogs"
    shutil.copytree(pets / "test" / "dog", dogs / "dog")
    [made] = evaluated(shell, tmp_path, pets_run, f"data.root={dogs}")["runs"]
    [own] = evaluated(shell, tmp_path, pets_run)["runs"]
    assert made["images"] == {"what": f"all images of {dogs}, 1 of 2 classes", "count": 3}
    assert made["class_errors"] == {"dog": own["class_errors"]["dog"]}
    assert made["confusion"][1] == own["confusion"][1]
    one_each = put_one_each(tmp_path / "few", pets)
    [made] = evaluated(shell, tmp_path, pets_run, f"data.root={one_each}")["runs"]
    assert made["images"] == {"what": f"all images of {one_each}", "count": 2}
    save(dogs / "fox" / "a.png", GREY)
    status, _, err = shell("evaluate", pets_run, f"data.root={dogs}", "data.test=0.5")
    assert (status, err.count("\n")) == (1, 1)
    assert "has 1 class that the network does not know: fox; it knows cat, dog" in err


def test_the_images_of_the_run_are_split_as_in_the_run(pets: Path, pets_run: Path, tmp_path: Path):
    """Also if they are named as others: images that it was trained on would tell nothing."""
    trained = Trained.load(pets_run)
    copy = shutil.copytree(pets, tmp_path / "copy")
    own, named = (images_to_test(pets_run, trained, words) for words in ([], [f"data.root={copy}"]))
    assert named.same_as(own)


def test_a_folder_of_the_run_that_has_changed_or_moved(shell: Shell, tmp_path: Path):
    folder = noise(tmp_path / "flat", {"cat": 12, "dog": 12})
    lab, settings = Lab(tmp_path / "runs"), [*OWN[:-1], f"data.root={folder}", "data.validation=4"]
    run = train(lab, *settings)
    [own] = evaluated(shell, tmp_path, run)["runs"]
    moved = folder.rename(tmp_path / "moved")
    [made] = evaluated(shell, tmp_path, run, f"data.root={moved}")["runs"]
    assert (made["images"]["count"], made["confusion"]) == (own["images"]["count"], own["confusion"])
    copy = shutil.copytree(moved, tmp_path / "copy")
    save(copy / "dog" / "new.png", GREY)
    [made] = evaluated(shell, tmp_path, run, f"data.root={copy}")["runs"]
    assert made["images"]["what"] == f"all images of {copy}, which include images that the run was trained on"
    for name in ("cat", "dog"):  # now no class is as it was
        save(moved / name / "new.png", GREY)
    [made] = evaluated(shell, tmp_path, run, f"data.root={moved}")["runs"]
    assert "trained on" not in made["images"]["what"]
    [made] = evaluated(shell, tmp_path, run, f"data.root={moved.rename(folder)}")["runs"]
    assert "trained on" in made["images"]["what"]


def test_a_finished_run_finds_its_moved_images_after_its_command(shell: Shell, tmp_path: Path):
    folder = noise(tmp_path / "flat", {"cat": 12, "dog": 12})
    lab = Lab(tmp_path / "runs")
    run = train(lab, *OWN[:-1], f"data.root={folder}")
    before = shell("evaluate", run)
    moved = folder.rename(tmp_path / "moved")
    assert shell("evaluate", run)[0] == 1
    assert train(lab, *OWN[:-1], f"data.root={moved}") == run
    assert shell("evaluate", run)[:2] == before[:2]


def test_an_unfinished_run_says_so(shell: Shell, pets: Path, pets_run: Path, tmp_path: Path):
    run = shutil.copytree(pets_run, tmp_path / "run")
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps({**status, "state": "interrupted"}))
    note = f"note: {run} is interrupted: this is its network after the last stored epoch\n"
    assert note in shell("evaluate", run)[2]
    assert note in shell("predict", run, pets / "test")[2]
    assert shell("export", run, "--to", "pt2")[0] == 0
    assert "Its training was not finished (interrupted)" in (run / "network.pt2.md").read_text()


def test_deep_images_need_the_range_of_the_training(shell: Shell, lab: Lab, tmp_path: Path):
    grey = train(lab, *OWN[:-1], f"data.root={noise(tmp_path / 'grey', {'train/a': 5, 'train/b': 5, 'test/a': 2})}")
    for name in ("train/a", "train/b", "test/a"):
        save(tmp_path / "deep" / name / "1.png", np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000)
    status, _, err = shell("evaluate", grey, f"data.root={tmp_path / 'deep'}")
    assert (status, err) == (
        1,
        f"{tmp_path / 'deep'} has images with more than 8 bits per value, unlike the training images: convert them\n",
    )


def test_settings_of_the_run_stay_unless_they_are_overridden(pets_run: Path, tmp_path: Path):
    config = Trained.load(pets_run).config
    stored = config.data
    noise(tmp_path, {"cat": 2})
    same = data_config(config, [f"data.root={tmp_path}", "data.skip_damaged=true", "data.table.label=kind"])
    assert (same.root, same.skip_damaged, same.layout.name, same.test) == (str(tmp_path), True, "flat", stored.test)
    assert (same.table.label, same.table.image) == ("kind", stored.table.image)
    other = data_config(config, ["data=fake", "data.num_classes=2"])
    assert (other.name, other.image_shape, other.mean) == ("fake", stored.image_shape, stored.mean)


def test_a_folder_is_no_choice_of_other_images_where_none_is_read():
    with pytest.raises(
        ConfigError, match=r"data\.root=new: digits was trained on data=digits, .* add data=image_folder$"
    ):
        data_config(load_config(), ["data.root=new"])
    assert data_config(load_config(), ["data=image_folder", "data.root=new"]).root == "new"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{run}", "seed=1"), "seed=1: only data=… and data.…=… can be set here"),
        (("{run}", "data.image_size=9"), "data.image_size=9: images are prepared as in the run's training"),
        (("{run}", "data.rot=x"), "there is no setting data.rot; similar names: data.root"),
        (("{run}", "data=nope"), "there is no data=nope; data can be: "),
        (("{run}", "data.root=nowhere"), "data.root=nowhere: there is no such folder"),
        (("{run}", "{run}"), " is given twice"),
        (("nowhere",), "nowhere is not a run directory"),
        (("{run}", "--page={run}/config.yaml/a.html"), "--page: cannot create "),
    ],
)
def test_a_mistake_is_one_message(shell: Shell, pets_run: Path, words: tuple[str, ...], message: str):
    status, out, err = shell("evaluate", *(word.format(run=pets_run) for word in words))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert message in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("data=digits",), "name at least one run directory"),
        (("run", "--corrupt=fog"), "--corrupt: unknown kind fog; choose from gaussian, mask, blur, contrast, jpeg"),
        (("run", "--size", "0"), "--size must be a number of pixels from 1 to 16384, got 0"),
        (("run", "--resize-to", "300"), "--resize-to 300 needs a --size of at most as many pixels"),
        (("run", "--size", "320", "--resize-to", "300"), "--resize-to 300 needs a --size of at most as many pixels"),
        (("run", "--json", "config.yaml"), "--json: FILE must end in .json, got config.yaml"),
    ],
)
def test_wrong_use(shell: Shell, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str):
    with pytest.raises(SystemExit, match="2"):
        shell("evaluate", *words)
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_runs_are_compared_on_the_same_images(
    shell: Shell, lab: Lab, pets: Path, pets_run: Path, other_run: Path, tmp_path: Path
):
    made = evaluated(shell, tmp_path, pets_run, other_run)
    right = []
    for run_dir in (pets_run, other_run):
        trained = Trained.load(run_dir)
        images = images_to_test(run_dir, trained, [])
        right.append(probabilities(trained, images).argmax(dim=1).numpy() == images.labels)
    [contrast] = made["comparisons"]
    assert contrast["only"] == [(right[0] & ~right[1]).sum(), (right[1] & ~right[0]).sum()]
    assert contrast["runs"] == [one["run"] for one in made["runs"]]
    fewer = shutil.copytree(pets, tmp_path / "fewer")
    (fewer / "test" / "dog" / "0.png").unlink()
    third = train(lab, *OWN, f"data.root={fewer}")
    status, _, err = shell("evaluate", pets_run, third)
    assert status == 1
    assert "have different test images (the test part of" in err.splitlines()[-1]
    assert len(evaluated(shell, tmp_path, pets_run, third, f"data.root={pets}")["comparisons"]) == 1


def test_labels_are_what_distinguishes_the_runs():
    assert labels([Path("a/b/seed-0")]) == ["a/b/seed-0"]
    assert labels([Path("a/b/seed-0"), Path("a/b/seed-1")]) == ["seed-0", "seed-1"]
    assert labels([Path("a/b/seed-0"), Path("a/c/seed-0")]) == ["b/seed-0", "c/seed-0"]


@pytest.mark.slow
def test_the_page_and_the_terminal_show_all(shell: Shell, pets_run: Path, tmp_path: Path):
    page = tmp_path / "page.html"
    status, out, err = shell("evaluate", pets_run, "--corrupt=gaussian,jpeg", "--flip", "--page", page)
    assert (status, err.count("\n")) == (0, 1)
    text = page.read_text()
    assert re.findall(r'<img alt="([^"]+)" src="data:image/png;base64,', text) == ["confusion-0", "reliability-0"]
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert "last checkpoint; probabilities are averaged over each image and its mirror image" in text
    for line in out.splitlines():
        for cell in filter(None, re.split(r"  +", line.replace(str(pets_run), ""))):
            assert cell.strip() in text
    for word in ("95 % interval", "ECE", "NLL", "cat", "dog", "error with gaussian", "error with jpeg"):
        assert word in out


def test_a_calibrated_run_is_evaluated_with_its_temperature(shell: Shell, pets_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(pets_run, tmp_path / "run"))
    assert shell("predict", run, "--calibrate")[0] == 0
    [made] = evaluated(shell, tmp_path, run)["runs"]
    trained = Trained.load(run)
    images = images_to_test(run, trained, [])
    logits = trained.outputs_of(images.pixels[images.rows]).double() / made["temperature"]
    assert made["temperature"] != 1
    assert made["nll"] == pytest.approx(
        -logits.log_softmax(dim=1)[range(len(images.labels)), images.labels].mean().item()
    )
