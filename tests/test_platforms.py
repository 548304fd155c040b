"""Modules that only Unix has are imported where they are needed, and what needs them says so."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import resnet_lab
from resnet_lab.__main__ import _main
from resnet_lab.command import exit_status

UNIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
PACKAGE = Path(resnet_lab.__file__).parent
MODULES = sorted([*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "hydra_plugins").rglob("*.py")])


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE.parent)))
def test_nothing_of_unix_alone_is_imported_with_a_module(module: Path):
    for node in ast.parse(module.read_text()).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not UNIX_ONLY & {name.partition(".")[0] for name in names}


@pytest.mark.slow
def test_everything_is_imported_and_measured_without_resource():
    names = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in PACKAGE.rglob("*.py")
    ]
    code = (
        "import importlib, psutil, sys; sys.modules['resource'] = None  # psutil asks for it on Linux alone\n"
        f"for name in {names}: importlib.import_module(name)\n"
        "from types import SimpleNamespace as Space\n"
        "psutil.Process = lambda: Space(memory_info=lambda: Space(peak_wset=7))  # as on Windows\n"
        "from resnet_lab.training.runtime import Runtime\n"
        "print(Runtime('cpu', '32-true', False, False, False, False, None, 1, 1, 1, '').peak_memory())"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("7\n", "")


def test_a_sweep_where_no_process_can_be_forked_is_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
    monkeypatch.setattr(sys, "argv", ["resnet-lab"])
    assert exit_status(_main, ["-m", "units=n1,n2"]) == 1
    assert capsys.readouterr().err == "-m needs Linux or macOS: on this system, start each run separately\n"
