"""The page in a real browser: what a person does with it, by file:// and with no network."""

import csv
import math
import re
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import pytest
from runs import write
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from resnet_lab.config.registry import SHORTCUTS, ShortcutInfo
from resnet_lab.report.__main__ import main

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and chromedriver (Debian: chromium-driver)"),
    pytest.mark.xdist_group("browser"),  # one browser for all tests here
]

# Units: seeds 0 and 1; cost grows with the units, and the error is lowest in the middle.
ERRORS = {3: (7.0, 9.0), 5: (2.0, 3.0), 11: (4.0, 6.0)}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = BROWSER or ""
    profile = tmp_path_factory.mktemp("profile")
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-background-networking", "no-first-run"):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={profile}")
    options.add_argument("--window-size=1400,1600")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with Chrome(options, Service(DRIVER)) as driver:
        yield driver


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on six groups of two seeds: three numbers of units, with and without shortcuts."""
    folder = tmp_path_factory.mktemp("report")
    for (units, errors), shortcut in product(ERRORS.items(), ("projection", "none")):
        for seed, error in enumerate(errors):
            axes = {"units": [units], "shortcut": shortcut}
            write(folder / "runs" / f"{shortcut}-{units}-{seed}", seed, error + (shortcut == "none"), axes=axes)
    assert main([str(folder / "runs"), "--out", str(folder / "out")]) == 0
    return folder / "out" / "report.html"


@pytest.fixture
def page(browser: Chrome, report: Path) -> Chrome:
    """The report, opened."""
    browser.get(report.as_uri())
    return browser


def all_of(page: Chrome, selector: str) -> list[WebElement]:
    return page.find_elements(By.CSS_SELECTOR, selector)


def one(page: Chrome, selector: str) -> WebElement:
    return page.find_element(By.CSS_SELECTOR, selector)


def groups(page: Chrome) -> list[str]:
    """The groups that the table shows, from top to bottom, as `5 none`."""
    rows = "[...document.querySelectorAll('.groups tbody tr')].filter(row => row.offsetParent)"
    shown: list[str] = page.execute_script(
        f"return {rows}.map(row => `${{row.cells[0].innerText}} ${{row.cells[1].innerText}}`)"
    )
    return shown


def heading(page: Chrome, words: str) -> WebElement:
    return next(head for head in all_of(page, ".groups th button") if head.text == words)


def write_filter(page: Chrome, text: str) -> list[str]:
    """Replace the filter; return the groups that are shown."""
    field = one(page, "input[type=search]")
    field.clear()
    field.send_keys(text)
    return groups(page)


def choose(page: Chrome, what: str, option: str) -> None:
    Select(one(page, f"select[aria-label='{what}']")).select_by_visible_text(option)


def positions(page: Chrome) -> dict[str, tuple[float, float]]:
    """Where the symbols of the scatter plot are, by the index of the group."""
    found = {}
    for mark in all_of(page, ".mark"):
        moved = mark.find_element(By.CSS_SELECTOR, ".symbol").get_attribute("transform") or ""
        x, y = re.findall(r"[\d.]+", moved)
        found[mark.get_attribute("data-group") or ""] = float(x), float(y)
    return found


def differing(page: Chrome, place: str) -> dict[str, list[str]]:
    """The settings that differ, with their two values."""
    return {row.text.split()[0]: row.text.split()[1:] for row in all_of(page, f"{place} .settings tbody tr")}


def test_the_best_is_on_top_and_a_click_sorts(page: Chrome):
    best = ["5 projection", "5 none", "11 projection", "11 none", "3 projection", "3 none"]
    assert groups(page) == best
    heading(page, "units").click()
    assert [name.split()[0] for name in groups(page)] == ["3", "3", "5", "5", "11", "11"]  # as numbers
    heading(page, "units").click()
    assert groups(page) == ["11 projection", "11 none", "5 projection", "5 none", "3 projection", "3 none"]  # stable
    heading(page, "shortcut").click()
    assert [name.split()[1] for name in groups(page)] == ["none"] * 3 + ["projection"] * 3
    heading(page, "validation error, last epoch (%)").click()
    assert groups(page) == best


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("params < 5k", {"3 none", "3 projection"}),
        ("params<=0.005M", {"3 none", "3 projection", "5 none", "5 projection"}),
        ("MACs >= 100,000 and shortcut = none", {"5 none", "11 none"}),
        ("parameters > 4 k, units != 11", {"5 none", "5 projection"}),
        ("units = 3, projection", {"3 projection"}),
        ("NONE units≥5", {"5 none", "11 none"}),
        ("shortcut = non", set()),
        ("val_last < 5, params >", {"5 none", "5 projection"}),  # the second one is still being written
        ("depth = 68", {"11 none", "11 projection"}),
    ],
)
def test_filters(page: Chrome, text: str, shown: set[str]):
    assert set(write_filter(page, text)) == shown
    assert f"{len(shown)} of 6 groups" in one(page, ".answer").text
    marked = {mark.get_attribute("data-group") for mark in all_of(page, ".mark:not(.faded)")}
    rows = {row.get_attribute("data-group") for row in all_of(page, ".groups tbody tr") if row.is_displayed()}
    assert marked == rows


def test_what_a_filter_gets_wrong_is_said(page: Chrome):
    write_filter(page, "size < 3")
    assert one(page, ".answer").text.startswith("no column is called size; there are units, shortcut, val_last")
    write_filter(page, "params < many")
    assert one(page, ".answer").text == "params < needs a number, such as 500k, not many"


def test_the_best_small_network_is_named_and_can_be_clicked(page: Chrome):
    write_filter(page, "params < 5k")
    answer = one(page, ".answer").text
    assert answer == (
        "2 of 6 groups; the best: units=3 shortcut=projection, validation error 9.00 ± 12.71 %, 3 k parameters"
    )
    one(page, ".answer .best").click()
    assert "units=3 shortcut=projection" in one(page, ".panel h3").text


def test_other_axes(page: Chrome):
    before = positions(page)
    choose(page, "horizontal axis", "depth (layers)")
    after = positions(page)
    assert {i: y for i, (_, y) in after.items()} == {i: y for i, (_, y) in before.items()}
    assert "depth (layers)" in [label.text for label in all_of(page, ".canvas text")]
    choose(page, "vertical axis", "parameters")
    heights = sorted(positions(page).values())
    assert [y for _, y in heights] == sorted((y for _, y in heights), reverse=True)  # more parameters stand higher


def test_a_logarithmic_axis(page: Chrome):
    choose(page, "horizontal axis", "parameters")
    linear = sorted({x for x, _ in positions(page).values()})
    one(page, ".controls label input").click()
    logarithmic = sorted({x for x, _ in positions(page).values()})
    ratio = (logarithmic[1] - logarithmic[0]) / (logarithmic[2] - logarithmic[1])
    assert ratio == pytest.approx(math.log(5 / 3) / math.log(11 / 5), rel=0.01)
    assert (linear[1] - linear[0]) / (linear[2] - linear[1]) == pytest.approx((5 - 3) / (11 - 5), rel=0.01)


def test_colours_come_with_shapes(page: Chrome):
    choose(page, "colour", "shortcut")
    looks = {(one.get_attribute("d"), one.get_attribute("fill")) for one in all_of(page, ".mark .symbol")}
    assert len(looks) == len({shape for shape, _ in looks}) == len({fill for _, fill in looks}) == 2
    assert one(page, ".legend").text.split() == ["shortcut:", "none", "projection"]


def test_the_front_is_of_the_groups_shown(page: Chrome):
    assert len(all_of(page, ".mark.front")) == 2  # 3 units cost least, 5 err least
    write_filter(page, "units > 3")
    assert len(all_of(page, ".mark.front")) == 1


def test_pointing_marks_row_and_point(page: Chrome):
    tip = one(page, ".tip")
    assert not tip.is_displayed()
    mark = one(page, ".mark[data-group='2']")
    ActionChains(page).move_to_element(mark.find_element(By.CSS_SELECTOR, ".symbol")).perform()
    assert tip.text.splitlines()[:2] == ["units=11 shortcut=projection", "2 runs"]
    assert "validation error, last epoch (%): 6.00 ± 12.71" in tip.text
    assert one(page, "tr.hot").get_attribute("data-group") == "2"
    ActionChains(page).move_to_element(all_of(page, ".groups tbody tr")[4]).perform()
    assert not tip.is_displayed()
    assert one(page, ".mark.hot").get_attribute("data-group") == "4"


def test_two_groups_are_compared_in_the_panel(page: Chrome):
    panel = one(page, ".panel")
    rows = all_of(page, ".groups tbody tr")
    rows[0].find_element(By.TAG_NAME, "td").click()
    assert len(all_of(page, ".curve.val")) == len(all_of(page, ".curve.train")) == 2
    assert [link.text for link in panel.find_elements(By.TAG_NAME, "a")] == ["seed=0", "seed=1"]
    assert "Settings that differ" not in panel.text
    page.execute_script(
        "document.querySelector('.mark[data-group=\"3\"]').dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    assert [title.text for title in panel.find_elements(By.CSS_SELECTOR, ".sides h3")] == [
        "A: units=5 shortcut=projection",
        "B: units=11 shortcut=none",
    ]
    settings = differing(page, ".panel >")
    assert settings["model.units"] == ["5,5,5", "11,11,11"]
    assert settings["model.shortcut"] == ["projection", "none"]
    assert "seed" not in settings
    assert "optim.lr" not in settings
    one(page, ".close").click()
    assert not panel.is_displayed()


def test_two_runs_are_compared_in_the_panel(page: Chrome):
    rows = all_of(page, ".groups tbody tr")
    rows[0].send_keys(Keys.ENTER)
    panel = one(page, ".panel")
    assert page.switch_to.active_element == panel
    choose(page, "another group", "units=11 shortcut=none")
    panel.find_element(By.CSS_SELECTOR, ".controls button").click()
    boxes = all_of(page, ".panel input")
    boxes[3].send_keys(Keys.SPACE)
    assert not all_of(page, ".pair h3")
    boxes[0].send_keys(Keys.SPACE)
    assert [title.text for title in all_of(page, ".pair h3")] == [
        "1: units=11 shortcut=none, seed=1",
        "2: units=5 shortcut=projection, seed=0",
        "Settings in which the two runs differ",
    ]
    scores = [[cell.text for cell in row.find_elements(By.TAG_NAME, "td")] for row in all_of(page, ".scores tbody tr")]
    assert scores[:2] == [
        ["validation error, last epoch (%)", "8", "3"],
        ["test error, last epoch (%)", "—", "2"],  # shown for the best group alone
    ]
    assert len(all_of(page, ".pair .curve.val")) == len(all_of(page, ".pair .curve.train")) == 2
    assert differing(page, ".pair") == {
        "model.lineage.projection_input": ["—", "activated"],
        "model.projection_kernel": ["—", "1"],
        "model.shortcut": ["none", "projection"],
        "model.shortcut_pool": ["—", "off"],
        "model.units": ["11,11,11", "5,5,5"],
        "seed": ["1", "0"],
    }
    boxes[1].send_keys(Keys.SPACE)  # of the same group, in place of the one chosen first
    assert [box.is_selected() for box in boxes] == [True, True, False, False]
    assert differing(page, ".pair") == {"seed": ["0", "1"]}
    boxes[1].send_keys(Keys.ESCAPE)
    assert page.switch_to.active_element == rows[0]


def test_parallel_coordinates_set_the_filter(page: Chrome):
    choose(page, "kind of chart", "parallel coordinates")
    assert len(all_of(page, ".thread")) == 6
    next(text for text in all_of(page, ".choice") if text.text == "none").click()
    assert one(page, "input[type=search]").get_attribute("value") == "shortcut = none"
    assert len(all_of(page, ".thread:not(.faded)")) == 3
    [strip, *_] = all_of(page, ".strip")  # parameters: the lower half
    drag = ActionChains(page).move_to_element(strip).click_and_hold().move_by_offset(0, 400)
    drag.release().perform()
    assert groups(page) == ["5 none", "3 none"]
    assert "params <=" in (one(page, "input[type=search]").get_attribute("value") or "")


@pytest.mark.parametrize("kind", ["CSV", "Markdown", "LaTeX"])
def test_what_is_shown_is_saved(page: Chrome, tmp_path: Path, kind: str):
    page.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    write_filter(page, "shortcut = none, units <= 5")
    heading(page, "units").click()
    next(button for button in all_of(page, ".exports button") if button.text == f"save {kind}").click()
    file = tmp_path / f"comparison-1.{ {'CSV': 'csv', 'Markdown': 'md', 'LaTeX': 'tex'}[kind] }"
    WebDriverWait(page, 20).until(lambda _: file.exists() and file.stat().st_size)
    content = file.read_text()
    if kind == "CSV":
        rows = list(csv.DictReader(content.splitlines()))
        assert [(row["units"], row["shortcut"], row["val_last"]) for row in rows] == [
            ("3", "none", "10"),
            ("5", "none", "4.5"),
        ]
        assert float(rows[1]["val_last_half"]) == pytest.approx(6.3531, rel=1e-4)
        assert "val_best" not in rows[0]  # not shown
    elif kind == "Markdown":
        assert re.search(r"\n\| 3 \| none \| 10.00 ± 12.71 \| [^|]*\| 2 \|", content)
        assert content.count("\n") == 4
    else:
        assert re.search(r"  3 & none & 10.00 \$\\pm\$ 12.71 & [^&]*& 2 &", content)
        assert "validation error, last epoch (\\%)" in content


def test_the_chart_is_saved_as_svg(page: Chrome, tmp_path: Path):
    page.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    next(button for button in all_of(page, ".controls button") if button.text == "save SVG").click()
    file = tmp_path / "scatter.svg"
    WebDriverWait(page, 20).until(lambda _: file.exists() and file.stat().st_size)
    root = ElementTree.parse(file).getroot()
    assert len(root.findall("{http://www.w3.org/2000/svg}g")) == 6
    assert "var(" not in file.read_text()


def test_links_lead_to_the_run_directories_and_figures(page: Chrome):
    links = [link.get_attribute("href") or "" for link in all_of(page, ".groups tbody a")]
    assert len(links) == 12
    assert all((Path(link.removeprefix("file://")) / "config.yaml").is_file() for link in links)
    figures = [link.get_attribute("href") or "" for link in all_of(page, "figcaption a")]
    assert {Path(link).suffix for link in figures} == {".svg", ".pdf", ".png"}
    assert all(Path(link.removeprefix("file://")).is_file() for link in figures)


@pytest.mark.parametrize(("scheme", "paper"), [("light", "rgba(255, 255, 255, 1)"), ("dark", "rgba(20, 23, 27, 1)")])
def test_light_and_dark(page: Chrome, scheme: str, paper: str):
    wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    assert one(page, "body").value_of_css_property("background-color") == paper
    assert one(page, "figure img").value_of_css_property("filter").startswith("invert") == (scheme == "dark")


def test_a_narrow_screen_scrolls_only_tables_and_figures(page: Chrome):
    narrow = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
    try:
        page.refresh()
        assert page.execute_script("return document.documentElement.scrollWidth") == 390
        assert one(page, ".canvas svg").size["width"] <= 390
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_is_fetched_and_nothing_is_wrong(page: Chrome):
    assert page.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []
    assert page.get_log("browser") == []


def test_names_from_outside_stay_text(browser: Chrome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    evil = "<img src=x onerror=\"document.title='run'\"> {{ 7 * 7 }} ${7}"
    monkeypatch.setitem(SHORTCUTS._entries, evil, (None, ShortcutInfo(help="of a plugin")))
    for shortcut, units in product((evil, "none"), (3, 5)):
        write(
            tmp_path / "runs" / f"{len(shortcut)} {units}", axes={"shortcut": shortcut, "units": [units]}, device=evil
        )
    assert main([str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    browser.get((tmp_path / "out" / "report.html").as_uri())
    browser.execute_script("[0, 1].forEach(i => document.querySelectorAll('.groups tbody tr')[i].cells[0].click())")
    assert "device" not in one(browser, ".panel > .settings").text
    choose(browser, "colour", "shortcut")
    choose(browser, "kind of chart", "parallel coordinates")
    ActionChains(browser).move_to_element(all_of(browser, ".choice")[0]).perform()
    assert evil in one(browser, ".legend").text
    assert browser.title == "Comparison of runs"
    assert len(all_of(browser, "img")) == len(all_of(browser, "figure img"))
    assert browser.get_log("browser") == []


@pytest.mark.long
def test_the_page_of_600_groups_is_small_and_works(browser: Chrome, tmp_path: Path):
    """One seed each, which stands for five: their learning curves together have a fixed number of points."""
    curve = [{"epoch": epoch, "train/error": 90.1234 / epoch, "val/error": 91.1234 / epoch} for epoch in range(1, 101)]
    for units, kernel, scale in product(range(1, 11), range(1, 21, 2), range(6)):
        stem = {"kernel": kernel, "stride": 1, "filters": 16}
        axes = {"units": [units], "stem": stem, "shortcut": "constant_scaling", "shortcut_scale": scale / 10}
        path = tmp_path / "runs" / f"{units}-{kernel}-{scale}"
        write(path, error=5 + units / 7 + scale + kernel / 11, axes=axes, history=curve)
    assert main([str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    page = tmp_path / "out" / "report.html"
    assert page.stat().st_size < 5e6
    browser.get(page.as_uri())
    assert len(groups(browser)) == browser.execute_script("return document.querySelectorAll('.mark').length") == 600
    heading(browser, "units").click()
    assert write_filter(browser, "kernel = 3, units <= 2, shortcut_scale = 0.1") == ["1 0.1", "2 0.1"]
