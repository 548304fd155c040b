"""Start from a trained network: what is taken from it, and what is new."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from resnet_lab.config.canonical import architecture
from resnet_lab.config.checks import ConfigError, require
from resnet_lab.config.enums import Labels, ReconstructionLoss, Weights
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.pretrained import PretrainedConfig
from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.config.stored import to_dict
from resnet_lab.data import fingerprint
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.rundir.images import DataFacts
from resnet_lab.tasks.cost import on_meta
from resnet_lab.tasks.load import load_with_classes, weights_digest
from resnet_lab.tasks.published_weights import MEAN, STD, published_network

OUTPUTS = "head.classifier"  # the layer that has an output for each class
IMAGE = "decoder.exit.conv."  # the layer that gives images: new if they are logits in one network only
# Settings of the network that may differ: outputs are compared by class names, the others concern only random weights.
MAY_DIFFER = ("num_classes", "lineage.init", "gate_bias")
# What may differ between a network with a decoder and one without, which share the encoder.
ENDS = ("head.", "decoder.", "image_size")


@dataclass(frozen=True, slots=True)
class Origin:
    """A trained network, and a digest of all that a run takes from it."""

    net: ResNetV2
    task: str  # "" for published weights, whose labels are classes
    classes: tuple[str, ...]  # empty if they are not known, or labels are not classes
    digest: str
    gives_logits: bool = False  # of the pixels of images

    @property
    def is_published(self) -> bool:
        """Whether the weights are those of others, for images normalised as those of ImageNet."""
        return not self.task


_known: dict[tuple[str | None, str], Origin] = {}  # by run and checkpoint, until `look_again`


def look_again() -> None:
    """Forget all images and trained networks, since files may have changed."""
    fingerprint.look_again()
    _known.clear()


def identified(config: Config) -> tuple[Config, DataFacts | None]:
    """Return a configuration with the fingerprint of its images and the digest of its pretrained weights.

    The facts are those of the user's own images. Raises ConfigError when images or weights cannot be used, or are not
    those that the configuration names.
    """
    config, facts = fingerprint.identified(config)
    chosen = config.pretrained
    if not chosen.active:
        return config, facts
    trained = _trained(chosen)
    if chosen.digest not in (None, trained.digest):
        raise ConfigError(
            f"pretrained.digest={chosen.digest}, but the weights of {chosen.run} have digest {trained.digest}: they "
            "are other weights. Omit pretrained.digest to use them"
        )
    _refuse_other_architecture(trained.net.config, config.model, str(chosen.run))
    _refuse_unknown_parts(config)
    return replace(config, pretrained=replace(chosen, digest=trained.digest)), facts


@dataclass(frozen=True, slots=True)
class Pretrained:
    """What a run takes from a trained network: tensors by name. The layers in `new` start from random weights."""

    config: PretrainedConfig
    weights: dict[str, Tensor]
    new: tuple[str, ...]
    note: str

    @classmethod
    def of(cls, config: Config, classes: Sequence[str]) -> "Pretrained | None":
        """Return what a run with these classes takes; None if it starts from random weights.

        Layers are taken by name. The output layer is new if the classes or the task differ. Raises ConfigError if a new
        layer would be frozen.
        """
        if not config.pretrained.active:
            return None
        trained, state = _trained(config.pretrained), on_meta(config).state_dict()
        stored = trained.net.state_dict()
        new = {_layer(name) for name in state if name not in stored or stored[name].shape != state[name].shape}
        same_classes = not trained.classes or trained.classes == tuple(classes)
        classifies = TASKS.info(config.task).labels is Labels.classes
        same_task = classifies if trained.is_published else config.task == trained.task
        same_outputs = same_task and same_classes
        if not same_outputs and config.model.num_classes:
            new.add(OUTPUTS)
        if trained.gives_logits != _gives_logits(config):
            new |= {_layer(name) for name in state if name.startswith(IMAGE)}
        for part in config.pretrained.freeze:
            if inside := [layer for layer in sorted(new) if f"{layer}.".startswith(f"{part}.")]:
                raise ConfigError(f"pretrained.freeze: {part} cannot stay as it is, since {inside[0]} is new")
        weights = {name: tensor for name, tensor in stored.items() if name in state and _layer(name) not in new}
        parameters = dict(trained.net.named_parameters())
        count = sum(parameters[name].numel() for name in weights if name in parameters)
        which = "published weights" if trained.is_published else config.pretrained.checkpoint.value
        note = f"{count:,} params are taken from {config.pretrained.run} ({which})"
        if new:
            why = "" if same_outputs else f", since the {_difference(trained, config, classes)}"
            note += f"; new: {', '.join(sorted(new))}{why}"
        if trained.is_published and (config.data.mean, config.data.std) != (MEAN, STD):
            note += f"; they were trained with data.mean={_list(MEAN)} data.std={_list(STD)}"
        return cls(config.pretrained, weights, tuple(sorted(new)), note)

    def record(self) -> dict[str, Any]:
        """Return what checkpoints and result.json store about it."""
        return to_dict(self.config) | {"new": list(self.new)}

    def apply(self, net: nn.Module) -> None:
        """Load the weights that are taken into a network."""
        net.load_state_dict(self.weights, strict=False)


def freeze(net: nn.Module, parts: Sequence[str]) -> None:
    """Exclude the parameters of these parts from training."""
    for part in parts:
        net.get_submodule(part).requires_grad_(False)


def lr_factors(net: nn.Module, config: PretrainedConfig, new: Sequence[str]) -> dict[str, float]:
    """Return the factor of the learning rate for each parameter that is taken, by name; {} if the factor is 1."""
    if not config.active or config.lr_factor == 1:
        return {}
    return {name: config.lr_factor for name, _ in net.named_parameters() if _layer(name) not in new}


def _trained(chosen: PretrainedConfig) -> Origin:
    key = chosen.run, chosen.checkpoint.name
    if key not in _known:
        try:
            _known[key] = _load(Path(chosen.run or "").expanduser(), chosen.checkpoint)
        except ConfigError as error:
            raise ConfigError(f"pretrained.run: {error}") from error
    return _known[key]


def _load(path: Path, checkpoint: Weights) -> Origin:
    if net := published_network(path):
        require(
            checkpoint is Weights.last,
            f"{path} holds published weights, of which there is no {checkpoint.name} checkpoint",
        )
        return Origin(net, "", (), weights_digest(net, ["", ()]))
    config, net, classes = load_with_classes(path, checkpoint.name)
    return Origin(net, config.task, classes, weights_digest(net, [config.task, classes]), _gives_logits(config))


def _refuse_other_architecture(there: ModelConfig, here: ModelConfig, run: str) -> None:
    one, other = architecture(there), architecture(here)
    ends = () if there.decodes == here.decodes else ENDS
    differing = []
    for name in sorted((one.keys() | other.keys()) - set(MAY_DIFFER)):
        if name.startswith(ends):
            continue
        theirs, ours = one.get(name, "not used"), other.get(name, "not used")
        if theirs != ours:
            differing.append(f"model.{name} is {theirs} there, {ours} here")
    if differing:
        raise ConfigError(f"pretrained.run: {run} holds another network: {'; '.join(differing)}")


def _refuse_unknown_parts(config: Config) -> None:
    net = on_meta(config)
    parts = [name for name, module in net.named_modules() if name and any(True for _ in module.parameters())]
    for part in config.pretrained.freeze:
        if part not in parts:
            large = [name for name in parts if re.fullmatch(r"\w+|stacks\.\w+", name)]
            raise ConfigError(
                f"pretrained.freeze: there is no part {part}; choose from {', '.join(large)}, or parts of these"
            )
    freeze(net, config.pretrained.freeze)
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise ConfigError("pretrained.freeze leaves nothing to train: omit head")


def _gives_logits(config: Config) -> bool:
    return config.model.decodes and config.reconstruction.loss is ReconstructionLoss.bce


def _layer(name: str) -> str:
    """Return the layer to which a tensor belongs."""
    return name.rpartition(".")[0]


def _difference(trained: Origin, config: Config, classes: Sequence[str]) -> str:
    if trained.is_published:
        return "published weights are for classes"
    if trained.task != config.task:
        return f"task was {trained.task}"
    if len(trained.classes) != len(classes):
        return f"network was trained with {len(trained.classes)} classes"
    return f"classes have other names ({trained.classes[0]}, … before, {classes[0]}, … now)"


def _list(values: Sequence[float]) -> str:
    """Return numbers as on the command line."""
    return f"[{','.join(map(str, values))}]"
