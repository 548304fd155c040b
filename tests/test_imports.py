"""Which part of the package may import which: one way only, so that the configuration and the report stay light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import resnet_lab

PACKAGE = Path(resnet_lab.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Each part and the parts that it may use, besides itself. `version`, `interrupts` and `text` serve others and use
# nothing, `page` only `text`; `command` is what entry points share; `summary` is one of them, which needs no training;
# `inspect.look` loads runs, which the other functions of `inspect` do not.
TRAINS = {"text", "interrupts", "config", "rundir", "data", "model", "tasks", "kernels", "inspect", "training"}
MAY_IMPORT = {
    "version": set(),
    "interrupts": set(),
    "text": set(),
    "page": {"text"},
    "config": {"version", "text"},
    "command": {"text", "interrupts", "config"},
    "rundir": {"text", "config"},
    "data": {"text", "config", "rundir"},
    "data.__main__": {"text", "command", "config", "data"},
    "model": {"config", "rundir"},
    "tasks": {"config", "rundir", "data", "model"},
    "kernels": {"config", "data", "model"},
    "inspect": {"text", "config", "rundir", "data", "model", "tasks"},
    "training": TRAINS - {"training"} | {"version"},
    "callbacks": TRAINS,
    "job": TRAINS | {"callbacks"},
    "use": TRAINS | {"version", "page", "callbacks", "job", "report"},
    "sweep": {"text", "interrupts", "config", "rundir", "data", "model", "tasks", "training", "callbacks"},
    "bench": {
        "text",
        "command",
        "interrupts",
        "config",
        "rundir",
        "data",
        "model",
        "tasks",
        "kernels",
        "training",
        "sweep",
    },
    "__main__": {"version", "command", "config", "job"},
    "summary": {"text", "command", "config", "model", "tasks"},
    "inspect.look": TRAINS | {"page"},
    "report": {"text", "page", "command", "config", "rundir"},
    "inspect.__main__": {"command", "config", "inspect"},
    "runs": {"text", "command", "config", "rundir"},
    "dashboard": {"text", "command", "config", "rundir", "report"},
    "predict": {"command", "use"},
    "evaluate": {"command", "use"},
    "export": {"command", "config", "use"},
    "find_lr": {"text", "command", "config", "training", "bench"},
}


def part(module: Path) -> str:
    """The name at the top of the package under which a file lies, or the file's own where it stands apart."""
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts) if ".".join(parts) in MAY_IMPORT else parts[0]


def imported(module: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it, absolute or relative, by its full name."""
    package = ("resnet_lab", *module.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names if source == "resnet_lab")


def own(module: Path) -> set[str]:
    """The parts of the package that a file imports, without its own."""
    parts = {name.split(".")[1] for name in imported(module) if name.startswith("resnet_lab.")}
    return parts - {part(module)}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(module: Path):
    if module == PACKAGE / "__init__.py":
        pytest.skip("the public API names what it imports on first use")
    assert part(module) in MAY_IMPORT, "say in MAY_IMPORT where this part stands"
    assert own(module) <= MAY_IMPORT[part(module)]


def test_the_order_has_no_circle():
    def below(name: str) -> set[str]:
        return MAY_IMPORT[name].union(*(below(other) for other in MAY_IMPORT[name]))

    assert all(name not in below(name) for name in MAY_IMPORT)


def test_the_parser_sees_every_kind_of_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    module = tmp_path / "data" / "files.py"
    module.parent.mkdir()
    module.write_text(
        "import resnet_lab.model.units\n"
        "from resnet_lab import report\n"
        "from ..training import run\n"
        "from . import split\n"
        "if TYPE_CHECKING:\n    from resnet_lab.callbacks import progress\n"
        "def later():\n    from resnet_lab.inspect import features\n"
    )
    assert own(module) == {"model", "report", "training", "callbacks", "inspect"}


def test_nothing_heavy_before_it_is_needed():
    light = (
        "resnet_lab",
        "resnet_lab.config.schema",
        "resnet_lab.config.compose",
        "resnet_lab.command",
        "resnet_lab.__main__",
    )
    code = f"import sys, {', '.join(light)}; print(*{{'torch', 'pytorch_lightning', 'numpy'}} & sys.modules.keys())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == ""


@pytest.mark.parametrize(
    ("package", "without"),
    [("rundir", {"torch", "hydra", "pytorch_lightning"}), ("report", {"torch", "hydra", "pytorch_lightning"})],
)
def test_who_only_reads_runs_needs_neither_torch_nor_hydra(package: str, without: set[str]):
    modules = [
        f"resnet_lab.{package}.{path.stem}" for path in (PACKAGE / package).glob("*.py") if path.stem != "__init__"
    ]
    code = f"import sys, {', '.join(modules)}; print(*{without} & sys.modules.keys())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == ""


def test_what_does_not_train_does_not_wait_for_lightning():
    """Lightning, and torchmetrics with it, take twice as long to import as torch."""
    modules = ("use.predict", "use.evaluate", "use.export", "inspect.look", "sweep.grid", "sweep.launch")
    names = ", ".join(f"resnet_lab.{module}" for module in modules)
    code = f"import sys, {names}; print(*{{'pytorch_lightning', 'torchmetrics'}} & sys.modules.keys())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == ""


def test_the_public_api_is_there():
    for name in resnet_lab.__all__:
        assert getattr(resnet_lab, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = resnet_lab.nope
