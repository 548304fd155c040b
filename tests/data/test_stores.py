"""The same batches wherever pixels are kept, parts of whole images, and what is refused."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from scipy import stats
from support.augmenting import only
from support.composing import config as load_config
from support.pictures import photographs, save

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.schema import Config
from resnet_lab.config.storage import Store
from resnet_lab.data import kept, stores
from resnet_lab.data.ahead import ahead
from resnet_lab.data.augment import ScaleCrop
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.file_pixels import FilePixels
from resnet_lab.data.listing import list_images
from resnet_lab.data.loader import Batch, EvalLoader, TrainLoader
from resnet_lab.data.sources import Images, read
from resnet_lab.data.stores import InFiles, choice, store_of
from resnet_lab.training.advice import advice

CPU = torch.device("cpu")
COUNTS = {"train/a": 50, "train/b": 31, "test/a": 7, "test/b": 5}


@pytest.fixture(autouse=True)
def use_cache(cache: Path) -> None:
    """No test decodes into the cache of the user who runs it."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photographs(tmp_path_factory.mktemp("photographs"), COUNTS)


def settings(root: Path, *overrides: str) -> Config:
    list_images.cache_clear()
    own = ("data=image_folder", f"data.root={root}", "data.image_size=24", "data.num_classes=2", "stacks=two")
    return load_config(*own, "optim.batch_size=16", "trainer.eval_batch_size=10", *overrides)


def loaders(config: Config, steps: int = 1) -> tuple[TrainLoader, EvalLoader, EvalLoader]:
    data = ImageData(config, steps)
    train, test = (store_of(part, config.data, CPU) for part in (data.source.train, data.source.test))
    return (
        TrainLoader(train, data.train_rows, data.normalise, data.config, steps),
        EvalLoader(train, data.validation_rows, data.normalise, data.config),
        EvalLoader(test, data.test_rows, data.normalise, data.config),
    )


def batches(config: Config, steps: int = 1) -> Iterator[Batch]:
    """Those of two epochs, of the validation and of the test."""
    train, *others = loaders(config, steps)
    for epoch in range(2):
        train.set_epoch(epoch)
        yield from train
    for loader in others:
        yield from loader


@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
@pytest.mark.parametrize(
    "changes", [["data.store=host"], *(["data.store=files", f"data.workers={n}"] for n in (0, 1, 2))]
)
def test_all_stores_give_the_same_batches(root: Path, changes: list[str], fit: str) -> None:
    common = ("augment=[resized_crop,jitter,mixup]", f"data.fit={fit}")
    for steps in (1, 3):
        known = batches(settings(root, "data.store=device", *common), steps)
        for ours, theirs in zip(batches(settings(root, *changes, *common), steps), known, strict=True):
            assert all(map(torch.equal, ours, theirs))


def test_batches_of_several_chunks_are_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers decode a few images at a time, and a batch may end within these."""
    known = [*batches(settings(root), 2)]
    monkeypatch.setattr(stores, "CHUNK", 5)
    for ours, theirs in zip(batches(settings(root, "data.store=files"), 2), known, strict=True):
        assert all(map(torch.equal, ours, theirs))


def test_an_epoch_of_fewer_mini_batches_is_the_same(root: Path) -> None:
    known = batches(settings(root, "trainer.max_batches=2"))
    for ours, theirs in zip(batches(settings(root, "trainer.max_batches=2", "data.store=files")), known, strict=True):
        assert all(map(torch.equal, ours, theirs))


def test_decoding_ahead_leaves_the_random_numbers_of_torch_alone(root: Path) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert len([*batches(settings(root, "data.store=files"))]) > 3
    assert torch.equal(torch.get_rng_state(), before)


# --- parts of whole images


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """Images of 400 × 100 pixels, so that their centre is a quarter of them."""
    row, column = np.mgrid[0:100, 0:400]
    pixels = np.stack([column / 400 * 255, row / 100 * 255, 0 * row], axis=2).astype(np.uint8)
    for part, count in {"train": 300, "test": 4}.items():
        for number in range(count):
            save(tmp_path / "wide" / part / f"{number % 2}" / f"{number}.png", pixels)
    return tmp_path / "wide"


def seen(wide: Path, *overrides: str) -> tuple[np.ndarray, np.ndarray]:
    """Left and right edge of what training images show, as shares of the width, from the slope of their red."""
    whole = ("data.fit=crop", "data.validation=0", "data.mean=[0,0,0]", "data.std=[1,1,1]")
    train, *_ = loaders(settings(wide, *whole, *overrides))
    red_BHW = torch.cat([images for images, _ in train])[:, 0].numpy()
    first, last = red_BHW[:, 12, 6], red_BHW[:, 12, -7]  # away from the edges, which nothing blurs there
    slope = (last - first) / 11
    return first - 6.5 * slope, last + 6.5 * slope


def test_parts_are_cut_out_of_whole_images(wide: Path) -> None:
    left, right = seen(wide, "augment=[none,resized_crop]")
    assert left.min() > 0.36  # of the centre, 0.375 to 0.625
    assert right.max() < 0.64
    left, right = seen(wide, "augment=[none,resized_crop]", "data.whole=true")
    assert left.min() < 0.1
    assert right.max() > 0.9
    assert (right - left).max() < 0.34  # as high as the image, with a ratio of 4 : 3


def test_whole_images_are_scaled_before_they_are_cropped(wide: Path) -> None:
    """To a shorter side of 48 to 96 pixels, of which 24 are seen: a quarter to a half of the height."""
    scaled = ("augment=[none,scale_crop]", "augment.scale_crop.shorter=[48,96]")
    left, right = seen(wide, *scaled, "data.whole=true")
    assert left.min() < 0.05
    assert right.max() > 0.95
    crop = only("scale_crop", "data.image_size=24", *scaled[1:])
    assert isinstance(crop, ScaleCrop)
    boxes = crop.boxes(np.random.default_rng(0), np.tile([100, 400], (20_000, 1)))
    left, top, right, bottom = boxes.T
    np.testing.assert_allclose(right - left, bottom - top)
    shorter = 2400 / (right - left)
    np.testing.assert_allclose(shorter, shorter.round())
    assert stats.chisquare(np.bincount(shorter.round().astype(int) - 48, minlength=49)).pvalue > 1e-3
    for first, side in ((top, 100), (left, 400)):
        offsets = first * shorter / 100  # whole pixels of the scaled image, all equally likely
        np.testing.assert_allclose(offsets, offsets.round(), atol=1e-6)
        places = (side * shorter / 100).astype(int) - 24 + 1
        rng = np.random.default_rng(1)
        assert stats.kstest((offsets.round() + rng.random(len(offsets))) / places, stats.uniform().cdf).pvalue > 1e-3
    assert (left >= 0).all()
    assert (right <= 400 + 1e-9).all()


def test_the_pixels_of_a_part_are_those_of_pillow(root: Path) -> None:
    source = read(settings(root, "data.store=files").data)
    pixels = source.train.pixels
    assert isinstance(pixels, FilePixels)
    parts = np.array([[3.5, 2, 30.25, 33], [np.nan] * 4, [0, 0, *pixels.sizes[80][::-1]]])
    found = pixels.read(np.array([1, 1, 80]), parts)
    files = sorted((root / "train").rglob("*.png"), key=lambda path: (path.parent.name, path.name))
    for row, box, own in ((1, tuple(parts[0]), found[0]), (1, None, found[1]), (80, None, found[2])):
        with Image.open(files[row]) as image:
            known = np.asarray(image.resize((24, 24), Image.Resampling.BILINEAR, box=box))
        assert np.array_equal(own, known.transpose(2, 0, 1))


@pytest.mark.parametrize("quality", ["95", "null"])
def test_parts_of_a_pack_are_those_of_smaller_images(root: Path, quality: str) -> None:
    config = settings(root, "data.pack.side=30", f"data.pack.quality={quality}")
    pixels = read(config.data).train.pixels
    assert isinstance(pixels, FilePixels)
    assert (pixels.sizes.min(axis=1) == 30).all()
    files = sorted((root / "train").rglob("*.png"), key=lambda path: (path.parent.name, path.name))
    box = (1.0, 2.0, 25.5, 28.0)
    found, centre = pixels.read(np.array([9, 9]), np.array([box, [np.nan] * 4]))
    with Image.open(files[9]) as image:
        size = [30 * side // min(image.size) for side in image.size]
        small = image.resize(size, Image.Resampling.BILINEAR)
    for own, known in (
        (found, small.resize((24, 24), Image.Resampling.BILINEAR, box=box)),
        (centre, small.resize((24, 24), Image.Resampling.BILINEAR)),
    ):
        most = 0 if quality == "null" else 12
        assert np.abs(own.astype(int) - np.asarray(known).transpose(2, 0, 1)).max() <= most


# --- what is known of images, and where they are kept


@pytest.mark.parametrize(
    "changes", [[], ["data.store=files"], ["data.fit=crop", "data.resize_to=1.2", "data.store=files"]]
)
def test_mean_and_std_are_those_of_the_decoded_images(root: Path, changes: list[str]) -> None:
    data = ImageData(settings(root, *changes))
    shares = np.asarray(data.source.train.pixels[data.train_rows], np.float64) / 255
    assert data.normalise.mean == pytest.approx(shares.mean(axis=(0, 2, 3)), rel=1e-12)
    assert data.normalise.std == pytest.approx(shares.std(axis=(0, 2, 3)), rel=1e-9)


def test_mean_and_std_of_a_pack_are_those_of_its_pixels(root: Path) -> None:
    """Larger images have more of them."""
    data = ImageData(settings(root, "data.pack.side=30", "data.pack.quality=null"))
    pixels = data.source.train.pixels
    assert isinstance(pixels, FilePixels)
    values = np.concatenate([np.asarray(pixels.decode(row)).reshape(-1, 3) for row in data.train_rows.tolist()]) / 255
    assert data.normalise.mean == pytest.approx(values.mean(axis=0), rel=1e-12)
    assert data.normalise.std == pytest.approx(values.std(axis=0), rel=1e-9)


def test_auto_looks_for_what_fits(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings(root)
    images = read(config.data).train
    assert choice(images, config.data, on_gpu=False) == (Store.device, "160.7 kB fit")
    for free, store, why in (
        (400_000, Store.device, "160.7 kB fit"),
        (300_000, Store.host, "160.7 kB would fill more than half of the GPU's free memory"),
    ):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda free=free: (free, free))
        assert choice(images, config.data, on_gpu=True) == (store, why)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (90_000, 90_000))
    on_device = settings(root, "data.store=device").data
    with pytest.raises(ConfigError, match=r"data\.store=device: the pixels need 160\.7 kB, .* has only 90\.0 kB left"):
        choice(images, on_device, on_gpu=True)


def test_images_that_fill_the_memory_stay_in_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = kept.psutil.virtual_memory()._replace(total=100_000)
    monkeypatch.setattr(kept.psutil, "virtual_memory", lambda: memory)
    config = settings(root)
    images = read(config.data).train
    assert choice(images, config.data, on_gpu=False) == (Store.files, "160.7 kB do not fit into memory")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=digits", "data.store=files"], "data.store=files needs images that are a file each"),
        (["data=digits", "data.whole=true", "augment=resized_crop"], "data.whole=true needs im"),
        (["data.pack.side=20"], "data.pack.side must be at least the 24 pixels of data.image_size, got 20"),
        (["data.fit=crop", "data.resize_to=40", "data.pack.side=30"], "at least the 40 pixels of data.resize_to"),
        (["data.pack.side=30", "data.channels=4"], "JPEG has no alpha channel, but data.channels is 4: set data"),
        (["data.pack.side=30", "data.store=host"], "data.pack.side=30 needs data.store=files or auto, got host"),
        (["data.whole=true"], "data.whole=true is about the parts that augment.resized_crop or augment.scale_crop cut"),
        (["augment=[resized_crop,scale_crop]"], "augment.resized_crop and augment.scale_crop both choose a part"),
        (["augment.scale_crop.p=1", "augment.scale_crop.shorter=[20,30]"], "begins at 20 pixels, less than the 24"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(root: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        settings(root, *overrides)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    root = photographs(tmp_path / "images", COUNTS)
    config = settings(root, "data.store=files", "data.workers=1")
    data = ImageData(config)
    [gone] = (root / "train" / "b").glob("30.png")
    gone.unlink()
    train = TrainLoader(store_of(data.source.train, config.data, CPU), data.train_rows, data.normalise, data.config, 1)
    with pytest.raises(OSError, match=re.escape(f"{gone} has changed, and cannot be decoded any more")):
        list(train)


def test_a_loop_that_ends_early_leaves_nothing_running(root: Path) -> None:
    images = read(settings(root, "data.store=files").data).train
    store = InFiles(images, CPU, num_workers=2)
    for _ in store.batches(np.arange(len(images)), 8):
        break
    again = [pixels for pixels, _ in store.batches(np.arange(len(images)), 8)]
    assert len(torch.cat(again)) == len(images)


READER = """
import sys
import numpy as np
import torch
from support.composing import config
from resnet_lab.data.sources import read
from resnet_lab.data.stores import InFiles
own = ("data=image_folder", f"data.root={sys.argv[1]}", "data.num_classes=2", "data.image_size=24", "stacks=two")
images = read(config(*own, "data.store=files").data).train
for _ in InFiles(images, torch.device("cpu"), 2).batches(np.arange(len(images)), 8):
    print("begun", flush=True)
    sys.stdin.readline()
"""


def test_workers_end_with_a_process_that_is_killed(root: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", READER, root], stdin=pipe, stdout=pipe, env=environment) as reader:
        assert reader.stdout
        assert reader.stdout.readline() == b"begun\n"
        workers = psutil.Process(reader.pid).children()
        assert len(workers) == 2
        for worker in workers:  # which such signals do not end
            worker.terminate()
        assert psutil.wait_procs(workers, timeout=0.1)[0] == []
        reader.kill()
    assert psutil.wait_procs(workers, timeout=60)[1] == []


def test_a_worker_that_is_killed_is_no_endless_wait(root: Path) -> None:
    images = read(settings(root, "data.store=files").data).train
    before = psutil.Process().children()
    batches = InFiles(images, CPU, num_workers=1).batches(np.resize(np.arange(len(images)), 5000), 8)
    next(batches)
    [worker] = [child for child in psutil.Process().children() if child not in before]
    worker.kill()
    with pytest.raises(BrokenProcessPool) as caught:
        list(batches)
    assert advice(caught.value).startswith("a process that decodes images was killed")


def test_a_thread_is_one_item_ahead() -> None:
    computed: list[int] = []
    results = ahead(lambda item: computed.append(item) or 2 * item, range(5))  # type: ignore[func-returns-value]
    assert next(results) == 0
    assert [*results] == [2, 4, 6, 8]
    assert computed == [0, 1, 2, 3, 4]
    assert [*ahead(abs, [])] == []


def test_labels_and_pixels_of_arrays_stay_together() -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(20, 1, 1, 3)
    images = Images(pixels, np.arange(20))
    rows = np.random.default_rng(0).permutation(20)
    for store in (stores.OnDevice(images, CPU), stores.OnHost(images, CPU)):
        for found, labels in store.batches(rows, 7):
            assert torch.equal(found[:, 0, 0, 0], 3 * labels.to(torch.uint8))
