"""Exported networks compute what the network computes, for other programs too."""

import contextlib
import csv
import dataclasses
import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from least import Shell, by_hand
from PIL import Image
from support.composing import config as load_config
from support.covering import Row, covering
from support.lab import Lab
from torch import nn

from resnet_lab.config.branch import AttentionConfig, StochasticDepthConfig
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.extending import Registry
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.model_enums import (
    Activation,
    Attention,
    AttentionPlace,
    Bridges,
    Downsample,
    ProjectionInput,
    Resize,
    StrideOn,
)
from resnet_lab.config.parts import HeadConfig, LineageConfig, StemConfig
from resnet_lab.config.registry import SHORTCUTS, UNITS
from resnet_lab.data.sources import read
from resnet_lab.export import main
from resnet_lab.rundir.identity import identity
from resnet_lab.tasks.base import Task, task_of
from resnet_lab.tasks.classification import Classification
from resnet_lab.use.evaluate import probabilities
from resnet_lab.use.export import difference, export
from resnet_lab.use.formats import FORMATS, to_onnx
from resnet_lab.use.images import images_to_test
from resnet_lab.use.parts import PARTS
from resnet_lab.use.trained import Trained

PAGE = Path(__file__).parents[2] / "docs" / "using.md"
EXACT = 1e-5


def own(registry: Registry[Any]) -> list[str]:
    """The entries of the lab itself: other tests add theirs."""
    return [name for name in registry if registry.load(name).__module__ == registry.module]


AXES: dict[str, list[Any]] = {
    "unit": own(UNITS),
    "shortcut": own(SHORTCUTS),
    "activation": [*Activation],
    "norm": ["batch", "group", "layer", "none"],
    "nonlinearity": ["relu", "leaky_relu", "silu", "gelu"],
    "weight_standardisation": [False, True],
    "attention": [AttentionConfig(), *(AttentionConfig(kind=Attention.se, place=place) for place in AttentionPlace)],
    "cardinality": [1, 2],
    "learned_scale": [None, 0.5],
    "stochastic_depth": [StochasticDepthConfig(), StochasticDepthConfig(rate=0.5)],
    "shortcut_pool": [False, True],
    "resize": [*Resize],
    "downsample": [*Downsample],
    "bridges": [*Bridges],
    "reduction": [[1], [4]],
    "num_stacks": [1, 2, 3],
    "stem": [
        StemConfig(filters=4, **changes)
        for changes in ({}, {"double": True}, {"pool": True}, {"stride": 2}, {"deep": True}, {"activation": False})
    ],
    "head": [HeadConfig(), HeadConfig(hidden=[8]), HeadConfig(latent_dim=4)],
    "lineage": [
        LineageConfig(),
        LineageConfig(conv_bias=True, stride_on=StrideOn.spatial),
        LineageConfig(projection_input=ProjectionInput.raw),
    ],
}


def model(row: Row) -> ModelConfig:
    settings = {axis: AXES[axis][value] for axis, value in row.items()}
    return ModelConfig(in_channels=2, num_classes=3, units=[1], filters=[8], norm_groups=2, **settings)


def is_valid(row: Row) -> bool:
    try:
        return model(row) is not None
    except ConfigError:
        return False


def untrained(architecture: ModelConfig, classes: tuple[str, ...] = ("a", "b", "c")) -> Trained:
    """A network as training leaves it: with statistics of its own in every BatchNorm."""
    config = load_config("data=fake", "data.image_size=[16,12]", "data.channels=2", "data.num_classes=3")
    data = dataclasses.replace(config.data, mean=[0.4, 0.6], std=[0.2, 0.3])
    config = dataclasses.replace(config, data=data, model=architecture)
    torch.manual_seed(0)
    net = task_of(config).network().eval()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.5, 0.5)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
    return Trained(config, net, classes)


def differs(trained: Trained, to: str, folder: Path) -> float:
    """The largest difference of an exported network from its original."""
    file = folder / f"network.{to}"
    file.write_bytes(FORMATS[to].content(trained, {}, PARTS["whole"]))
    pixels = torch.randint(0, 256, (5, *trained.config.data.image_shape), dtype=torch.uint8).numpy()
    return difference(FORMATS[to].load(file), trained, pixels)


def test_every_possible_pair_of_options_is_among_the_networks():
    rows, impossible = covering(AXES, is_valid)
    assert len(rows) < 90
    named = {frozenset((axis, str(AXES[axis][value])) for axis, value in pair) for pair in impossible}
    identity = ("attention", str(AttentionConfig(kind=Attention.se, place=AttentionPlace.identity)))
    needs_any = (("learned_scale", "0.5"), ("stochastic_depth", str(AXES["stochastic_depth"][1])))
    without_own = [("bridges", str(reach)) for reach in Bridges if reach not in (Bridges.unit, Bridges.stack)]
    assert named == {
        *(frozenset({identity, without}) for without in (("shortcut", "none"), ("unit", "conv"), *without_own)),
        *(frozenset({needs, ("bridges", str(Bridges.none))}) for needs in needs_any),
        *(frozenset({("unit", name), ("cardinality", "2")}) for name in ("basic", "triple", "dense", "conv")),
        *(frozenset({("unit", name), ("reduction", "[4]")}) for name in ("basic", "triple", "conv")),
    }


@pytest.mark.long
@pytest.mark.parametrize("to", ["onnx", "pt2"])
def test_every_pair_of_options_can_be_exported(to: str, tmp_path: Path):
    failed = {}
    for row in covering(AXES, is_valid)[0]:
        largest = differs(untrained(model(row)), to, tmp_path)
        if largest > EXACT:
            failed[str(model(row))] = largest
    assert not failed


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "pt2"])
def test_outputs_of_other_tasks_are_exported_as_they_are(to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Classification, "final", Task.final)
    architecture = dataclasses.replace(
        model({}),
        shortcut="exclusive_gating",
        resize=Resize.zero_pad,
        downsample=Downsample.max_pool,
        bridges=Bridges.stack,
        stem=StemConfig(filters=4, double=True),
        head=HeadConfig(hidden=[8], latent_dim=4),
    )
    trained = untrained(architecture)
    assert trained.final(torch.zeros(1, 2, 16, 12, dtype=torch.uint8)).sum().item() != pytest.approx(1)
    assert differs(trained, to, tmp_path) < EXACT


@pytest.mark.slow
def test_batch_norm_after_a_convolution_is_folded(tmp_path: Path):
    trained = untrained(dataclasses.replace(model({}), activation=Activation.original))
    assert differs(trained, "onnx", tmp_path) < EXACT
    kinds = [node.op_type for node in onnx.load(tmp_path / "network.onnx").graph.node]
    assert kinds.count("Conv") == sum(isinstance(layer, nn.Conv2d) for layer in trained.net.modules())
    assert "BatchNormalization" not in kinds


@pytest.fixture(scope="module")
def exported(finished: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ONNX file of a run."""
    file = tmp_path_factory.mktemp("exported") / "network.onnx"
    assert main([str(finished.directory().path), "--to", "onnx", "--out", str(file)]) == 0
    return file


@pytest.mark.slow
def test_a_program_without_torch_gives_the_same_classes(exported: Path, finished: Lab, tmp_path: Path):
    """The one in the documentation."""
    pixels = read(finished.config().data).test.pixels
    for row, image in enumerate(pixels):
        Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / f"{row}.png")
    [program] = re.findall(r"```python\n(.*?import onnxruntime.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "classify.py").write_text(f"{program}\nassert not {{'torch', 'resnet_lab'}} & sys.modules.keys()\n")
    command = [sys.executable, "classify.py", exported, *(f"{row}.png" for row in range(len(pixels)))]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    expected = Trained.load(finished.directory().path).probabilities(pixels)
    lines = [f"{row}.png: {p.argmax()} ({p.max():.1%})" for row, p in enumerate(expected)]
    assert ended.stdout.splitlines() == lines


@pytest.mark.slow
@pytest.mark.parametrize("to", FORMATS)
def test_all_ways_agree_on_every_kind_of_image(to: str, shell: Shell, pets: Path, pets_run: Path, tmp_path: Path):
    """`predict`, `evaluate`, the exported file and `load_run`, to the last digit that is shown."""
    file = tmp_path / "network"
    assert shell("export", pets_run, "--to", to, "--out", file)[0] == 0
    images = sorted((pets / "test").rglob("*.*"))
    trained = Trained.load(pets_run)
    exported = FORMATS[to].load(file)(np.stack([trained.read(image) for image in images]))
    evaluated = probabilities(trained, images_to_test(pets_run, trained, []))
    loaded = [by_hand(pets_run, image) for image in images]
    _, table, _ = shell("predict", pets_run, pets / "test")
    _, rows, _ = shell("predict", pets_run, pets / "test", "--csv")
    lines, cells = table.splitlines()[1:], list(csv.DictReader(io.StringIO(rows)))
    for each in (exported, evaluated.numpy(), np.array([[own["cat"], own["dog"]] for own in loaded])):
        for values, line, cell in zip(each, lines, cells, strict=True):
            assert line.split()[-3:] == [("cat", "dog")[values.argmax()], f"{100 * values.max():.1f}", "%"]
            assert values.max() == pytest.approx(float(cell["probability"]), abs=1e-6)


@pytest.mark.slow
def test_an_onnx_file_says_what_it_is(exported: Path, finished: Lab):
    [facts] = [json.loads(entry.value) for entry in onnx.load(exported).metadata_props if entry.key == "resnet_lab"]
    assert facts["classes"] == ["0", "1", "2"]
    assert facts["image_shape"] == [3, 8, 8]
    assert facts["crop"] is None
    assert (facts["fit"], facts["background"], facts["range"]) == ("stretch", [255, 255, 255], None)
    assert facts["identity"] == identity(finished.config())
    assert facts["versions"]["torch"] == torch.__version__


@pytest.mark.slow
def test_the_card_says_what_was_trained_and_how_good_it_is(exported: Path, finished: Lab):
    card = exported.with_name(f"{exported.name}.md").read_text()
    run = finished.directory()
    for part in ("val", "test"):
        assert f"| {run.result()['last'][f'{part}_error']:.2f} %" in card
    assert f"{run.result()['params']:,} parameters" in card
    [command] = re.findall(r"```bash\nresnet-lab (.*)\n```", card)
    assert identity(load_config(*shlex.split(command))) == run.result()["identity"]
    assert str(finished.output_dir) not in card  # no folder of this machine
    [program] = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    names = {"pixels": read(finished.config().data).test.pixels[:5]}
    with contextlib.chdir(exported.parent):
        exec(program, names)
    assert names["probabilities"].shape == (5, 3)


@pytest.mark.slow
def test_a_card_that_somebody_has_edited_is_kept(finished: Lab, tmp_path: Path):
    run, out, card = finished.directory().path, tmp_path / "net.pt2", tmp_path / "net.pt2.md"
    export(run, "pt2", out)
    written = card.read_text()
    card.write_text(edited := written.replace("## Limits", "Licence: mine\n\n## Limits"))
    assert "net.pt2.md.new (net.pt2.md was not written by export, or edited since, and is kept)" in export(
        run, "pt2", out
    )
    assert (card.read_text(), (tmp_path / "net.pt2.md.new").read_text()) == (edited, written)
    card.write_text(written)
    export(run, "pt2", out, checkpoint="best")
    assert "best checkpoint" in card.read_text()


@pytest.mark.slow
def test_the_card_of_a_shared_file_claims_no_scores(finished: Lab, tmp_path: Path):
    export(finished.directory().path, "safetensors", shared := tmp_path / "network.safetensors")
    assert "| test |" in (tmp_path / "network.safetensors.md").read_text()
    export(shared, "safetensors", tmp_path / "again.safetensors")
    again = (tmp_path / "again.safetensors.md").read_text()
    assert "| test |" not in again
    assert "No scores are known" in again


@pytest.mark.slow
def test_the_card_of_the_best_epoch_says_how_it_was_chosen(finished: Lab, tmp_path: Path):
    export(finished.directory().path, "safetensors", tmp_path / "best.safetensors", checkpoint="best")
    best = finished.directory().result()["best"]
    chosen = f"| validation, whose minimum chose epoch {best['epoch']} | "
    assert chosen in (tmp_path / "best.safetensors.md").read_text()


@pytest.mark.slow
def test_a_pt2_file_says_what_it_is(finished: Lab, tmp_path: Path):
    said = export(finished.directory().path, "pt2", file := tmp_path / "network.pt2")
    assert re.fullmatch(
        rf"written: {file} \(\d\.\d MB\) and its card, network.pt2.md; probabilities .* by at most \S+", said
    )
    extra = {"resnet_lab.json": ""}
    network = torch.export.load(file, extra_files=extra).module()
    assert json.loads(extra["resnet_lab.json"])["classes"] == ["0", "1", "2"]
    probabilities = network(torch.zeros(3, 3, 8, 8, dtype=torch.uint8))
    assert not probabilities.requires_grad
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(3))


@pytest.mark.slow
def test_a_unit_that_torch_cannot_export_is_one_message():
    class Branching(nn.Identity):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    trained = untrained(model({}))
    trained.net.head.latent = Branching()
    with pytest.raises(ConfigError, match="torch cannot export this network: "):
        to_onnx(trained, {}, PARTS["whole"])
