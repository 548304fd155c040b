"""The README says what is true: its commands run, its table is the code's."""

import importlib.util
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from resnet_lab import load_config
from resnet_lab.config.groups import GROUPS, options
from resnet_lab.inspect.__main__ import parser as inspect_parser
from resnet_lab.inspect.sections import PARTS
from resnet_lab.report.__main__ import parser as report_parser
from resnet_lab.rundir.place import run_directory
from resnet_lab.summary import main as summary
from resnet_lab.tasks.cost import measure
from resnet_lab.training.run import run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BASH = [
    line.split("#")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def arguments(module: str) -> list[list[str]]:
    """What follows `python -m <module>` in the README's commands."""
    commands = [shlex.split(line) for line in BASH]
    return [command[3:] for command in commands if command[:3] == ["python", "-m", module]]


@pytest.mark.parametrize("overrides", arguments("resnet_lab"))
def test_training_commands_compose_and_build(overrides: list[str]) -> None:
    sweeps = {"-m", "--help"}
    if sweeps & set(overrides):
        overrides = [override for override in overrides if override not in sweeps and "," not in override]
        overrides = [override for override in overrides if "range" not in override]
    if "data=image_folder" in overrides:
        overrides = [*overrides, "data.num_classes=2"]
    assert measure(load_config(*overrides)).depth > 1


@pytest.mark.parametrize("overrides", arguments("resnet_lab.summary"))
def test_summary_commands(overrides: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert summary(overrides) == 0
    assert "590,426" in capsys.readouterr().out


@pytest.mark.parametrize("words", arguments("resnet_lab.report"))
def test_report_commands(words: list[str]) -> None:
    assert set(report_parser().parse_args(words).by) <= set(GROUPS)


@pytest.mark.parametrize("words", arguments("resnet_lab.inspect"))
def test_inspect_commands(words: list[str]) -> None:
    options = inspect_parser().parse_args(words)
    assert set(options.what) <= set(PARTS)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make ([a-z]+)\b", "\n".join([*BASH, *re.findall(r"`(make [a-z]+)`", README)])):
        assert f"\n{target}:" in makefile


def test_python_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    short = load_config("trainer=debug")
    run(short)
    (tmp_path / "outputs" / "digits" / "units-n2").mkdir()
    run_directory(short).path.rename(run_directory(load_config()).path)
    names: dict[str, Any] = {}
    exec(PYTHON[0], names)
    assert names["cost"].depth == 56
    assert names["maps"].shape == (8, 64, 32, 32)
    assert names["config"].data.mean is not None


def test_table_of_networks_is_generated_from_the_code() -> None:
    spec = importlib.util.spec_from_file_location("networks", ROOT / "docs" / "networks.py")
    assert spec is not None
    assert spec.loader is not None
    networks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(networks)
    golden = json.loads(networks.GOLDEN.read_text())  # which another test compares with the code
    for page in networks.PAGES:
        assert networks.written(page.read_text(), golden) == page.read_text()
        assert networks.table(golden) in page.read_text()


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README))
def test_links_lead_somewhere(link: str) -> None:
    assert link.startswith("https://") or (ROOT / link).exists()


@pytest.mark.parametrize("group", [group for group in GROUPS if group not in ("experiment", "sweep")])
def test_every_group_and_option_is_in_the_table(group: str) -> None:
    row = next(line for line in README.splitlines() if line.startswith(f"| `{group}` |"))
    missing = {option for option in options(group) if f"`{option}`" not in row}
    assert not missing or group == "shortcut"  # of which docs/architectures.md has variants, and invites new ones


def test_every_sweep_placement_and_lineage_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "architectures.md").read_text()
    for option in [*options("sweep"), *options("activation"), *options("lineage")]:
        assert f"`{option}`" in page
