"""Published weight files: the lab's network computes what the network computes whose weights they are."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.composing import config as load_config
from support.lab import Lab
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lab.config.checks import ConfigError
from resnet_lab.tasks.cost import on_meta
from resnet_lab.tasks.pretrained import identified
from resnet_lab.tasks.published_weights import published_network, their_name

UNITS = (1, 2, 1, 1)
# The lab's settings for the networks below.
SHAPE = ("stacks=four", "model.units=[1,2,1,1]", "filters=w16", "stem=imagenet", "model.stem.filters=8")
ORIGINAL = (*SHAPE, "lineage=torch", "activation=original", "data.image_size=32", "data.num_images=32")
SMALL = (*ORIGINAL, "data.validation=8", "trainer.max_epochs=1", "optim.lr=0.0", "optim.weight_decay=0.0")
KINDS = {"basic": ("unit=basic", "bottleneck=none"), "bottleneck": (), "wide": ("bottleneck=half",)}


class Unit(nn.Module):
    """A residual unit in torchvision's names: BatchNorm after each convolution, the stride in a 3x3 convolution."""

    def __init__(self, in_maps: int, maps: int, width: int | None, stride: int, stride_in: int = 2) -> None:
        super().__init__()
        strides = {n: stride if n == (stride_in if width else 1) else 1 for n in (1, 2, 3)}
        if width:
            shapes = [(in_maps, width, 1), (width, width, 3), (width, maps, 1)]
        else:
            shapes = [(in_maps, maps, 3), (maps, maps, 3)]
        for n, (before, after, kernel) in enumerate(shapes, 1):
            conv = nn.Conv2d(before, after, kernel, strides[n], padding=kernel // 2, bias=False)
            self.add_module(f"conv{n}", conv)
            self.add_module(f"bn{n}", nn.BatchNorm2d(after))
        self.depth = len(shapes)
        self.downsample: nn.Module | None = None
        if in_maps != maps or stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(in_maps, maps, 1, stride, bias=False), nn.BatchNorm2d(maps))

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for n in range(1, self.depth + 1):
            out = self.get_submodule(f"bn{n}")(self.get_submodule(f"conv{n}")(out))
            out = F.relu(out) if n < self.depth else out
        return F.relu(out + (self.downsample(x) if self.downsample else x))


class Published(nn.Module):
    """A ResNet in torchvision's names, with 8 maps in the stem, random weights and random statistics."""

    def __init__(self, kind: str, num_classes: int = 3, stride_in: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        in_maps = 8
        for s, count in enumerate(UNITS):
            maps = 16 << s
            width = {"basic": None, "bottleneck": maps // 4, "wide": maps // 2}[kind]
            inputs = [(in_maps, 2 if s else 1), *[(maps, 1)] * (count - 1)]
            units = [Unit(before, maps, width, stride, stride_in) for before, stride in inputs]
            self.add_module(f"layer{s + 1}", nn.Sequential(*units))
            in_maps = maps
        self.fc = nn.Linear(in_maps, num_classes)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, -0.5, 1.5)
                nn.init.normal_(module.bias)
                nn.init.normal_(module.running_mean)
                nn.init.uniform_(module.running_var, 0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for s in range(len(UNITS)):
            x = self.get_submodule(f"layer{s + 1}")(x)
        return self.fc(x.mean((2, 3)))


def torch_file(folder: Path, weights: Any) -> Path:
    torch.save(weights, folder / "weights.pth")
    return folder / "weights.pth"


def safetensors_file(folder: Path, weights: Any) -> Path:
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder / "model.safetensors"


def without_counts(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in weights.items() if not name.endswith("num_batches_tracked")}


@pytest.mark.parametrize("write", [torch_file, safetensors_file])
@pytest.mark.parametrize("kind", KINDS)
def test_the_networks_are_equal(tmp_path: Path, kind: str, write: Callable[[Path, Any], Path]):
    theirs = Published(kind).double().eval()
    ours = published_network(write(tmp_path, theirs.float().state_dict()))
    assert ours
    images = torch.randn(4, 3, 40, 33, dtype=torch.float64)
    expected, found = theirs.double()(images), ours.double()(images)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    elsewhere = Published(kind, stride_in=1).double().eval()  # as in Caffe, under the same names
    assert torch.equal(elsewhere(images), expected) == (kind == "basic")


@pytest.mark.parametrize(("kind", "classes"), [("basic", 3), ("bottleneck", 2)])
def test_a_run_starts_from_them(lab: Lab, tmp_path: Path, said: pytest.LogCaptureFixture, kind: str, classes: int):
    published = Published(kind)
    file = torch_file(tmp_path, without_counts(published.state_dict()))
    changes = (*SMALL, *KINDS[kind], f"pretrained.run={file}", f"data.num_classes={classes}")
    result = lab.run(*changes)
    assert result["pretrained"]["new"] == ([] if classes == 3 else ["head.classifier"])
    state = lab.checkpoint(*changes)["state_dict"]
    assert torch.equal(state["net.stacks.3.units.0.layers.1.conv.weight"], published.layer4[0].conv2.weight)
    assert torch.equal(state["net.head.classifier.bias"], published.fc.bias) == (classes == 3)
    line = (
        f"params are taken from {file} (published weights){'' if classes == 3 else '; new: head.classifier'}; they were"
    )
    assert f"{line} trained with data.mean=[0.485,0.456,0.406] data.std=[0.229,0.224,0.225]\n" in said.text


def test_their_normalisation_is_not_mentioned_where_it_is_set_and_the_place_does_not_matter(
    lab: Lab, tmp_path: Path, said: pytest.LogCaptureFixture
):
    weights = Published("basic").state_dict()
    same = "data.mean=[0.485,0.456,0.406]", "data.std=[0.229,0.224,0.225]"
    changes = [*SMALL, *KINDS["basic"], *same]
    lab.run(*changes, f"pretrained.run={torch_file(tmp_path, weights)}")
    assert "(published weights)\n" in said.text
    digests = set()
    for file in (torch_file(tmp_path, weights), safetensors_file(tmp_path, weights)):
        digests.add(identified(lab.config(*changes, f"pretrained.run={file}"))[0].pretrained.digest)
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["model.units=[2]"], r"another network: model.units is \[1, 2, 1, 1\] there, \[2, 2, 2, 2\] here$"),
        (["lineage=he"], "model.lineage.stride_on is spatial there, first here$"),
        (["activation=full_preactivation"], "model.activation is original there, full_preactivation here; model.line"),
        (["stem=cifar"], r"model.stem.kernel is 7 there, 3 here; model.stem.pool is True there, False here; .*stride"),
        (["data.channels=1"], "model.in_channels is 3 there, 1 here$"),
        (["pretrained.checkpoint=best"], "holds published weights, of which there is no best checkpoint$"),
    ],
)
def test_another_network_than_that_of_the_run_is_refused(lab: Lab, tmp_path: Path, changes: list[str], message: str):
    file = torch_file(tmp_path, Published("bottleneck").state_dict())
    with pytest.raises(ConfigError, match=f"^pretrained.run: .*{message}"):
        lab.run(*ORIGINAL, f"pretrained.run={file}", *changes)
    assert not lab.output_dir.exists()


class Code:
    """What a pickle file runs when it is read carelessly."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("executed"),)


def cut(folder: Path, weights: Any) -> Path:
    file = torch_file(folder, weights)
    file.write_bytes(file.read_bytes()[:-1000])
    return file


def cut_safetensors(folder: Path, weights: Any) -> Path:
    file = safetensors_file(folder, weights)
    file.write_bytes(file.read_bytes()[:-1000])
    return file


def legacy(folder: Path, weights: Any) -> Path:
    torch.save(weights, folder / "weights.pth", _use_new_zipfile_serialization=False)
    return folder / "weights.pth"


def changed(**tensors: Tensor | None) -> Callable[[Path, Any], Path]:
    """Write a file with other tensors; those that are None are left out."""
    others = {name.replace("_", "."): tensor for name, tensor in tensors.items()}

    def write(folder: Path, weights: Any) -> Path:
        return torch_file(folder, {name: t for name, t in (weights | others).items() if t is not None})

    return write


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (cut, "is damaged, or holds other things than tensors$"),
        (lambda folder, weights: torch_file(folder, weights | {"fc.bias": Code()}), "holds other things than tensors$"),
        (
            lambda folder, weights: torch_file(folder, {"model": weights}),
            "not hold weights by their names: .*model",
        ),
        (lambda folder, weights: torch_file(folder, [*weights.values()]), "does not hold weights by their names"),
        (cut_safetensors, "is no safetensors file, and none of torch.save"),
        (legacy, "is in the format of before torch 1.6: save it again"),
        (changed(conv1_weight=None), "the lab can build: conv1.weight is missing, or has another form$"),
        (changed(layer2_1_bn3_bias=None), "build: layer2.1.bn3.bias is missing$"),
        (changed(layer2_1_se_fc=torch.zeros(1)), "build: layer2.1.se.fc is left over$"),
        (changed(layer2_1_downsample_0_weight=torch.zeros(1)), "build: layer2.1.downsample.0.weight is left over$"),
        (
            changed(layer1_0_conv2_weight=torch.zeros(4, 2, 3, 3)),  # in two groups, as ResNeXt's
            r"layer1.0.conv2.weight must be dense, torch.float32 \(4, 4, 3, 3\), got torch.float32 \(4, 2, 3, 3\)$",
        ),
        (changed(fc_bias=torch.zeros(3).half()), r"fc.bias .*torch.float32 \(3,\), got torch.float16 \(3,\)$"),
        (changed(fc_bias=torch.zeros(3).to_sparse()), "fc.bias must be dense"),
        (changed(fc_bias=torch.zeros(3, device="meta")), "fc.bias must be dense"),
        (changed(layer1_0_conv1_weight=torch.zeros(32, 8, 1, 1)), "model.reduction must be positive whole numbers"),
        (changed(fc_weight=torch.zeros(1).expand(10**6, 10**6)), "is smaller than its tensors$"),
    ],
)
def test_a_file_of_another_kind_is_refused_in_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, Any], Path], message: str
):
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path, Published("bottleneck").state_dict())
    with pytest.raises(ConfigError, match=f"^{re.escape(str(file))} .*{message}") as refused:
        published_network(file)
    assert "\n" not in str(refused.value)
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("changes", "params"),  # of torchvision's models, as its documentation counts them
    [
        (["+experiment=imagenet_18"], 11_689_512),
        (["+experiment=imagenet_34"], 21_797_672),
        (["+experiment=imagenet_50"], 25_557_032),
        (["+experiment=imagenet_101"], 44_549_160),
        (["+experiment=imagenet_152"], 60_192_808),
        (["+experiment=imagenet_50", "bottleneck=half"], 68_883_240),
        (["+experiment=imagenet_101", "bottleneck=half"], 126_886_696),
    ],
)
def test_the_experiments_have_the_size_of_the_published_networks(changes: list[str], params: int):
    net = on_meta(load_config(*changes, "activation=original"))
    assert sum(parameter.numel() for parameter in net.parameters()) == params
    names = [their_name(name) for name in net.state_dict()]
    assert len(set(names)) == len(names)
