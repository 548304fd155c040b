from pathlib import Path

import pytest
from served import closed_port, serve

from resnet_lab.data.fingerprint import look_again

__all__ = ["closed_port", "serve"]  # fixtures


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder of a test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def unread(cache: Path) -> None:
    """Nothing of the user's images is known or decoded yet."""
    look_again()
