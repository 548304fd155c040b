"""Every sweep is exactly the jobs that it names, all different, and runs."""

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.composing import config

from resnet_lab.config.canonical import canonical
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.groups import CONFIG_DIR, options
from resnet_lab.config.published import published
from resnet_lab.training.run import run

pytestmark = pytest.mark.slow

SWEEPS = options("sweep")
CLASSIFIERS = ["cifar10_56", "cifar10_164", "cifar10_basic_56", "cifar10_v1_110"]
AUTOENCODERS = ["digits_autoencoder_28", "fashion_mnist_vae_28"]


def axes(sweep: str) -> dict[str, list[str]]:
    content = yaml.safe_load((CONFIG_DIR / "sweep" / f"{sweep}.yaml").read_text())
    assert set(content) == {"hydra"}, "a sweep sets nothing but what it sweeps"
    return {group: choices.split(",") for group, choices in content["hydra"]["sweeper"]["params"].items()}


def jobs(sweep: str) -> list[list[str]]:
    groups = axes(sweep)
    return [
        [f"{group}={choice}" for group, choice in zip(groups, job, strict=True)]
        for job in itertools.product(*groups.values())
    ]


def bases(sweep: str) -> list[str]:
    return AUTOENCODERS if "decoder" in axes(sweep) else CLASSIFIERS


def with_bases() -> Iterator[tuple[str, str]]:
    """Every sweep and every base, and with RESNET_LAB_LONG=1 all pairs of them."""
    for number, sweep in enumerate(SWEEPS):
        possible = bases(sweep)
        for base in possible if "RESNET_LAB_LONG" in os.environ else [possible[number % len(possible)]]:
            yield sweep, base


@pytest.mark.parametrize(("sweep", "base"), with_bases())
def test_all_jobs_of_a_sweep_differ(sweep: str, base: str) -> None:
    found = []
    for job in jobs(sweep):
        try:
            found.append(repr(canonical(config(f"+experiment={base}", *job))))
        except ConfigError as refused:
            assert re.search("unit=basic has no bottleneck|one_cycle begins with a rise of its own", str(refused))
    assert len(set(found)) == len(found) > 0


def test_the_sweeps_of_tables_1_and_2_have_the_papers_numbers() -> None:
    at = "+experiment=cifar10_v1_110"
    table_1 = [published(config(at, *job)) for job in jobs("shortcuts")]
    assert sorted(row.error for row in table_1 if row) == [6.61, 6.91, 8.70, 9.81, 12.22, 12.35, 12.86]
    table_2 = [published(config(at, *job)).error for job in jobs("activations")]
    assert table_2 == [6.61, 8.17, 7.84, 6.71, 6.37]
    assert [published(config("+experiment=cifar10_164", *job)).error for job in jobs("activations")] == [
        5.93, 6.50, 6.14, 5.91, 5.46,
    ]  # fmt: skip


@pytest.mark.parametrize("sweep", SWEEPS)
def test_debug_runs_a_whole_sweep(sweep: str, tmp_path: Path) -> None:
    common = ["trainer=debug", "data=fake", "data.image_size=16", "data.num_images=12", "optim.batch_size=4"]
    if "units" in axes(sweep):
        common += ["unit=basic", "bottleneck=none"]
    if "decoder" in axes(sweep):
        common += ["task=reconstruction", "head=latent"]
    paths = set()
    for job in jobs(sweep):
        overrides = [*common, "filters=w16", *job, f"output_dir={tmp_path}"]
        assert run(config(*overrides))["last"]["epoch"] == 1
        paths.add(tuple(sorted(tmp_path.glob("*/*/seed-0"))))
    assert len(list(tmp_path.glob("*/*/seed-0/result.json"))) == len(jobs(sweep))
