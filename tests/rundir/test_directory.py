import copy
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import IO, Any

import pytest
import torch
import yaml
from support.composing import config as load_config
from support.lab import Lab

from resnet_lab import load_run
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.fields import settings_of
from resnet_lab.config.migrations import stamp
from resnet_lab.config.model_enums import Activation
from resnet_lab.config.schema import Config
from resnet_lab.config.stored import to_dict
from resnet_lab.data.datamodule import ImageData
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.files import copy_atomically, write_atomically, write_json
from resnet_lab.rundir.identity import identity
from resnet_lab.rundir.states import State

pytestmark = pytest.mark.slow

# --- files, whole or not at all


def test_write_whole_keeps_the_old_file_when_the_writer_raises(tmp_path: Path):
    path = tmp_path / "numbers"
    write_atomically(path, lambda file: file.write(b"old"))

    def half(file: IO[bytes]) -> None:
        file.write(b"new, but only h")
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        write_atomically(path, half)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_whole_leaves_nothing_where_nothing_was(tmp_path: Path):
    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "numbers", lambda file: file.write(bytes(1 // 0)))
    assert not list(tmp_path.iterdir())


def test_json_has_no_nan(tmp_path: Path):
    write_json(tmp_path / "a.json", {"error": 1.5})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"error": float("nan")})
    assert "1.5" in (tmp_path / "a.json").read_text()


# --- identity


def another(value: Any) -> Any:
    """Some other value of the same kind."""
    if isinstance(value, Enum):
        return next(other for other in type(value) if other is not value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    return [*value, value[-1]] if value else [1]


PLATEAU = ("watch", "patience", "factor", "threshold", "threshold_mode")
# Weight decay has no plateau, so nothing ever reads these.
UNREAD = {f"optim.decay_schedule.{name}" for name in PLATEAU}
SETTINGS = [item.name for item in settings_of(load_config()) if item.name not in UNREAD]
OTHERS = {
    "model.units": [3],
    "model.kernels": [5],
    "data.series.name": "GunPoint",
    "optim.batch_share": 0.5,
    "trainer.best_by": "train/loss",
    "model.filters": [32],
    "model.unit": "basic",
    "model.shortcut": "zero_pad",
    "data.name": "fake",
    "task": "attributes",
    "data.mean": [0.5],
    "data.std": [0.5],
    "data.fingerprint": "0123456789abcdef",
    "data.background": "black",
    "data.crop": 2,
    "data.resize_to": 300,
    "data.workers": 2,
    "data.pack.side": 64,
    "augment.scale_crop.shorter": [300, 400],
    "pretrained.run": "elsewhere",
    "pretrained.digest": "0123456789abcdef",
    "trainer.graphs": True,
    "trainer.steps_per_call": 2,
    "trainer.max_batches": 2,
    "model.head.latent_dim": 2,
    "model.learned_scale": 1.0,
    "model.compression": 0.5,
    "model.decoder.units": [1, 2, 1],
    "model.decoder.filters": [8, 8, 8],
    "model.decoder.reduction": [2, 2, 2],
    "model.decoder.unit": "bottleneck",
    "model.decoder.activation": Activation.original,
    "model.decoder.shortcut": "conv",
    "data.label_scale": [0.0, 2.0],
    "trainer.num_threads": 2,
    "trainer.patience": 2,
    "augment.slice.share": 0.5,
    "trainer.max_time": 2.0,
}
OWN = ["data=image_folder", "data.num_classes=2"]
KINDS = {"floor": "cosine", **dict.fromkeys(("rise", "start", "end"), "one_cycle")}  # that read settings of a schedule
DECODES = ["task=reconstruction", "head=latent_flat"]
DECODER = ("kind", "units", "filters", "reduction", "unit", "activation", "shortcut", "upsample")
READERS = {  # what makes something read a setting that nothing reads by default
    "model.norm_groups": ["norm=group"],
    **{f"model.attention.{name}": ["attention=se"] for name in ("reduction", "place", "bias")},
    **{f"model.stochastic_depth.{name}": ["model.stochastic_depth.rate=0.5"] for name in ("over", "per", "rescale")},
    "model.resize": ["shortcut=dropout"],
    "model.compression": ["bridges=stack_concat"],
    "model.shortcut_scale": ["shortcut=constant_scaling"],
    "model.residual_scale": ["shortcut=constant_scaling"],
    "model.gate_bias": ["shortcut=shortcut_gating"],
    "model.shortcut_dropout": ["shortcut=dropout"],
    "optim.betas": ["optim=adamw"],
    "optim.eps": ["optim=adamw"],
    "optim.warmup": ["optim.warmup_iterations=3"],
    "optim.warmup_lr": ["optim.warmup_iterations=3"],
    "optim.cycle_momentum": ["optim.schedule=one_cycle"],
    **{f"optim.schedule.{name}": [f"optim.schedule={kind}"] for name, kind in KINDS.items()},
    **{f"optim.decay_schedule.{name}": [f"optim.decay_schedule={kind}"] for name, kind in KINDS.items()},
    **{f"optim.decay_schedule.{name}": ["optim.decay_schedule=linear"] for name in ("milestones", "factors")},
    **{f"optim.schedule.{name}": ["optim.schedule=plateau"] for name in PLATEAU},
    "augment.flip.p": ["augment.flip.p=0.5"],
    "augment.rand.magnitude": ["augment=rand"],
    **{f"augment.erasing.{name}": ["augment=erasing"] for name in ("area", "ratio", "value")},
    **{f"augment.resized_crop.{name}": ["augment=resized_crop"] for name in ("area", "ratio", "spread")},
    "augment.scale_crop.shorter": ["augment=scale_crop"],
    "augment.mixup.p": ["augment=mixup"],
    **{f"augment.warp.{name}": ["data=fake", "data.dims=1", "augment=[none,warp]"] for name in ("share", "factors")},
    "augment.cutmix.p": ["augment=cutmix"],
    "model.head.latent_layer": ["head=latent"],
    **{f"model.decoder.{name}": DECODES for name in DECODER if name != "unit"},
    "model.decoder.unit": [*DECODES, "unit=basic", "bottleneck=none"],
    "reconstruction.loss": ["task=reconstruction"],
    "vae.beta": ["task=vae"],
    "data.corrupt.amount": [*DECODES, "data.corrupt.kind=mask"],
    "data.label_scale": ["data=fake", "task=regression"],
    "data.num_images": ["data=fake"],
    "data.resize_to": ["data.fit=crop"],
    "data.whole": [*OWN, "augment=resized_crop"],
    "data.pack.side": OWN,
    "data.pack.quality": [*OWN, "data.pack.side=32"],
    "data.root": OWN,
    "data.fingerprint": OWN,
    "data.layout": OWN,
    "data.subfolders": OWN,
    "data.background": OWN,
    "data.range": OWN,
    "data.test": [*OWN, "data.layout=flat"],
    **{f"pretrained.{name}": ["pretrained.run=here"] for name in ("run", "digest", "freeze", "lr_factor")},
    "data.prefix": ["data=idx", "data.num_classes=2"],
    **{
        f"data.series.{name}": ["data=ucr", "data.channels=1", "data.image_size=32", "data.num_classes=2"]
        for name in ("name", "scale", "unequal", "missing")
    },
    **{
        f"data.table.{name}": ["data=table", "data.num_classes=2"]
        for name in ("file", "image", "label", "labels", "part")
    },
    "trainer.sync_batch_norm": ["trainer.devices=2"],
}


def changed(config: Config, setting: str) -> Config:
    config = copy.deepcopy(config)
    *path, last = setting.split(".")
    node: Any = config
    for name in path:
        node = node[name] if isinstance(node, dict) else getattr(node, name)
    setattr(node, last, OTHERS[setting] if setting in OTHERS else another(getattr(node, last)))
    return config


@pytest.mark.parametrize("setting", SETTINGS)
def test_identity_follows_every_setting_but_those_that_do_not_change_numbers(setting: str):
    counts = {item.name: item.identity for item in settings_of(load_config())}[setting]
    config = load_config(*READERS.get(setting, []))
    assert (identity(config) == identity(changed(config, setting))) == (not counts)
    if setting in READERS and setting not in ("augment.flip.p", "pretrained.run"):  # these make something read them
        assert identity(load_config()) == identity(changed(load_config(), setting))


def class_folders(root: Path) -> None:
    for name in ("train/cat", "train/dog", "test/cat"):
        (root / name).mkdir(parents=True)


def test_an_image_folder_is_the_same_by_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class_folders(tmp_path / "pets")
    class_folders(tmp_path / "other")
    (tmp_path / "link").symlink_to(tmp_path / "pets")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    roots = ["pets", "./pets", f"{tmp_path}/pets", "link", "other/../pets", "'~/pets'"]
    assert len({identity(load_config("data=image_folder", f"data.root={root}")) for root in roots}) == 1
    assert identity(load_config("data=image_folder", "data.root=pets")) != identity(
        load_config("data=image_folder", "data.root=other")
    )


def test_images_with_a_fingerprint_are_the_same_wherever_they_are_and_however_they_are_found():
    one, other = (load_config(*OWN, f"data.fingerprint={digest * 16}") for digest in "ab")
    for setting in ("data.root", "data.layout", "data.subfolders"):
        assert identity(one) == identity(changed(one, setting))
    for setting in ("data.background", "data.range", "data.fit", "data.num_train"):
        assert identity(one) != identity(changed(one, setting))
    assert identity(one) != identity(other)
    assert identity(one) != identity(load_config(*OWN))


def test_an_image_folder_is_known_again_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for place in ("here", "there"):
        class_folders(tmp_path / place / "pets")
    directory = RunDirectory(tmp_path / "run")
    directory.path.mkdir()
    monkeypatch.chdir(tmp_path / "here")
    directory.write_config(load_config("data=image_folder", "data.root=pets"))
    monkeypatch.chdir(tmp_path / "there")
    directory.refuse_other_run(load_config("data=image_folder", f"data.root={tmp_path}/here/pets"))
    with pytest.raises(ConfigError, match=r"data\.root is .*here/pets there, .*there/pets now"):
        directory.refuse_other_run(load_config("data=image_folder", "data.root=pets"))


# --- whose directory it is


def test_refuse_other_lists_what_differs(tmp_path: Path):
    directory = RunDirectory(tmp_path)
    directory.refuse_other_run(load_config())  # an empty directory takes any
    directory.write_config(load_config())
    directory.refuse_other_run(load_config("name=another", "output_dir=elsewhere", "trainer.steps_per_call=3"))
    with pytest.raises(ConfigError) as refused:
        directory.refuse_other_run(load_config("units=n3", "optim.lr=0.2", "model.stem.filters=32"))
    message = str(refused.value)
    for difference in (
        "model.units is [2, 2, 2] there, [3, 3, 3] now",
        "optim.lr is 0.1 there, 0.2 now",
        "model.stem.filters is 16 there, 32 now",
    ):
        assert difference in message
    assert message.count(" there, ") == 3


HOLDER = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path):
    directory = RunDirectory(tmp_path)
    directory.set_status(State.running)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / ".lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match="is locked by process"), directory.locked():
            pass
        holder.kill()
    with directory.locked():
        pass


def test_holding_is_exclusive_and_ends_however_the_run_ends(tmp_path: Path):
    def fail() -> None:
        with RunDirectory(tmp_path).locked():
            with pytest.raises(ConfigError, match="locked by"), RunDirectory(tmp_path).locked():
                pass
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as kept:  # keeps the frames alive
        fail()
    with RunDirectory(tmp_path).locked():
        assert kept


def test_holding_clears_what_a_killed_process_left(tmp_path: Path):
    directory = RunDirectory(tmp_path)
    directory.checkpoints.mkdir()
    leftovers = [directory.checkpoints / ".last.ckpt.7.tmp", tmp_path / ".status.json.7.tmp"]
    for leftover in leftovers:
        leftover.touch()
    with directory.locked():
        assert not any(leftover.exists() for leftover in leftovers)


# --- reading a run back


def test_load_run_gives_back_the_network(finished: Lab):
    run_dir = finished.directory().path
    config, net = load_run(run_dir)
    reference = ResNetV2(finished.config().model)
    weights = finished.checkpoint()["state_dict"]
    reference.load_state_dict({name.removeprefix("net."): tensor for name, tensor in weights.items()})
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert not net.training
    assert torch.equal(net(images), reference.eval()(images))
    measured = ImageData(finished.config()).normalise
    assert (config.data.mean, config.data.std) == (list(measured.mean), list(measured.std))
    asked = to_dict(finished.config())
    asked["data"] |= {"mean": config.data.mean, "std": config.data.std}
    assert to_dict(config) == asked
    assert isinstance(load_run(str(run_dir), "best")[1], ResNetV2)


def test_config_yaml_is_what_was_run(finished: Lab):
    stored = yaml.safe_load(finished.directory().config_file.read_text())
    assert {name: stored.pop(name) for name in stamp()} == stamp()
    assert stored == to_dict(finished.config())
    assert finished.directory().stored_config() == finished.config()


def test_load_run_refuses_what_is_no_run(tmp_path: Path, finished: Lab):
    with pytest.raises(ConfigError, match="not a run directory"):
        load_run(tmp_path)
    with pytest.raises(ConfigError, match="not a run directory"):
        load_run(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"nope\.ckpt does not exist"):
        load_run(finished.directory().path, "nope")


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_named(lab: Lab, damage: bytes | None):
    lab.run("trainer=debug")
    last = lab.directory("trainer=debug").last
    last.write_bytes(last.read_bytes()[:-1000] if damage is None else damage)
    lab.directory("trainer=debug").status_file.unlink()  # so that it counts as unfinished
    with pytest.raises(ConfigError, match=r"last\.ckpt is damaged"):
        load_run(lab.directory("trainer=debug").path)
    with pytest.raises(ConfigError, match=r"last\.ckpt is damaged"):
        lab.run("trainer=debug")


def test_a_checkpoint_is_never_a_program(lab: Lab, tmp_path: Path):
    lab.run("trainer=debug")
    directory = lab.directory("trainer=debug")

    class Program:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "executed",)

    torch.save({"state_dict": Program()}, directory.last)
    with pytest.raises(ConfigError, match="is damaged"):
        load_run(directory.path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("links", [True, False])
def test_a_copy_is_whole_and_stays_when_the_original_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
):
    def refuse(*_: object) -> None:
        raise OSError("no links on this file system")

    if not links:
        monkeypatch.setattr("os.link", refuse)
    best, last = tmp_path / "best", tmp_path / "last"
    for content in (b"one", b"two"):
        write_atomically(best, lambda file, content=content: file.write(content))  # type: ignore[misc]
        copy_atomically(best, last)
        assert last.read_bytes() == content
    write_atomically(best, lambda file: file.write(b"three"))
    copy_atomically(best, best)
    assert last.read_bytes() == b"two"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["best", "last"]
