from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_lab.compose import load_config
from resnet_lab.training.naming import run_path, slug

OVERRIDES = [
    "units=n3",
    "bottleneck=half",
    "optim.lr=0.05",
    "model.reduction=[4,2,2]",
    "seed=3",
    "+experiment=digits_20",
]
WORD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="="), min_size=1)


@given(st.permutations(OVERRIDES))
def test_order_does_not_matter(overrides: Sequence[str]):
    assert slug(overrides) == slug(OVERRIDES) == "bottleneck=half,model.reduction=4,2,2,optim.lr=0.05,units=n3"


def test_path():
    overrides = ["units=n3", "name=mine", "seed=7", "output_dir=/elsewhere"]
    assert str(run_path(load_config(*overrides), overrides)) == "/elsewhere/mine/units=n3/seed-7"
    assert str(run_path(load_config(), [])) == "outputs/digits/default/seed-0"


@pytest.mark.parametrize(
    "override",
    [
        "name=x",
        "seed=5",
        "output_dir=/tmp/x",
        "+experiment=digits_20",
        "experiment=digits_20",
        "+sweep=depth",
        "dry_run=true",
        "diagnostics=full",
        "hydra.verbose=true",
        "hydra/launcher=basic",
        "trainer.accelerator=cpu",
        "trainer.steps_per_call=4",
        "trainer.eval_batch_size=7",
    ],
)
def test_left_out(override: str):
    assert slug([override]) == "default"
    assert slug([override, "units=n3"]) == "units=n3"


@pytest.mark.parametrize("override", ["data.name=fake", "optim.name=adam", "data.split_seed=5", "trainer.max_epochs=3"])
def test_not_left_out(override: str):
    assert slug([override]) == override


@pytest.mark.parametrize(
    ("alone", "swept"),
    [
        ("optim.lr=1e-2", "optim.lr=0.01"),
        ("optim.lr=.05", "optim.lr=0.05"),
        ("deterministic=true", "deterministic=True"),
        ("model.units=[3, 4]", "model.units=[3,4]"),
    ],
)
def test_a_run_alone_is_a_job_of_a_sweep(alone: str, swept: str):
    """A sweep writes the values of its jobs anew; Optuna's floats have many digits."""
    assert slug([alone]) == slug([swept])
    assert slug(["optim.lr=0.0015013350955976916"]) == "optim.lr=0.0015013350955976916"


@given(st.lists(st.text(), max_size=5))
def test_is_one_folder_name(overrides: list[str]):
    name = slug(overrides)
    assert name
    assert not name.startswith((".", "-"))
    assert not set(name) & set("/\\\0\n :*?\"'<>|[]{}$&;()")
    assert len(name.encode()) <= 120


@given(st.lists(WORD.map(lambda word: f"data.root={word}" + "x" * 100), min_size=2, max_size=2, unique=True))
def test_long_names_differ(overrides: list[str]):
    one, other = overrides
    assert slug([one]) != slug([other])
