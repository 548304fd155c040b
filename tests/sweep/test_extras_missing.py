"""The engines for sweeps are extras: without them a command says what to install."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from support.sweeps import Sweep

ENGINES = {
    "hydra/sweeper=search": ("optuna", "optuna"),
    "hydra/launcher=slurm": ("submitit", "slurm"),
    "hydra/launcher=ray_cluster": ("ray", "ray"),
}


@pytest.mark.parametrize("choice", ENGINES)
def test_an_engine_that_is_not_installed(tmp_path: Path, choice: str):
    package, extra = ENGINES[choice]
    if find_spec(package):
        pytest.skip("it is installed here")
    status, said = Sweep(tmp_path, choice, "seed=0,1").end()
    assert status == 1
    assert said.splitlines() == [
        f"required packages are missing: pip install 'resnet-lab[{extra}]'; see docs/clusters.md"
    ]
    assert not (tmp_path / "outputs").exists()
