"""The studies of docs/results/studies.md: commands are valid, groups have five seeds, measurements are right."""

import itertools
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.composing import config as load_config
from support.lab import Lab

from resnet_lab.config.schema import Config
from resnet_lab.inspect.spectrum import spectra
from resnet_lab.tasks.cost import measure
from studies import autoencoders, returned

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
DESIGN = (RESULTS / "studies.md").read_text()
STUDIES = sorted(path.parent.name for path in RESULTS.glob("*/commands.sh"))
SHOW = '#!/bin/sh\nprintf "%s\\0" "$@" >> "$SHOWN"\nprintf "\\n" >> "$SHOWN"\n'


def commands(study: str, folder: Path) -> list[list[str]]:
    """What the study's script gives to resnet-lab."""
    shown, stub = folder / "shown", folder / "resnet-lab"
    stub.write_text(SHOW)
    stub.chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "SHOWN": str(shown)}
    script = RESULTS / study / "commands.sh"
    subprocess.run(["bash", "-euo", "pipefail", script, "output_dir=elsewhere"], env=environment, check=True)
    return [line.rstrip("\0").split("\0") for line in shown.read_text().splitlines()]


def options(override: str) -> list[str]:
    """What a sweep makes of an override: one for each value; commas in brackets do not count."""
    name, equals, values = override.partition("=")
    return [f"{name}{equals}{value}" for value in re.split(r",(?![^\[]*\])", values)]


def jobs(words: list[str]) -> Iterator[Config]:
    """The configuration of every job of a command, with one seed."""
    left_out = ("hydra.", "+sweep", "seed=", "data.split_seed=")
    settings = [options(word) for word in words if not word.startswith(left_out)]
    if "data=image_folder" in words:  # whose images are not here
        settings.append(["data.num_classes=10"])
    yield from (load_config(*job) for job in itertools.product(*settings))


@pytest.mark.parametrize("study", STUDIES)
def test_every_network_of_a_study_can_be_built(study: str, tmp_path: Path):
    assert f"bash docs/results/{study}/commands.sh" in DESIGN
    networks = set()
    for multirun, *words in commands(study, tmp_path):
        assert multirun == "-m"
        assert "output_dir=elsewhere" in words
        [seeds] = [options(word) for word in words if word.startswith("seed=")]
        assert len(seeds) >= 5
        networks |= {measure(config).params for config in jobs(words)}
    assert networks


def test_autoencoders_have_as_many_parameters(tmp_path: Path):
    """Of one data set and latent space, all but the one without norm, whose biases take the place of BatchNorm."""
    params: dict[tuple[str, int], list[int]] = {}
    for _, *words in commands("autoencoders", tmp_path):
        for config in jobs(words):
            assert config.model.head.latent_dim
            params.setdefault((config.data.name, config.model.head.latent_dim), []).append(measure(config).params)
    assert len(params) == 4
    for (_, latent), counts in params.items():
        assert len(counts) == {16: 8, 64: 7}[latent]
        assert max(counts) / min(counts) < 1.06


def test_what_is_measured_of_an_autoencoder(tmp_path: Path):
    lab = Lab(tmp_path)
    network = (
        "task=reconstruction",
        "recipe=autoencoder",
        "unit=basic",
        "bottleneck=none",
        "activation=original",
        "bridges=stack",
    )
    changes = (*network, "head=latent_flat", "model.head.latent_dim=16", "trainer.max_epochs=1")
    result = lab.run(*changes)
    run = returned.measured(lab.directory(*changes).path)
    assert autoencoders.kind(run) == "V1 with stack bridges"
    assert (run["latent"], run["params"], run["seed"]) == (16, result["params"], 0)
    assert run["mse"] == pytest.approx(result["last"]["test_mse"], rel=1e-4)
    assert run["frequency"] == [0.125, 0.25, 0.375, 0.5]  # of 8×8 pixels
    assert {len(run[name]) for name in ("original", "error", "ratio_db")} == {4}


def test_what_is_lost_of_a_band():
    """All of it, if there is nothing at these scales; a quarter, if there is half of the contrast; else nothing."""
    images = np.random.default_rng(0).random((4, 1, 16, 16))
    centre = images.mean(axis=(2, 3), keepdims=True)
    for contrast, percent in {0.0: 100, 0.5: 25, 1.0: 0}.items():
        found = spectra(images, centre + contrast * (images - centre))
        run = {name: getattr(found, name).tolist() for name in ("frequency", "original", "error")}
        for band in autoencoders.BANDS:
            assert autoencoders.lost(run, band) == pytest.approx(percent, abs=1e-9)
    assert [autoencoders.scale({"half_power": power}) for power in (0.25, None, 0.0)] == [4, 2, np.inf]
