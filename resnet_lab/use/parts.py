"""What is exported: a whole network from pixels to what its task makes of them, or one half of an autoencoder."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from resnet_lab.config.checks import require
from resnet_lab.data.images import normalised, per_channel
from resnet_lab.model.autoencoder import Autoencoder
from resnet_lab.use.trained import Trained


class Whole(nn.Module):
    """A network with its normalisation and what its task makes of outputs: uint8 pixels (B, C, H, W) → (B, …).

    Of series, values in float32 (B, C, L) take the place of pixels.
    """

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.net, self.task = trained.net, trained.task
        dims, normalise = trained.config.data.dims, trained.normalise
        self.mean_C11, self.std_C11 = (
            nn.Buffer(per_channel(values, dims)) for values in (normalise.mean, normalise.std)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        return self.task.final(self.net(normalised(pixels, self.mean_C11, self.std_C11)))


class Encoder(Whole):
    """Uint8 pixels (B, C, H, W) → latent vectors (B, latent_dim), or maps (B, latent_dim, h, w)."""

    def forward(self, pixels: Tensor) -> Tensor:
        assert isinstance(self.net, Autoencoder)
        return self.net.encode(normalised(pixels, self.mean_C11, self.std_C11))


class Decoder(nn.Module):
    """Latent vectors or maps → pixels in 0…1, float32 (B, C, H, W)."""

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        assert isinstance(trained.net, Autoencoder)
        self.decoder, self.task = trained.net.decoder, trained.task

    def forward(self, latent: Tensor) -> Tensor:
        return self.task.final(self.decoder(latent))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a network: the module that computes it, the names of its input and output, and its own values."""

    module: type[nn.Module]
    input: str  # pixels or latent, as the module's forward calls it
    output: str  # "": what the task calls it
    expected: Callable[[Trained, Tensor], Tensor]

    def inputs(self, trained: Trained, pixels_BCHW: Tensor) -> Tensor:
        """Return inputs of the part for uint8 pixels."""
        return trained.encode(pixels_BCHW) if self.input == "latent" else pixels_BCHW

    def output_of(self, trained: Trained) -> str:
        return self.output or trained.final_name


PARTS = {
    "whole": Part(Whole, "pixels", "", Trained.final),
    "encoder": Part(Encoder, "pixels", "latent", Trained.encode),
    "decoder": Part(Decoder, "latent", "pixels", Trained.decode),
}


def part_of(trained: Trained, name: str) -> Part:
    """Return the part of a network. Raises ConfigError if the network has no such part."""
    require(
        name == "whole" or isinstance(trained.net, Autoencoder),
        f"--part {name}: task={trained.config.task} has neither encoder nor decoder: leave it out",
    )
    return PARTS[name]
