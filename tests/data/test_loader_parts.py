"""What several processes are given of each mini-batch is, together, what one process is given."""

import numpy as np
import pytest
import torch
from support.composing import config as load_config

from resnet_lab.data.images import Normalisation
from resnet_lab.data.loader import EvalLoader, TrainLoader
from resnet_lab.data.sources import Images
from resnet_lab.data.stores import OnDevice
from resnet_lab.training.ranks import Ranks

COUNT, SIZE = 45, 12
PIXELS = np.random.default_rng(0).integers(0, 256, (COUNT, 3, 8, 8), dtype=np.uint8)
IMAGES = OnDevice(Images(PIXELS, np.arange(COUNT)), torch.device("cpu"))
NORMALISE = Normalisation((0.5,) * 3, (0.25,) * 3)
SHAPE = ("data=fake", "data.image_size=8", "stacks=two", f"data.num_classes={COUNT}", f"optim.batch_size={SIZE}")
NOISE = ("task=reconstruction", "head=latent_flat", "data.corrupt.kind=gaussian", "augment=none")
Calls = list[list[torch.Tensor]]


def epoch(ranks: Ranks, steps: int, *overrides: str) -> Calls:
    config = load_config(*SHAPE, *overrides)
    return [[*call] for call in TrainLoader(IMAGES, np.arange(COUNT), NORMALISE, config, steps, ranks.part)]


def validation(ranks: Ranks, *overrides: str) -> Calls:
    config = load_config(*SHAPE, "trainer.eval_batch_size=10", *overrides)
    return [[*call] for call in EvalLoader(IMAGES, np.arange(COUNT), NORMALISE, config, ranks.part)]


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("choice", ["augment=standard", "augment=[jitter,cutout]", "augment=[mixup,cutmix]", "noise"])
def test_parts_make_up_the_mini_batches(size: int, steps: int, choice: str) -> None:
    overrides = NOISE if choice == "noise" else (choice,)
    of_ranks = [epoch(Ranks(rank, size), steps, *overrides) for rank in range(size)]
    for number, whole in enumerate(epoch(Ranks(), steps, *overrides)):
        for rank, calls in enumerate(of_ranks):
            for own, batches in zip(calls[number], whole, strict=True):
                expected = torch.cat([batch[rank::size] for batch in batches.split(SIZE)])
                torch.testing.assert_close(own, expected, rtol=0, atol=0)


@pytest.mark.parametrize("size", [2, 3, 50])
@pytest.mark.parametrize("overrides", [(), NOISE])
def test_each_image_is_validated_once(size: int, overrides: tuple[str, ...]) -> None:
    whole = [torch.cat(parts) for parts in zip(*validation(Ranks(), *overrides), strict=True)]
    own = [call for rank in range(size) for call in validation(Ranks(rank, size), *overrides)]
    for parts, expected in zip(zip(*own, strict=True), whole, strict=True):
        together = torch.cat(parts).flatten(1) if expected.ndim > 1 else torch.cat(parts)[:, None]
        expected = expected.flatten(1) if expected.ndim > 1 else expected[:, None]
        assert sorted(together.tolist()) == sorted(expected.tolist())
