"""The documentation as a site: all of it is there, can be reached, and needs nothing from elsewhere."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import resnet_lab

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with pages and site; a warning would be an error."""
    folder = tmp_path_factory.mktemp("docs")
    subprocess.run([sys.executable, ROOT / "scripts" / "build_site.py", folder], check=True)
    return folder


def test_every_page_is_in_the_navigation(built: Path):
    words = (ROOT / "zensical.toml").read_text()
    assert tomllib.loads(words)["project"]["site_name"] == "resnet_lab"
    named = set(re.findall(r'= "([^"]+\.md)"', words))
    pages = built / "pages"
    assert named == {str(page.relative_to(pages)) for page in pages.rglob("*.md")}


def test_nothing_is_loaded_from_elsewhere(built: Path):
    for page in (built / "site").rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]*?src=\"?([^\" >]+)", page.read_text())
        loaded += re.findall(r"<link[^>]*?href=\"?([^\" >]+)", page.read_text())
        assert loaded
        assert not [address for address in loaded if address.startswith(("http", "//"))], page
    for sheet in (built / "site").rglob("*.css"):
        assert not re.findall(r"url\(\"?(?:https?:)?//[^)]*", sheet.read_text()), sheet


def test_what_the_docs_import_is_in_the_api(built: Path):
    api = "".join(page.read_text() for page in (built / "site" / "api").glob("*.html"))
    texts = [page.read_text() for page in (ROOT / "docs").rglob("*.md")]
    lines = [line for text in texts for line in re.findall(r"^from resnet_lab\S* import (.+)$", text, re.MULTILINE)]
    used = {name.strip() for names in lines for name in names.split(",")}
    assert used
    for name in used | set(resnet_lab.__all__):
        assert re.search(rf'id="resnet_lab[a-z_.]*\.{name}"', api), name


def test_the_search_knows_settings(built: Path):
    assert "checkpoint_activations" in (built / "site" / "search.json").read_text()
