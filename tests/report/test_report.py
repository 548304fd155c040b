"""The command from end to end: what it writes holds the right numbers, and needs nothing else."""

import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from runs import DATA, sweep, write
from scipy import stats
from support.composing import config as load_config

from resnet_lab.command import exit_status
from resnet_lab.config.registry import SHORTCUTS, ShortcutInfo
from resnet_lab.config.stored import to_stored
from resnet_lab.report.__main__ import main
from resnet_lab.rundir.plans import FOLDER
from resnet_lab.text import short_number, visible

pytestmark = pytest.mark.slow

ERRORS = {"none": [5.0, 6.0, 7.0], "projection": [2.0, 3.1, 3.9], "dropout": [8.0]}


class Page(HTMLParser):
    """A page as a browser reads it: its tags and its texts."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def made(tmp_path: Path, *arguments: str) -> Path:
    assert main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), *arguments]) == 0
    return tmp_path / "out"


def read(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "report.json").read_text())
    return content


def test_every_output_has_the_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    sweep(tmp_path / "runs", ERRORS)
    write(tmp_path / "runs" / "bad", seed=1, state="diverged", why="loss is nan", axes={"shortcut": "dropout"})
    (write(tmp_path / "runs" / "broken") / "result.json").write_text("{")
    out = made(tmp_path, "--by-test")
    shown = capsys.readouterr().out
    pages = [shown, (out / "report.md").read_text(), (out / "report.html").read_text()]
    for page in pages:
        assert "6.00 ± 2.48" in page
        assert "3.00 ± 2.37" in page
        assert "loss is nan" in page
        assert "broken" in page
        assert "no test is possible with fewer than 2 seeds" in page
        assert "compared by the test error at the last epoch" in " ".join(page.split())
    [comparison] = read(out)["comparisons"]
    [difference, best] = comparison["differences"]
    assert (difference["group"], difference["other"], best["group"]) == ("shortcut=none", *["shortcut=projection"] * 2)
    expected = stats.ttest_ind(ERRORS["none"], ERRORS["projection"], equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert [difference[name] for name in ("mean", "low", "high", "p")] == pytest.approx(
        [3.0, interval.low, interval.high, expected.pvalue]
    )
    shown = f"({interval.low:.2f} to {interval.high:.2f}"
    assert f"| shortcut=none | 3 | 6.00 ± 2.48 | 3.00 {shown}) | 1.00 | 6.00 | 7.00 ± 2.48 |" in pages[1]
    assert f"shortcut=none is worse than shortcut=projection by 3.00 points {shown}" in difference["words"]
    assert [group["missing"] for group in comparison["groups"]] == [["seed=1", "seed=2"], [], []]
    rows = list(csv.DictReader((out / "report.csv").open()))
    assert [float(row["test_last_mean"]) for row in rows] == pytest.approx([8.0, 6.0, 3.0])
    assert [float(row["val_best_mean"]) for row in rows] == pytest.approx([9.5, 7.5, 4.5])
    assert rows[0]["test_last_half"] == ""


def test_groups_are_chosen_by_validation_and_only_the_chosen_one_shows_its_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """The shortcut that is best on the validation images is worst on the test images."""
    for seed in (0, 1):
        for shortcut, validation, test in (("none", 2.0, 7.0), ("projection", 4.0, 6.0), ("conv", 9.0, 1.0)):
            last = {"epoch": 3, "val_error": validation + seed, "test_error": test + seed}
            path = tmp_path / "runs" / f"{shortcut}{seed}"
            write(path, seed, axes={"shortcut": shortcut}, last=last, test=classes(test, test))
    out = made(tmp_path)
    texts = Page((out / "report.html").read_text()).texts
    for words in (capsys.readouterr().out, (out / "report.md").read_text(), " ".join(texts)):
        assert "compared by the validation error at the last epoch" in words
        assert "of shortcut=none is the lowest, 2.50 ± 6.35 %; its test error is 7.50 ± 6.35 %" in words
        assert "4.50 ± 6.35" in words
        assert "6.50 ± 6.35" not in words  # tests that are not to choose by
        assert "1.50 ± 6.35" not in words
    stored = read(out)["comparisons"][0]
    assert stored["compared_by"] == "val_last"
    fronts = {group["group"]: group["fronts"] for group in stored["groups"]}
    assert [name for name, own in fronts.items() if own] == ["shortcut=none"]
    assert {difference["other"] for difference in stored["differences"]} == {"shortcut=none"}
    tests = [group["errors"]["test_last"]["mean"] for group in stored["groups"]]
    assert sorted(tests) == [1.5, 6.5, 7.5]
    assert read(made(tmp_path, "--by-test"))["comparisons"][0]["compared_by"] == "test_last"


def test_without_validation_images_the_test_is_compared(tmp_path: Path):
    for seed in (0, 1):
        last = {"epoch": 3, "val_error": None, "test_error": 4.0 + seed}
        write(tmp_path / "runs" / str(seed), seed, last=last, best=None)
    out = made(tmp_path)
    assert read(out)["comparisons"][0]["compared_by"] == "test_last"
    assert "compared by the test error at the last epoch" in (out / "report.md").read_text()


EVIL = "a\x1b[31m\n# b\u202e\x9b"


def test_no_text_from_outside_commands_a_terminal_or_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    test = {"last": {"class_errors": {EVIL: 1.0}}, "best": None}
    for seed in (0, 1):
        path = tmp_path / "runs" / f"{EVIL}{seed}"
        write(path, seed, name=EVIL, device=f"{EVIL}{seed}", test=test)
    write(tmp_path / "runs" / "bad", state="failed", why=EVIL)
    write(tmp_path / "runs" / "lost" / EVIL).joinpath("result.json").unlink()
    (tmp_path / "runs" / FOLDER).mkdir()
    (tmp_path / "runs" / FOLDER / "a.json").write_text(json.dumps({"jobs": [{"label": EVIL}]}))
    out = made(tmp_path)
    outputs = [capsys.readouterr().out, *((out / f"report.{kind}").read_text() for kind in ("md", "html", "csv"))]
    for shown in outputs:
        assert r"a\x1b[31m\x0a# b\u202e\u009b" in shown.replace("\\[", "[").replace("\\\\", "\\")
        assert visible(shown, keep="\n\r\t") == shown
        assert "\n# b" not in shown


def test_figures_are_drawn(tmp_path: Path):
    for shortcut in ("none", "projection"):
        for units in (3, 5):
            for seed in (0, 1):
                axes = {"shortcut": shortcut, "units": [units]}
                write(tmp_path / "runs" / f"{shortcut}{units}{seed}", seed, 5 + units + seed, axes=axes)
    out = made(tmp_path)
    names = {path.name for path in (out / "figures").iterdir()}
    assert names == {
        f"{name}-1.{kind}" for name in ("costs", "axes", "curves", "heatmap") for kind in ("png", "svg", "pdf")
    }
    markdown = (out / "report.md").read_text()
    assert all((out / figure).exists() for figure in re.findall(r"\]\((figures/[^)]*)\)", markdown))
    assert markdown.count("![") == 4


def test_published_errors_are_shown_with_runs_of_the_same_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The first group has the recipe of arXiv:1512.03385, the other a shorter one."""
    for name, epochs in (("long", 164), ("short", 2)):
        config = load_config("+experiment=cifar10_v1_20", "data.validation=0", f"trainer.max_epochs={epochs}")
        path = write(tmp_path / "runs" / name, 0, 9.0, epochs=epochs)
        (path / "config.yaml").write_text(yaml.safe_dump(to_stored(config)))
    content = read(made(tmp_path, "--by", "trainer.max_epochs"))
    errors = [group["published_error"] for group in content["comparisons"][0]["groups"]]
    assert errors == [None, 8.75]
    shown = " ".join(capsys.readouterr().out.split())
    assert "8.75 % (arXiv:1512.03385, table 6, as printed, recipe=paper)" in shown
    assert "trainer.max_epochs 2 instead of 164" in shown


def test_fronts_of_costs(tmp_path: Path):
    for units, error in ((3, 5.0), (5, 4.0), (7, 6.0)):
        write(tmp_path / "runs" / str(units), 0, error, axes={"units": [units]})
    groups = read(made(tmp_path))["comparisons"][0]["groups"]
    fronts = ["params", "macs", "activations", "seconds", "peak_memory"]
    assert [group["fronts"] for group in groups] == [fronts[:4], fronts, []]


def test_a_run_without_validation_or_finite_error_is_kept(tmp_path: Path):
    last = {"epoch": 3, "val_error": None, "test_error": 4.0}
    history = [{"epoch": 1, "train/error": 5.0, "val/error": None}]
    for seed in (0, 1):
        write(tmp_path / "runs" / f"a{seed}", seed, last=last, best=None, peak_memory=None, history=history)
    write(tmp_path / "runs" / "b", axes={"shortcut": "none"}, last=last | {"test_error": None}, best=None)
    write(tmp_path / "runs" / "c", axes={"shortcut": "conv"}, last=last, best=None, history=[])
    groups = read(made(tmp_path))["comparisons"][0]["groups"]
    assert [(group["errors"]["test_last"] or {}).get("n") for group in groups] == [1, None, 2]


def call_a_shortcut(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A plugin may register any name."""
    monkeypatch.setitem(SHORTCUTS._entries, name, (None, ShortcutInfo(help="of a plugin")))


def test_the_page_is_self_contained_and_takes_text_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    evil = "<script>alert('$x$ {{DATA}}')</script>"
    call_a_shortcut(monkeypatch, evil)
    for shortcut in ("none", evil):
        write(tmp_path / "runs" / f"a&b #{len(shortcut)}", name=evil, axes={"shortcut": shortcut})
    write(tmp_path / "runs" / "failed", state="failed", why=evil)
    out = made(tmp_path)
    page = (out / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    addresses = re.findall(r"""(?:src|href)=["']?([^"' >]+)""", page)
    assert addresses
    assert all(re.match(r"data:image/svg|\.\./runs/a%26b|figures/", address) for address in addresses)
    loaded = re.findall(r"url\(|@import|\bfetch\(|XMLHttpRequest|https?://[^\"]*", page)
    assert loaded == ["http://www.w3.org/2000/svg"]  # a name, not an address
    assert json.loads(re.findall(r'id="data">(.*?)</script>', page, re.DOTALL)[0])["comparisons"]["1"]


@pytest.mark.parametrize("name", ["[red]x[/red]", '<b>&"', ":apple: [/x]", "$1_to_$5 {{ 7 * 7 }}"])
def test_a_name_is_shown_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
):
    call_a_shortcut(monkeypatch, name)
    for shortcut in ("none", name):
        write(tmp_path / "runs" / f"{len(shortcut)}", axes={"shortcut": shortcut})
    write(tmp_path / "runs" / "failed", state="failed", why=name)
    out = made(tmp_path)
    shown = capsys.readouterr().out
    assert f"shortcut={name}" in shown
    assert f"failed: failed ({name})" in shown
    page = Page((out / "report.html").read_text())
    assert name in page.texts
    assert any(text.endswith(f"failed: failed ({name})") for text in page.texts)
    assert not {"b", "x", "red"} & page.tags
    data = json.loads(next(text for text in page.texts if text.startswith("{") and '"comparisons"' in text))
    assert f"shortcut={name}" in [group["label"] for group in data["comparisons"]["1"]["groups"]]


@pytest.mark.long
def test_a_thousand_runs(tmp_path: Path):
    for i in range(1000):
        units, reduction, seed = 1 + i // 50, i // 5 % 10, i % 5
        axes = {"units": [units], "shortcut": "constant_scaling", "shortcut_scale": reduction / 10}
        write(tmp_path / "runs" / str(i), seed, 5 + units / 10 + (i * 7919 % 13) / 10, axes=axes)
    [comparison] = read(made(tmp_path))["comparisons"]
    assert len(comparison["groups"]) == 200
    assert len(comparison["differences"]) == 200


@pytest.mark.parametrize(
    ("arguments", "said"), [(["nowhere"], "nowhere is not a folder"), (["empty"], "no run directories under empty")]
)
def test_nothing_to_compare_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert exit_status(main, arguments) == 1
    assert capsys.readouterr().err == f"{said}\n"
    assert not (tmp_path / "empty" / "report").exists()


def test_only_unfinished_runs_are_a_report_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write(tmp_path / "runs" / "a", state="failed", why="no memory")
    out = made(tmp_path)
    assert "failed (no memory)" in capsys.readouterr().out
    assert read(out)["comparisons"] == []


def test_torch_is_not_imported(tmp_path: Path):
    sweep(tmp_path / "runs", ERRORS)
    code = (
        "import sys; from resnet_lab.report.__main__ import main; status = main(sys.argv[1:]);"
        "sys.exit(status or bool({'torch', 'pytorch_lightning', 'omegaconf'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "runs")], check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "runs" / "report" / "report.html").exists()


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), (0.5, "0.5"), (999, "999"), (1234, "1.23 k"), (219194, "219 k"), (1.9e9, "1.9 G")]
)
def test_numbers_are_short(value: float | None, shown: str):
    assert short_number(value) == shown


def classes(cat: float, dog: float) -> dict[str, Any]:
    details = {"balanced_error": (cat + dog) / 2, "class_errors": {"cat": cat, "dog": dog}}
    return {"last": details, "best": None}


def test_errors_by_class_are_means_over_seeds(tmp_path: Path) -> None:
    for seed, (cat, dog) in enumerate([(10.0, 30.0), (20.0, 50.0)]):
        write(tmp_path / "runs" / f"a{seed}", seed=seed, test=classes(cat, dog))
        write(tmp_path / "runs" / f"b{seed}", seed=seed, axes={"units": [5]})  # of a version that stored none
    out = made(tmp_path, "--by-test")
    page = (out / "report.md").read_text()
    assert "| group | balanced error | cat | dog |" in page
    assert "| units=3 | 27.50 ± 95.30 | 15.00 ± 63.53 | 40.00 ± 127.06 |" in page
    assert "| units=5 |  |  |  |" in page
    texts = Page((out / "report.html").read_text()).texts
    assert "40.00 ± 127.06" in texts
    [comparison] = read(out)["comparisons"]
    stored = {group["group"]: group["details"] for group in comparison["groups"]}
    assert stored["units=5"] == {}
    assert stored["units=3"]["class_errors.dog"]["mean"] == 40
    assert stored["units=3"]["balanced_error"]["n"] == 2


def test_what_the_time_was_spent_on_is_a_mean_over_runs(tmp_path: Path) -> None:
    for seed, steps in enumerate([8.0, 10.0]):
        write(tmp_path / "runs" / f"a{seed}", seed=seed, wall={"steps": steps, "validation": 1.0})
        write(tmp_path / "runs" / f"b{seed}", seed=seed, axes={"units": [5]})  # of a version that stored none
    out = made(tmp_path, "--by-test")
    assert "- wall time of a run: 10 s on average (steps 90 %, validation 10 %)" in (out / "report.md").read_text()
    [comparison] = read(out)["comparisons"]
    stored = {group["group"]: group["wall"] for group in comparison["groups"]}
    assert stored == {"units=3": {"steps": 9.0, "validation": 1.0}, "units=5": {}}


def test_of_many_classes_the_worst_are_shown_and_all_are_stored(tmp_path: Path) -> None:
    errors = {f"class {number}": float(number) for number in range(40)}
    write(tmp_path / "runs" / "a", test={"last": {"class_errors": errors, "top5_error": 3.0}, "best": None})
    out = made(tmp_path)
    page = (out / "report.md").read_text()
    assert "| group | class 28 |" in page
    assert "class 27" not in page
    assert "The largest ones are shown; 28 more are in report.json." in page
    [group] = read(out)["comparisons"][0]["groups"]
    assert len(group["details"]) == 41


def test_runs_on_other_images_are_not_compared(tmp_path: Path) -> None:
    images = {"fingerprint": "0123456789abcdef"}
    for seed in (0, 1):
        write(tmp_path / "runs" / f"a{seed}", seed=seed, images=images)
        write(tmp_path / "runs" / f"b{seed}", seed=seed, axes={"units": [5]})  # not recorded, as by version 0.1
    assert len(read(made(tmp_path))["comparisons"]) == 1
    write(tmp_path / "runs" / "c", seed=2, images={"fingerprint": "fedcba9876543210"})
    titles = [comparison["title"] for comparison in read(made(tmp_path))["comparisons"]]
    assert titles == ["digits, 3 epochs, images=0123456789abcdef", "digits, 3 epochs, images=none",
                      "digits, 3 epochs, images=fedcba9876543210"]  # fmt: skip


@pytest.mark.filterwarnings("error")
def test_scores_without_any_spread_are_a_report_too(tmp_path: Path):
    for units in (1, 2, 4, 8, 16):
        for seed in range(2):
            write(tmp_path / "runs" / f"{units}-{seed}", seed, 5.0, axes={"units": [units]})
    out = made(tmp_path, "--by-test", "--pairs")
    [comparison] = read(out)["comparisons"]
    assert not any(difference["resolved"] for difference in comparison["differences"])
    assert "R² 0.00" in (out / "report.md").read_text()


def test_a_baseline_that_cannot_be_tested_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    sweep(tmp_path / "runs", ERRORS)
    made(tmp_path, "--by-test", "--baseline", "shortcut=dropout")
    shown = " ".join(capsys.readouterr().out.split())
    assert "shortcut=dropout has too few runs to be a baseline: groups are compared with the best" in shown


def test_verdicts_agree_where_some_groups_have_no_spread(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    sweep(tmp_path / "runs", {"none": [5.0, 5.0, 5.0], "projection": [4.0, 4.0, 4.0], "dropout": [3.0, 3.1, 3.5]})
    made(tmp_path, "--by-test")
    shown = " ".join(capsys.readouterr().out.split())
    assert "1 of 3 groups is worse than the best" in shown
    assert "shortcut=none is worse than shortcut=dropout by 1.80 points" in shown


def test_runs_with_a_split_each_are_not_called_single(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for i, shortcut in enumerate(("none", "none", "projection", "projection")):
        write(tmp_path / "runs" / str(i), i % 2, 5.0 + i, axes={"shortcut": shortcut}, data=DATA | {"split_seed": i})
    made(tmp_path, "--by-test")
    shown = " ".join(capsys.readouterr().out.split())
    assert "no test is possible with one run in each split, shared with no group: shortcut=none" in shown
    assert "fewer than 2 seeds" not in shown


def test_scores_around_zero_have_no_power_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    task = {"name": "reg", "score": "mae", "unit": "", "most": None, "figures": []}
    for shortcut, values in {"none": (0.0, 0.0), "projection": (1.0, 2.0)}.items():
        for seed, value in enumerate(values):
            scores = {"epoch": 3, "train_mae": value, "val_mae": value, "test_mae": value, "test_loss": value}
            run = tmp_path / "runs" / f"{shortcut}-{seed}"
            write(run, seed, axes={"shortcut": shortcut}, task=task, last=scores, best=scores)
    made(tmp_path, "--by-test")
    assert "seeds per group" not in capsys.readouterr().out


def test_runs_without_a_history_are_a_report_too(tmp_path: Path):
    for seed in range(4):
        write(tmp_path / "runs" / str(seed), seed // 2, 5.0 + seed, axes={"units": [1 + seed % 2]}, history=[])
    assert (
        "no run of units=1 has recorded validation errors"
        in (made(tmp_path, "--target", "8") / "report.md").read_text()
    )


@pytest.mark.parametrize(
    ("width", "left_out"), [(60, "n; test, last; depth; params; MACs; seconds; front"), (160, None)]
)
def test_a_narrow_terminal_leaves_out_columns_and_breaks_no_number(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    width: int,
    left_out: str | None,
):
    sweep(tmp_path / "runs", {"projection": [5.0, 6.0, 5.5], "none": [15.0, 16.0, 15.5], "dropout": [6, 7, 8]})
    monkeypatch.setattr("resnet_lab.report.write.WIDTH", width)
    made(tmp_path)
    table, _, after = capsys.readouterr().out.partition("└")
    assert all(len(line) <= width for line in table.splitlines())
    assert "…" not in table
    rows = [[cell.strip() for cell in line.split("│")] for line in table.splitlines() if line.startswith("│")]
    assert {"6.50 ± 1.24", "16.50 ± 1.24", "8.00 ± 2.48"} <= {cell for row in rows for cell in row}
    assert {"shortcut=none", "shortcut=dropout", "shortcut=projection"} <= {row[1] for row in rows}
    said = " ".join(after.split())
    if left_out:
        assert f"in report.md and on wider terminals: {left_out}" in said
    else:
        assert "wider terminals" not in said
        assert "front" in table


@pytest.mark.parametrize("width", [40, 80])
def test_a_narrow_terminal_shows_table_and_verdict_however_much_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
):
    for i in range(40):
        write(tmp_path / "runs" / str(i), i % 2, 5.0 + i % 7, axes={"units": [1 + i % 5], "filters": [8 + i // 10]})
    for i in range(10):
        write(tmp_path / "runs" / ("long" * 20 + str(i)), i, state="diverged", why="loss is nan " * 20)
    monkeypatch.setattr("resnet_lab.report.write.WIDTH", width)
    made(tmp_path)
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) < 60
    words = " ".join(shown.split())
    assert " more in report.md" in words[: words.index("loss is nan")]
    assert words.index("of 20 groups") < words.index("groups are worse than the best") < words.index("loss is nan")


def test_what_was_asked_is_answered_among_many_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for i in range(30):
        group, seed = divmod(i, 3)
        error = 5.0 + (group > 4) + seed / 50
        write(tmp_path / "runs" / str(i), seed, error, axes={"units": [1 + group % 5], "filters": [8 + group // 5]})
    made(tmp_path, "--margin", "0.5", "--target", "40", "--pairs")
    said = [line.removeprefix("- ") for line in capsys.readouterr().out.splitlines() if line.startswith("- ")]
    [margin] = [line for line in said if "no more than 0.50 points" in line]
    assert margin.startswith("shown to be worse by no more than 0.50 points: 4 of 9 other groups (")
    [target] = [i for i, line in enumerate(said) if "reached a validation error of 40.00 %" in line][:1]
    assert target < min(i for i, line in enumerate(said) if line.startswith("units"))
    assert any("of 45 pairs distinguished" in line for line in said)
