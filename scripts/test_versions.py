"""Test other versions: `make test-versions`.

The packages without torch run on every other Python that is found. Everything runs on this Python with the oldest
versions of the dependencies that pyproject.toml allows (constraints-oldest.txt). What cannot be tested here is said.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
VENVS = ROOT / ".venv-versions"
OTHER_PYTHONS = ("3.12", "3.13", "3.14")

# What reads settings and runs needs of the dependencies, and the tests that need no more.
LIGHT = ["hydra-core", "omegaconf", "pyyaml", "filelock", "jinja2", "psutil", "rich", "scipy", "numpy", "matplotlib"]
LIGHT_TESTS = (
    "tests/config/test_overrides.py",
    "tests/report/test_comparison.py",
    "tests/report/test_statistics.py",
    "tests/rundir/test_naming.py",
    "tests/test_text.py",
)
LIGHT_COMMANDS = (
    ["runs", "tests/golden/runs/0.1", "--commands"],
    ["report", "tests/golden/runs/0.1", "--out", str(VENVS / "report")],
)


def main() -> int:
    """Exit status 1 when something failed."""
    failed = [version for version in OTHER_PYTHONS if not light(version)]
    failed += [] if oldest(sys.argv[1:]) else ["oldest"]
    print(f"failed: {', '.join(failed)}" if failed else "all that could be tested passed")
    return min(len(failed), 1)


def light(version: str) -> bool:
    """Whether the packages without torch work on another Python; True, with a line, where there is none."""
    found = interpreter(version)
    if not found:
        print(f"Python {version}: not found, not tested")
        return True
    python = made(
        version, found, ROOT / "constraints.txt", [*LIGHT, "pytest", "pytest-xdist", "hypothesis"], ["--no-deps", "."]
    )
    if not python:
        print(f"Python {version}: the dependencies cannot be installed")
        return False
    commands = [[python, "-m", "resnet_lab", *words] for words in LIGHT_COMMANDS]
    tests = [python, "-m", "pytest", "--noconftest", "--numprocesses=0", *LIGHT_TESTS]
    return all(run(command) for command in [*commands, tests])


def interpreter(version: str) -> str:
    """A Python of this version, on the path or by pyenv; empty where there is none that runs."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(f"python{version}"), *map(str, pyenv.glob(f"{version}.*/bin/python"))]
    runs = (path for path in found if path and not subprocess.run([path, "--version"], capture_output=True).returncode)
    return next(runs, "")


def oldest(options: list[str]) -> bool:
    """Whether all tests pass with the oldest versions."""
    python = made("oldest", sys.executable, ROOT / "constraints-oldest.txt", ["-e", ".[dev]"])
    return bool(python) and run([python, "-m", "pytest", *options])


def made(name: str, python: str, constraints: Path, *installs: list[str]) -> str:
    """The Python of a new environment with what `installs` says; empty when that cannot be installed."""
    shutil.rmtree(VENVS / name, ignore_errors=True)
    own = str(VENVS / name / "bin" / "python")
    environment = os.environ | {"PIP_CONSTRAINT": str(constraints), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    commands = [[own, "-m", "pip", "install", "--quiet", *packages] for packages in installs]
    ready = all(run(command, environment) for command in [[python, "-m", "venv", str(VENVS / name)], *commands])
    return own if ready else ""


def run(command: list[str], environment: dict[str, str] | None = None) -> bool:
    """Whether a command ends with 0."""
    print("$", *command, flush=True)
    return subprocess.run(command, cwd=ROOT, env=environment).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
