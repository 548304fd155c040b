"""What holds for every augmentation: it changes each image in its own way, in any layout, dtype and grouping."""

import numpy as np
import pytest
import torch
from support.augmenting import CHOICES, NORMALISE, OPTIONS, SERIES, applied, only, pictures
from support.composing import config as load_config

from resnet_lab.config.canonical import canonical
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.registry import AUGMENTATIONS, TASKS
from resnet_lab.config.tasks import TaskInfo
from resnet_lab.data.images import Normalisation
from resnet_lab.data.loader import TrainLoader
from resnet_lab.data.sources import Images
from resnet_lab.data.stores import OnDevice
from resnet_lab.rundir.identity import identity
from resnet_lab.rundir.place import directory_name

MIXING = ("mixup", "cutmix")


def test_each_augmentation_has_an_option_of_its_name() -> None:
    assert set(OPTIONS) == set(AUGMENTATIONS)
    made = {name: only(name, *(() if name in CHOICES else SERIES)) for name in OPTIONS}
    assert all(type(one).__name__.lower().startswith(name.replace("_", "")) for name, one in made.items())


@pytest.mark.parametrize("choice", [*(name for name in CHOICES if name not in ("flip", *MIXING)), "crop,reflect"])
def test_equal_images_all_become_different(choice: str) -> None:
    """But for those of the same draw, few here, and those that stay by chance."""
    images = NORMALISE(pictures(1).repeat(64, 1, 1, 1))
    changed, _ = applied(only(choice), images)
    least = {"erasing": 20, "crop": 40, "crop,reflect": 40, "trivial": 45}.get(choice, 50)
    assert len(changed.flatten(1).unique(dim=0)) >= least


@pytest.mark.parametrize("choice", CHOICES)
def test_dtype_and_layout_do_not_matter(choice: str) -> None:
    images, labels = NORMALISE(pictures(16)), torch.arange(16) % 10
    changed, targets = applied(only(choice), images, labels)
    assert (changed.dtype, changed.shape) == (images.dtype, images.shape)
    assert targets.shape == ((16, 10) if choice in MIXING else (16,))
    nhwc, _ = applied(only(choice), images.contiguous(memory_format=torch.channels_last), labels)
    double, _ = applied(only(choice), images.double(), labels)
    assert torch.equal(nhwc, changed)
    assert double.dtype == torch.float64
    # A pixel at the edge of a level, or between two, may go to either side.
    assert ((double - changed).abs() > 1e-4).double().mean() < 1e-3


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 1), (3, 2)])
def test_grey_and_tiny_images_work(choice: str, channels: int, size: int) -> None:
    shape = (f"data.channels={channels}", f"data.image_size={size}", "stacks=one")
    augmentation = only(choice, "data=fake", *shape, normalise=Normalisation((0.5,) * channels, (0.25,) * channels))
    images = torch.randn(8, channels, size, size)
    changed, _ = applied(augmentation, images)
    assert changed.shape == images.shape
    assert changed.isfinite().all()


def loader(steps: int, *overrides: str) -> TrainLoader:
    shape = ("data=fake", "data.image_size=8", "stacks=two", "data.num_classes=40", "optim.batch_size=16")
    images = OnDevice(Images(pictures(40, size=8).numpy(), np.arange(40)), torch.device("cpu"))
    return TrainLoader(images, np.arange(40), NORMALISE, load_config(*shape, *overrides), steps)


@pytest.mark.parametrize("choice", [*CHOICES, "mixup,cutmix,cutout,rand,jitter"])
def test_batches_are_the_same_however_many_a_call_has_and_wherever_a_run_continues(choice: str) -> None:
    one, many = loader(1, f"augment=[{choice}]"), loader(2, f"augment=[{choice}]")
    for epoch in (1, 0):  # in another order than a run that is not interrupted
        one.set_epoch(epoch)
        many.set_epoch(epoch)
        for index in (0, 1):
            assert torch.equal(*(torch.cat([batch[index] for batch in own]) for own in (one, many)))
    first = next(iter(loader(1, f"augment=[{choice}]")))
    assert torch.equal(first[0], next(iter(one))[0])


def test_what_is_inactive_does_not_count_and_draws_nothing() -> None:
    config = load_config("data=cifar10")
    used = [name for name in canonical(config) if name.startswith("augment.")]
    assert used == ["augment.crop.pad", "augment.flip.p"]  # as before there were others
    assert identity(config) == identity(load_config("data=cifar10", "augment.mixup.p=0.5", "augment.rand.magnitude=3"))
    assert identity(config) != identity(load_config("data=cifar10", "augment=mixup"))
    plain, other = (next(iter(loader(3, f"augment.erasing.area=[0.1,{most}]"))) for most in (0.2, 0.3))
    assert torch.equal(plain[0], other[0])


def test_names_of_runs_tell_paddings_apart_from_either_base() -> None:
    zero, reflect = load_config("data=cifar10"), load_config("data=cifar10", "augment=reflect")
    assert directory_name(reflect, zero) == "units-n2_crop.padding-reflect"
    assert directory_name(zero, reflect) == "units-n2_crop.padding-zero"
    assert directory_name(reflect, reflect) == directory_name(zero, zero) == "units-n2"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["augment.shift.x=1.5"], "augment.shift.x must be at most 1, got 1.5"),
        (["augment.jitter.contrast=-1"], "augment.jitter.contrast must be at least 0, got -1.0"),
        (["augment.rand.magnitude=31"], "augment.rand.magnitude must be at most 30, got 31"),
        (["augment.rand.n=-1"], "augment.rand.n must be at least 0, got -1"),
        (["augment.trivial.p=2"], "augment.trivial.p must be a probability in [0, 1], got 2.0"),
        (["augment.cutout.length=-4"], "augment.cutout.length must be at least 0, got -4"),
        (["augment.erasing.p=nan"], "augment.erasing.p must be a probability in [0, 1], got nan"),
        (
            ["augment.erasing.area=[0.5,0.2]"],
            "augment.erasing.area must be two numbers, [least,most], above 0 and at most 1, got [0.5, 0.2]",
        ),
        (["augment.erasing.ratio=[0,3]"], "augment.erasing.ratio must be two numbers, [least,most], above 0, got"),
        (["augment.erasing.value=red"], "augment.erasing.value must be one of zero, colour, noise, got red"),
        (
            ["augment.mixup.alpha=-1"],
            "augment.mixup.alpha must be 0.001 to 1000, or 0 to switch mixup off, got -1.0",
        ),
        (["augment.cutmix.p=-0.1"], "augment.cutmix.p must be a probability in [0, 1], got -0.1"),
        (["augment.crop.padding=same"], "augment.crop.padding must be one of zero, reflect, got same"),
        (
            ["augment=reflect", "augment.crop.pad=8"],
            "augment.crop.padding=reflect mirrors at most 7 pixels of these images, but augment.crop.pad is 8",
        ),
        *(
            (
                [f"augment={name}", "data=fake", "data.channels=4"],
                f"augment.{name} needs grey or RGB images, but data.channels is 4: leave it off",
            )
            for name in ("jitter", "rand", "trivial")
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_message(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(*overrides)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", MIXING)
def test_a_task_without_classes_takes_no_mixed_labels(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS._entries, "other", (None, TaskInfo(help="numbers", score="distance", figures=())))
    with pytest.raises(ConfigError, match=rf"^augment\.{name} mixes labels, which needs classes, but task=other has"):
        load_config(f"augment={name}", "task=other")
