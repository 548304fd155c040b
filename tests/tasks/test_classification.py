"""What classification counts, and that nothing outside of its own files knows it."""

import re
from pathlib import Path

import pytest
import torch
from support.composing import config as load_config
from support.lab import TINY
from torch.nn import functional as F

import resnet_lab
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.registry import TASKS
from resnet_lab.config.tasks import CLASSIFICATION, FIGURES, TaskInfo
from resnet_lab.inspect.sections import PARTS
from resnet_lab.job import objective
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.tasks.base import task_of
from resnet_lab.training.result import format_result
from resnet_lab.training.step import Totals

PACKAGE = Path(resnet_lab.__file__).parent
ITS_OWN = {"config/registry.py", "config/tasks.py", "config/schema.py", "tasks/classification.py"}
RUN_OF_0_1 = next((Path(__file__).parents[1] / "golden" / "runs" / "0.1").rglob("result.json")).parent


def test_no_other_part_of_the_package_knows_a_task_by_name():
    """But for a module of torchmetrics that is called so."""
    files = {str(file.relative_to(PACKAGE)): file.read_text() for file in PACKAGE.rglob("*.py")}
    named = {name for name, text in files.items() if re.search(r"(?<!functional\.)classification", text, re.IGNORECASE)}
    assert named == ITS_OWN
    branches = [
        name for name, text in files.items() if re.search(r"\btask(\.name|\[.name.\])? *(==|!=|in) *[\"'(]", text)
    ]
    assert branches == []


def test_mixed_targets_are_probabilities():
    task = task_of(load_config(*TINY))
    logits = torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.5, 0.0, 4.0], [1.0, 0.0, 0.0]])
    classes = torch.tensor([0, 2, 2, 0])
    certain = F.one_hot(classes, 3).float()
    assert task.penalty(logits, classes) == task.penalty(logits, certain) == 1
    torch.testing.assert_close(task.loss(logits, certain, 0.1), task.loss(logits, classes, 0.1))
    mixed = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.4, 0.6], [0.0, 0.1, 0.9], [0.2, 0.8, 0.0]])
    expected = -(mixed * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(task.loss(logits, mixed), expected)
    assert task.penalty(logits, mixed) == 2
    assert task.score(2, 4) == 50


@pytest.mark.parametrize("mixed", [False, True])
def test_steps_never_look_at_values(mixed: bool):
    """On the `meta` device there are none, as there are none while a CUDA graph is recorded."""
    config = load_config(*TINY)
    task, device = task_of(config), torch.device("meta")
    with device:
        images, outputs = torch.empty(16, *config.data.image_shape), torch.empty(16, 3, requires_grad=True)
        labels = torch.empty(16, 3) if mixed else torch.empty(16, dtype=torch.long)
        targets = task.targets(images, labels)
        loss = task.loss(outputs, targets, 0.1)
        loss.backward()
        Totals(task, device).add(loss, outputs, targets)


def test_the_figures_of_a_task_are_parts_of_inspect():
    assert tuple(PARTS) == FIGURES
    assert FIGURES[: len(CLASSIFICATION.figures)] == CLASSIFICATION.figures
    for name in ("reconstruction", "vae"):
        assert set(TASKS.info(name).figures) | set(CLASSIFICATION.figures) == set(FIGURES)
        assert not {"saliency", "mistakes"} & set(TASKS.info(name).figures)
    with pytest.raises(ConfigError, match=r"the figures of dots can be flow, .*; got moons"):
        TaskInfo(help="dots", score="mae", figures=("flow", "moons"))


@pytest.mark.parametrize("score", ["loss", "mean error", ""])
def test_a_score_is_a_word_that_tags_have_room_for(score: str):
    with pytest.raises(ConfigError, match="the score of dots must be a word other than loss"):
        TaskInfo(help="dots", score=score, figures=())


def test_a_result_of_0_1_is_one_of_classification():
    result = RunDirectory(RUN_OF_0_1).result()
    assert result["task"] == TASKS.info("classification").described("classification")
    assert objective(result, []) == result["last"]["val_error"]
    assert f"test error {result['last']['test_error']:.2f} % (last epoch" in format_result(result)
