"""What belongs to other packages alone is touched in one room each: `training.lightning`, `config.hydra_private`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import resnet_lab

PACKAGE = Path(resnet_lab.__file__).parent
ROOMS = ("config/hydra_private.py", "training/lightning.py")
MODULES = [path for path in PACKAGE.rglob("*.py") if str(path.relative_to(PACKAGE)) not in ROOMS]
MODULES += (PACKAGE.parent / "hydra_plugins" / "resnet_lab_sweep").glob("*.py")

# Not documented for use, though their names do not say so.
INTERNAL = (
    "hydra._internal",
    "hydra.core.global_hydra",
    "hydra.core.hydra_config",
    "hydra.core.singleton",
    "hydra.core.utils.run_job",
    "hydra.core.utils.setup_globals",
    "lightning_fabric",
    "omegaconf.basecontainer",
    "pytorch_lightning.loops",
    "pytorch_lightning.plugins",
    "pytorch_lightning.trainer.connectors",
)
INTERNAL_NAMES = ("epoch_loop", "fit_loop", "manual_optimization", "optim_step_progress")
INTERNAL_WORDS = ("HYDRA_FULL_ERROR",)
PUBLIC_NAMES = (
    *("_asdict", "_fields", "_replace"),  # of named tuples
    # Torch's operations on lists of tensors, which have no other name.
    *(f"_foreach_{name}" for name in ("add", "add_", "addcmul_", "copy_", "div", "div_", "mul", "mul_", "sqrt")),
    *("_foreach_sub", "_foreach_sub_"),
)

# In these modules, which give the reason: engines that are extras, and
# torch's only way to see the operations of a backward pass.
ENGINES = {
    "bench/profile.py": "torch.utils._python_dispatch.TorchDispatchMode",
    "resnet_lab_sweep/_ray.py": "hydra_plugins.hydra_ray_launcher._launcher_util.",
    "resnet_lab_sweep/_search.py": "hydra_plugins.hydra_optuna_sweeper._impl.",
}


def private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name not in PUBLIC_NAMES


def imported(node: ast.AST) -> Iterator[str]:
    """Full names of what a statement imports, of modules as well as of what is in them."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def touched(source: str) -> set[str]:
    """What a module uses of the private parts of others."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        for name in imported(node):
            own = name.startswith("hydra_plugins.resnet_lab_sweep.")
            if name.startswith(INTERNAL) or (any(map(private, name.split("."))) and not own):
                found.add(name)
        if isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if node.attr in INTERNAL_NAMES or (private(node.attr) and not own):
                found.add(node.attr)
        if isinstance(node, ast.Constant) and node.value in INTERNAL_WORDS:
            found.add(node.value)
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_nothing_private_of_others_is_touched(module: Path):
    engine = ENGINES.get("/".join(module.parts[-2:]))
    assert not {name for name in touched(module.read_text()) if not (engine and name.startswith(engine))}


def test_the_rooms_do_touch_it():
    hydra, lightning = (touched((PACKAGE / room).read_text()) for room in ROOMS)
    assert {"_return_value", "_resolvers", "HYDRA_FULL_ERROR"} < hydra
    assert "optim_step_progress" in lightning


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("from hydra._internal.core_plugins.basic_sweeper import BasicSweeper", "hydra._internal"),
        ("def later():\n    import hydra._internal.hydra", "hydra._internal"),
        ("from hydra.core.utils import JobReturn, run_job", "hydra.core.utils.run_job"),
        ("from lightning_fabric.plugins import X", "lightning_fabric"),
        ("node = composed._get_node(key)", "_get_node"),
        ("returned._return_value = None", "_return_value"),
        ("BaseContainer._resolvers", "_resolvers"),
        ("trainer.fit_loop.epoch_loop", "fit_loop"),
        ("from x import _y", "x._y"),
    ],
)
def test_every_kind_of_touch_is_seen(line: str, name: str):
    assert any(found.startswith(name) for found in touched(line))


@pytest.mark.parametrize(
    "line", ["self._count += 1", "values._replace(a=1)", "from hydra.core.utils import JobReturn", "x.__name__"]
)
def test_what_is_public_is_not(line: str):
    assert touched(line) == set()
