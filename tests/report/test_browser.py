"""The page in a real browser: what a person does with it, by file:// and with no network."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from runs import write
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

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


@pytest.fixture
def page(browser: Chrome, tmp_path: Path) -> Chrome:
    """The report on six runs, opened."""
    for units, errors in ERRORS.items():
        for seed, error in enumerate(errors):
            write(tmp_path / "runs" / f"{units}-{seed}", seed, error, axes={"units": [units]})
    assert main([str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    browser.get((tmp_path / "out" / "report.html").as_uri())
    return browser


def groups(page: Chrome) -> list[str]:
    """The groups that the table shows, from top to bottom."""
    return [cell.text for cell in page.find_elements(By.CSS_SELECTOR, "tbody td:first-child") if cell.is_displayed()]


def heading(page: Chrome, words: str) -> WebElement:
    return next(head for head in page.find_elements(By.CSS_SELECTOR, "th button") if head.text == words)


def test_a_click_sorts_and_the_next_one_the_other_way_round(page: Chrome):
    for words, expected in {
        "validation error, last": ["units=5", "units=11", "units=3"],
        "group": ["units=3", "units=5", "units=11"],  # as numbers
        "params": ["units=3", "units=5", "units=11"],
    }.items():
        head = heading(page, words)
        head.click()
        assert groups(page) == expected
        head.click()
        assert groups(page) == expected[::-1]


def test_words_filter(page: Chrome):
    field = page.find_element(By.CSS_SELECTOR, "input[type=search]")
    field.send_keys("UNITS 1")
    assert groups(page) == ["units=11"]
    field.clear()
    field.send_keys("nothing")
    assert groups(page) == []


def positions(page: Chrome) -> list[tuple[float, float]]:
    marks = page.find_elements(By.CSS_SELECTOR, ".scatter circle")
    return [tuple(float(mark.get_attribute(name) or "nan") for name in ("cx", "cy")) for mark in marks]  # type: ignore[misc]


def test_other_axes(page: Chrome):
    before = positions(page)
    horizontal = Select(page.find_element(By.CSS_SELECTOR, "select[aria-label='horizontal axis']"))
    horizontal.select_by_visible_text("depth")
    after = positions(page)
    assert [y for _, y in after] == [y for _, y in before]
    assert [x for x, _ in after] == sorted(x for x, _ in after)
    assert "depth" in [label.text for label in page.find_elements(By.CSS_SELECTOR, ".scatter svg text")]
    vertical = Select(page.find_element(By.CSS_SELECTOR, "select[aria-label='vertical axis']"))
    vertical.select_by_visible_text("parameters")
    heights = [y for _, y in positions(page)]
    assert heights == sorted(heights, reverse=True)  # more parameters stand higher


def test_the_front_is_marked(page: Chrome):
    assert len(page.find_elements(By.CSS_SELECTOR, ".scatter g.front")) == 2  # 3 units cost least, 5 err least
    assert len(page.find_elements(By.CSS_SELECTOR, ".scatter g.point")) == 1


def test_hovering_shows_the_architecture(page: Chrome):
    tip = page.find_element(By.CSS_SELECTOR, ".tip")
    assert not tip.is_displayed()
    mark = page.find_elements(By.CSS_SELECTOR, ".scatter circle")[2]
    ActionChains(page).move_to_element(mark).perform()
    assert tip.text.splitlines()[:2] == ["units=11", "2 runs"]
    assert "validation error, last epoch (%): 6.00 ± 12.71" in tip.text
    ActionChains(page).move_to_element(page.find_element(By.CSS_SELECTOR, "h1")).perform()
    assert not tip.is_displayed()


def test_links_lead_to_the_run_directories(page: Chrome):
    links = [link.get_attribute("href") for link in page.find_elements(By.CSS_SELECTOR, "tbody a")]
    assert len(links) == 6
    for link in links:
        assert link
        assert (Path(link.removeprefix("file://")) / "config.yaml").is_file()


@pytest.mark.parametrize(("scheme", "paper"), [("light", "rgba(255, 255, 255, 1)"), ("dark", "rgba(20, 23, 27, 1)")])
def test_light_and_dark(page: Chrome, scheme: str, paper: str):
    wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    body = page.find_element(By.TAG_NAME, "body")
    assert body.value_of_css_property("background-color") == paper


def test_nothing_is_fetched_and_nothing_is_wrong(page: Chrome):
    assert page.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []
    assert page.get_log("browser") == []
