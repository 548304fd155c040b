"""Build the documentation as a static site: `python scripts/build_site.py [FOLDER]`, or `make docs` into build/.

README, docs/ and what they link to are copied as they are into FOLDER/pages, so that all links between them hold, and
the pages of the API are added. The site is then in FOLDER/site; zensical.toml says how it looks.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")

# What the docs speak of, by page of the API.
API = {
    "runs": (
        "Networks and runs",
        "What a notebook needs: `from resnet_lab import …`.",
        (
            "resnet_lab.config.compose.load_config",
            "resnet_lab.model.resnet.ResNetV2",
            "resnet_lab.model.complexity.complexity",
            "resnet_lab.tasks.load.load_run",
            "resnet_lab.use.run",
            "resnet_lab.rundir.predictions.read_predictions",
        ),
    ),
    "extending": (
        "Extending",
        "What your own [units, shortcuts, data sets, tasks and augmentations](../docs/extending.md) are made of.",
        (
            "resnet_lab.config.registry",
            "resnet_lab.config.extending.Registry",
            "resnet_lab.config.infos",
            "resnet_lab.config.tasks.TaskInfo",
            "resnet_lab.config.enums.Labels",
            "resnet_lab.model.spec",
            "resnet_lab.model.units.ResidualUnit",
            "resnet_lab.model.shortcuts.Sum",
            "resnet_lab.data.sources.Source",
            "resnet_lab.data.augment.Augmentation",
            "resnet_lab.tasks.base.Task",
        ),
    ),
    "inside": (
        "Looking inside",
        "The measurements behind [`inspect`](../docs/inside.md), with their exact definitions.",
        (
            "resnet_lab.inspect.flow",
            "resnet_lab.inspect.inversion",
            "resnet_lab.inspect.spectrum",
            "resnet_lab.inspect.normal",
        ),
    ),
}


def main(folder: Path) -> None:
    """Gather the pages, and build."""
    pages = folder / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    for file in sorted(linked(ROOT / "README.md", set())):
        copy = pages / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    (pages / "api").mkdir()
    for name, (title, words, objects) in API.items():
        entries = "\n".join(f"::: {name}" for name in objects)
        (pages / "api" / f"{name}.md").write_text(f"# {title}\n\n{words}\n\n{entries}\n")
    shutil.copyfile(ROOT / "zensical.toml", folder / "zensical.toml")
    subprocess.run([sys.executable, "-m", "zensical", "build", "--clean", "--strict"], cwd=folder, check=True)


def linked(page: Path, seen: set[Path]) -> set[Path]:
    """The page, and all files of the project that can be reached from it, by links of pages."""
    seen.add(page)
    for target in targets(page):
        if target.suffix == ".md" and target not in seen:
            linked(target, seen)
        elif target.is_file():
            seen.add(target)
    return seen


def targets(page: Path) -> Iterator[Path]:
    """What a page links to in this project; folders have no page."""
    for link in LINK.findall(page.read_text()):
        target = (page.parent / link).resolve()
        if not link.startswith("https://") and target.is_file():
            yield target


if __name__ == "__main__":
    main(Path(*sys.argv[1:]) if sys.argv[1:] else ROOT / "build")
