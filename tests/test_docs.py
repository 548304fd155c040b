"""The documentation says what is: its commands are valid, its links lead somewhere, its tables are the code's."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.composing import config as load_config
from support.scripts import script

from benchmarks import report
from benchmarks.facts import RESULTS
from resnet_lab.bench.__main__ import parser as bench_parser
from resnet_lab.command import VERBS
from resnet_lab.config.canonical import all_settings
from resnet_lab.config.enums import Schedule
from resnet_lab.config.groups import GROUPS
from resnet_lab.config.migrations import MIGRATIONS
from resnet_lab.dashboard import parser as dashboard_parser
from resnet_lab.data.__main__ import parser as data_parser
from resnet_lab.evaluate import parser as evaluate_parser
from resnet_lab.export import parser as export_parser
from resnet_lab.find_lr import parser as find_lr_parser
from resnet_lab.inspect.__main__ import parser as inspect_parser
from resnet_lab.inspect.sections import PARTS
from resnet_lab.predict import parser as predict_parser
from resnet_lab.report.__main__ import parser as report_parser
from resnet_lab.rundir.place import run_directory
from resnet_lab.runs import parser as runs_parser
from resnet_lab.summary import parser as summary_parser
from resnet_lab.tasks.cost import measure
from resnet_lab.training.run import run
from resnet_lab.version import __version__

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
# In a fresh process: other tests add options of their own.
LIST_OPTIONS = "import json; from resnet_lab.config.groups import *; print(json.dumps({g: options(g) for g in GROUPS}))"
OPTIONS = json.loads(subprocess.run([sys.executable, "-c", LIST_OPTIONS], capture_output=True, check=True).stdout)
PARSERS = {
    "summary": summary_parser,
    "data": data_parser,
    "runs": runs_parser,
    "report": report_parser,
    "dashboard": dashboard_parser,
    "inspect": inspect_parser,
    "predict": predict_parser,
    "evaluate": evaluate_parser,
    "export": export_parser,
    "find_lr": find_lr_parser,
    "bench": bench_parser,
}


def bash(page: Path) -> list[str]:
    """The commands of a page, without comments."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].split(" # ")[0].strip() for line in lines]


COMMANDS = {
    f"{page.name}: {line}": shlex.split(line) for page in PAGES for line in bash(page) if line.startswith("resnet-lab")
}


def test_the_readme_shows_in_two_minutes_what_this_is():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_commands_are_valid(words: list[str]):
    _, *words = words
    if words[:1] and words[0] in VERBS:
        given = PARSERS[words[0]]().parse_intermixed_args(words[1:])
        assert set(getattr(given, "by", [])) <= {*GROUPS, "all", *all_settings(load_config())}
        assert set(getattr(given, "what", [])) <= set(PARTS)
        return
    swept = any(word == "-m" for word in words)
    overrides = [word for word in words if not word.startswith("-")]
    if swept:  # of what is swept the first value
        overrides = [first(override) for override in overrides if "(" not in override and "[" not in override]
    overrides = [override for override in overrides if not override.lstrip("+").startswith(("hydra", "sweep="))]
    if not {"data=image_folder", "data=photos"}.isdisjoint(overrides):
        overrides.append("data.num_classes=2")
    if any(override.startswith("data.series.name=") for override in overrides):  # the series are not there
        overrides += ["data.channels=1", "data.image_size=150", "data.num_classes=2"]
    assert measure(load_config(*overrides)).depth > 1


def first(override: str) -> str:
    name, equals, values = override.partition("=")
    return f"{name}{equals}{values.split(',')[0]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_exist(page: Path):
    makefile = (ROOT / "Makefile").read_text()
    named = re.findall(r"^make ([a-z-]+)", "\n".join(bash(page)), re.MULTILINE)
    for target in [*named, *re.findall(r"`make ([a-z-]+)", page.read_text())]:
        assert f"\n{target}:" in makefile


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert link.startswith("https://") or target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_can_be_reached_from_the_readme():
    linked = set(re.findall(r"\]\(docs/([^)#]+)\)", (ROOT / "README.md").read_text()))
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert pages - linked == {"performance.md"}  # which docs/speed.md leads to
    assert "performance.md" in (ROOT / "docs" / "speed.md").read_text()


def test_the_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    short = load_config("trainer=debug")
    run(short)
    (tmp_path / "outputs" / "digits" / "units-n2").mkdir()
    run_directory(short).path.rename(run_directory(load_config()).path)
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (20, 30)).save(tmp_path / "photos" / "image.png")
    names: dict[str, Any] = {}
    for example in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL):
        exec(example, names)
    assert names["cost"].depth == 56
    assert names["maps"].shape == (8, 64, 32, 32)
    assert names["config"].data.mean is not None
    assert len(names["one"].ranking) == 3
    assert names["scores"].error == names["run"].result["last"]["test_error"]
    assert [record["model.units"][0] for record in names["records"]] == [1, 2]


def test_the_table_of_networks_is_generated_from_the_code():
    networks = script("networks")
    golden = json.loads(networks.GOLDEN.read_text())  # which another test compares with the code
    assert networks.table(golden) in networks.PAGE.read_text()


def test_the_speed_page_is_what_was_measured():
    assert report.page(report.read(RESULTS)) == (ROOT / "docs" / "performance.md").read_text()


@pytest.mark.parametrize("group", [group for group in GROUPS if group not in ("experiment", "sweep")])
def test_every_group_and_option_is_in_the_table_of_axes(group: str):
    page = (ROOT / "docs" / "axes.md").read_text()
    row = next(line for line in page.splitlines() if re.match(rf"\| \[?`{group}`", line))
    missing = {option for option in OPTIONS[group] if f"`{option}`" not in row}
    assert not missing or (group == "shortcut" and all(f"`{option}`" in page for option in missing))


def test_every_sweep_recipe_data_set_and_experiment_is_in_the_docs():
    for page, group in (
        ("sweeps", "sweep"),
        ("training", "optim"),
        ("data", "data"),
        ("networks", "experiment"),
        ("augmentation", "augment"),
    ):
        text = (ROOT / "docs" / f"{page}.md").read_text()
        assert {option for option in OPTIONS[group] if f"`{option}`" not in text} == set()


def test_every_schedule_is_explained_and_drawn():
    table, drawing = ((ROOT / name).read_text() for name in ("docs/training.md", "scripts/draw_schedules.py"))
    for kind in Schedule.__members__:
        assert f"\n| `{kind}`" in table, kind
        assert f'"schedule={kind}' in drawing, kind


def test_settings_that_the_docs_name_exist():
    from resnet_lab.config.messages import setting_names

    known = {*setting_names(), *(line.old for line in MIGRATIONS)}
    for page in PAGES:
        for name in re.findall(r"`((?:model|data|optim|augment|trainer)\.[a-z_.]+)", page.read_text()):
            assert name.rstrip(".") in known, f"{page.name}: {name}"


def test_changelog_and_citation_know_the_version():
    versions = re.findall(r"^## (\S+)(.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = [number for number, when in versions if when != " (unreleased)"]
    assert __version__ == f"{versions[0][0]}.0" + ("" if versions[0][0] in released else ".dev0")
    assert f"\nversion: {released[0]}.0\n" in (ROOT / "CITATION.cff").read_text()
