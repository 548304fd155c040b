"""CUDA graphs for tests of training, and what runs say."""

import logging

import pytest
import torch
from support.graphs import EMULATED


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA graphs can be recorded, and replayed, without a GPU."""
    for name, stand_in in EMULATED.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What runs log."""
    monkeypatch.setattr(logging.getLogger("resnet_lab"), "propagate", True)
    return caplog
