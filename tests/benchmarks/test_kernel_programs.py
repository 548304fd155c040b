"""The programs that measure own kernels and waiting threads, each once, on networks of a fraction of a second."""

from pathlib import Path

import pytest
from support.lab import TINY

from benchmarks import kernels, trained, waiting
from benchmarks.tables import kernels_table, trained_table, waiting_table


def test_steps_with_both_kinds_of_kernels_are_measured():
    measured = kernels.report(1, ["digits"], fixed=("optim.batch_size=16",))
    assert measured["checks"] == []
    for own in measured["networks"]["digits"].values():
        times = own["milliseconds"]
        assert own["ratio"]["median"] == pytest.approx(times["torch"]["median"] / times["native"]["median"])
        assert 0 < own["native_share"] < 1
    assert "| `digits` | 1 |" in kernels_table(measured)[-1]


def test_a_slower_step_fails(monkeypatch: pytest.MonkeyPatch):
    """The ratios are given here."""
    given = {"cifar10_v1_20": 1.5, "cifar10_20": 1.1}
    monkeypatch.setattr(kernels, "faster", lambda network, *_: {"ratio": {"median": given[network]}})
    measured = kernels.report(1, [*given])
    assert [check["passed"] for check in measured["checks"]] == [True, False]


@pytest.mark.slow
@pytest.mark.long
def test_whole_trainings_are_compared_by_the_report(tmp_path: Path):
    settings = tuple(each for each in TINY if not each.startswith(("trainer=", "trainer.max_epochs")))
    measured = trained.report(tmp_path, {"fake": (*settings, "trainer.max_epochs=1")}, seeds=2)
    found = measured["sets"]["fake"]
    assert {name: error["n"] for name, error in found["errors"].items()} == {"name=native": 2, "name=torch": 2}
    own, usual = (found["errors"][f"name={kind}"]["mean"] for kind in ("native", "torch"))
    assert found["difference"]["mean"] == pytest.approx(own - usual)
    assert f"| {own:.2f} ± " in trained_table(measured)[-1]


@pytest.mark.slow
@pytest.mark.long
def test_a_job_is_measured_by_its_threads():
    measured = waiting.measured("digits_20", jobs=1, rounds=1, seconds=0.1)
    speeds, ratios = measured["images_per_second"], measured["ratio"]
    expected = speeds[waiting.SLEEPING]["median"] / speeds[waiting.ONE]["median"]
    assert ratios[waiting.SLEEPING]["median"] == pytest.approx(expected)
    content = {"cores": 1, "rounds": 1, "networks": {"digits_20": {waiting.ALONE: measured}}}
    assert "| `digits_20`, alone |" in waiting_table(content)[-1]
