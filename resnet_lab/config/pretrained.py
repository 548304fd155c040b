"""Settings of a run that starts from a trained network."""

from dataclasses import dataclass

from resnet_lab.config.checks import require, require_bounded, require_within
from resnet_lab.config.enums import Weights
from resnet_lab.config.fields import setting


@dataclass(slots=True, kw_only=True)
class PretrainedConfig:
    """The trained network, and how its parts are trained further. It is identified by its weights, not by its path."""

    run: str | None = setting(None, identity=False)  # its run directory; None: start from random weights
    checkpoint: Weights = setting(Weights.last, identity=False)
    digest: str | None = None  # of its weights and classes; None: computed from them
    # Parts of the network, such as stem or stacks.0, whose parameters and BatchNorm statistics stay as they are.
    freeze: list[str] = setting(factory=list, canonical=lambda pretrained: sorted(set(pretrained.freeze)))
    lr_factor: float = 1.0  # multiplies the learning rate of what is taken from the trained network

    def __post_init__(self) -> None:
        require_bounded(self, "pretrained.")
        require_within(self, "pretrained", lr_factor=(0, 10**6))
        others = {"digest": self.digest, "freeze": self.freeze, "lr_factor": self.lr_factor != 1}
        for name, value in others.items():
            require(self.active or not value, f"pretrained.{name} needs a trained network: set pretrained.run=…")

    @property
    def active(self) -> bool:
        return self.run is not None
