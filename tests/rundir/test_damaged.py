"""Whatever is in the files of a run, every reader answers: with what it read, or with one message that says why not."""

import copy
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.composing import config as load_config
from support.lab import FailsAt, Lab

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.schema import Config
from resnet_lab.interrupts import RunFailed
from resnet_lab.report.collect import collect
from resnet_lab.report.question import Question
from resnet_lab.report.write import report
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.place import run_directory
from resnet_lab.rundir.plans import FOLDER
from resnet_lab.rundir.safe import FLOAT_LIMIT, INT_LIMIT, Unreadable, parse_json
from resnet_lab.runs import command_for, look
from resnet_lab.tasks.load import load_run
from resnet_lab.training.run import run

READ = {"config.yaml": yaml.safe_load, "status.json": json.loads, "result.json": json.loads, "images.json": json.loads}
EDGES = (None, True, "x", "", "\x00\x1b[31m\n", -1, 2**62, 1.5, 1e308, [], {}, [[]], [None], {"x": {"y": []}})
BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in pairwise("abcdefghijklmnop"))
TEXTS = {
    "empty": b"",
    "not UTF-8": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "deep settings": b"{" + b'"a":{' * 5_000,
    "a long number": b'{"schema_version": 1, "state": "done", "seed": 1' + b"0" * 400 + b"}",
    "infinite": b'{"schema_version": 1, "state": "done", "seed": 1e400}',
    "bomb": BOMB.encode(),
    "a date that is none": b"seed: 2024-99-99",
    "numbers as names": b"1: 2",
}
FOREIGN = ("Traceback", "<class", "object at 0x", "NoneType", "KeyError", "AttributeError", "TypeError")
SHORT = 80  # random values of leaves; the long version tries all


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("done"))
    lab.run()
    return lab


@pytest.fixture
def copied(done: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A copy of the finished run, to be damaged, in a folder with another run that is whole."""
    monkeypatch.setattr("resnet_lab.config.overrides.load_config", cache(load_config))  # takes most of the time
    folder = tmp_path / "outputs"
    shutil.copytree(done.output_dir, folder)
    path = done.directory().path
    shutil.copytree(path, folder / "whole" / "seed-0")
    return Lab(folder)


@cache
def dry_run(lab: Lab) -> Config:
    """The same run once more, as far as it goes without training. Composed once: that takes most of the time."""
    return lab.config("dry_run=true")


def answers(lab: Lab, everything: bool = True) -> list[str]:
    """Give a damaged run to all readers; return what they said of it. The other run must be read in any case."""
    path, said = run_directory(dry_run(lab)).path, []
    found = collect([lab.output_dir])
    assert lab.output_dir / "whole" / "seed-0" in [run.path for run in found.done]
    said += [damaged.why for damaged in found.damaged]
    look(path)
    said.append(command_for(path))
    attempts: list[Callable[[], object]] = [lambda: load_run(path), lambda: run(dry_run(lab))]
    if everything:
        attempts.append(lambda: report([lab.output_dir], Question(), lab.output_dir.parent / "report"))
    for attempt in attempts:
        try:
            attempt()
        except (ConfigError, RunFailed) as error:
            said.append(str(error))
    for message in said:
        assert not any(word in message for word in FOREIGN), message
        assert len(message) < 1000
    return said


@pytest.mark.parametrize("name", [*READ, "checkpoints/last.ckpt"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "dangling link", "huge", *TEXTS])
def test_something_else_in_the_place_of_a_file(copied: Lab, name: str, kind: str):
    file = copied.directory().path / name
    file.unlink()
    match kind:
        case "pipe":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
        case "loop":
            file.symlink_to(file.name)
        case "dangling link":
            file.symlink_to("nowhere")
        case "huge":
            with file.open("wb") as empty:
                empty.truncate(2**40)  # of a sparse file
        case _:
            file.write_bytes(TEXTS[kind])
    said = answers(copied, everything=False)
    assert any(file.name in message for message in said) or name == "images.json"


def leaves(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values in nested lists and dictionaries; of a list, the first entry stands for the others."""
    if at:
        yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*at, key))
    elif isinstance(value, list) and value:
        yield from leaves(value[0], (*at, 0))


def changed(content: Any, at: tuple[Any, ...], value: Any) -> Any:
    """A copy of nested values with another one at a place; without it if `value` is the Ellipsis."""
    made = copy.deepcopy(content)
    inner = made
    for key in at[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[at[-1]]
    else:
        inner[at[-1]] = value
    return made


def tried(lab: Lab, most: int | None) -> None:
    path = lab.directory().path
    contents = {name: read((path / name).read_text()) for name, read in READ.items()}
    cases = [(n, at, value) for n, content in contents.items() for at in leaves(content) for value in (..., *EDGES)]
    for number, (name, at, value) in enumerate(random.Random(0).sample(cases, most or len(cases))):
        file, whole = path / name, (path / name).read_text()
        made = changed(contents[name], at, value)
        file.write_text(yaml.safe_dump(made) if name.endswith("yaml") else json.dumps(made))
        try:
            answers(lab, everything=number % 10 == 0)
        except BaseException as error:
            raise AssertionError(f"{name}: {'.'.join(map(str, at))}={value!r}") from error
        file.write_text(whole)


def test_any_value_in_a_file(copied: Lab):
    tried(copied, SHORT)


@pytest.mark.slow
@pytest.mark.long
def test_every_value_in_a_file(copied: Lab):
    tried(copied, None)


def test_a_plan_of_anything(copied: Lab):
    plan = copied.output_dir / FOLDER / "0.json"
    plan.parent.mkdir()
    whole = {"jobs": [{"label": "seed=1", "path": "x" * 5000, "why": ""}]}
    for at in leaves(whole):
        for value in (..., *EDGES):
            plan.write_text(json.dumps(changed(whole, at, value)))
            collect([copied.output_dir])


@pytest.mark.parametrize("key", ["state_dict", "resnet_lab", "history", "global_step", "optimizer_states"])
def test_a_checkpoint_of_anything(copied: Lab, key: str):
    last = copied.directory().last
    whole = torch.load(last, weights_only=True)
    for value in (..., *EDGES, torch.zeros(2)):
        torch.save(changed(whole, (key,), value), last)
        messages = answers(copied, everything=False)
        if key == "state_dict":
            assert any("last.ckpt" in message for message in messages)


HISTORY = "its history, epoch and step do not match"
OPTIMIZER = "it holds the state of another optimiser"
NETWORK = "holds another network than config.yaml describes"
# A checkpoint that could be loaded, and would ruin the run, or end it with an error of another kind.
INCONSISTENT: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no epochs": (lambda c: c.update(history=[]), HISTORY),
    "epochs repeated": (lambda c: c.update(history=c["history"] * 2), HISTORY),
    "other records": (lambda c: c.update(history=[{"a": 1}] * len(c["history"])), HISTORY),
    "another epoch": (lambda c: c.update(epoch=99), HISTORY),
    "another step": (lambda c: c.update(global_step=-5), HISTORY),
    "no optimiser": (lambda c: c.update(optimizer_states=[]), OPTIMIZER),
    "a small buffer": (lambda c: state(c).update({0: {"momentum_buffer": torch.zeros(7)}}), OPTIMIZER),
    "a buffer of one number": (lambda c: state(c).update({0: {"momentum_buffer": torch.zeros(())}}), OPTIMIZER),
    "a sparse buffer": (lambda c: state(c).update({0: {"momentum_buffer": torch.zeros(7).to_sparse()}}), OPTIMIZER),
    "buffers of Adam": (lambda c: state(c).update({0: {"exp_avg": torch.zeros(7)}}), OPTIMIZER),
    "a parameter too many": (lambda c: state(c).update({999: state(c)[0]}), OPTIMIZER),
    "no groups": (lambda c: c["optimizer_states"][0].update(param_groups=[]), OPTIMIZER),
    "complex weights": (lambda c: weights(c, lambda t: t.to(torch.complex64)), NETWORK),
    "whole weights": (lambda c: weights(c, lambda t: t.to(torch.int32)), NETWORK),
    "sparse weights": (lambda c: weights(c, lambda t: t.to_sparse()), NETWORK),
    "another name": (lambda c: c["state_dict"].update({"more": torch.zeros(1)}), NETWORK),
    "other settings": (lambda c: c["resnet_lab"]["config"].update(foo=1), "there is no setting foo"),
    "Lightning's own": (lambda c: c.update(loops={}), "the run cannot continue"),
    "its version": (lambda c: c.update({"pytorch-lightning_version": 5}), "the run cannot continue"),
}


def state(checkpoint: dict[str, Any]) -> dict[int, Any]:
    return checkpoint["optimizer_states"][0]["state"]


def weights(checkpoint: dict[str, Any], convert: Callable[[torch.Tensor], torch.Tensor]) -> None:
    name = next(name for name in checkpoint["state_dict"] if name.endswith("conv.weight"))
    checkpoint["state_dict"][name] = convert(checkpoint["state_dict"][name])


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A run that ended after its first epoch of two."""
    lab = Lab(tmp_path_factory.mktemp("half"))
    with pytest.raises(RunFailed):
        lab.run(callbacks=[FailsAt(1)])
    return lab


@pytest.mark.parametrize("flaw", INCONSISTENT)
def test_a_run_does_not_continue_from_an_inconsistent_checkpoint(half: Lab, tmp_path: Path, flaw: str):
    shutil.copytree(half.output_dir, tmp_path / "outputs")
    lab = Lab(tmp_path / "outputs")
    last, (spoil, message) = lab.directory().last, INCONSISTENT[flaw]
    checkpoint = torch.load(last, weights_only=True)
    spoil(checkpoint)
    last.unlink()  # best.ckpt may be a link to the same file
    torch.save(checkpoint, last)
    with pytest.raises(ConfigError, match=rf"last\.ckpt.*{message}"):
        lab.run()
    assert not lab.directory().result()


def test_a_damaged_best_checkpoint_is_refused_before_training(half: Lab, tmp_path: Path):
    shutil.copytree(half.output_dir, tmp_path / "outputs")
    lab = Lab(tmp_path / "outputs")
    lab.directory().best.unlink()
    lab.directory().best.write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"best\.ckpt is damaged"):
        lab.run()
    assert len(lab.checkpoint()["history"]) == 1


@pytest.mark.parametrize("tensor", [torch.zeros(7), torch.zeros(()), torch.zeros(0), "x", None])
def test_a_checkpoint_of_another_network_is_named(copied: Lab, tensor: Any):
    last = copied.directory().last
    whole = torch.load(last, weights_only=True)
    name = next(iter(whole["state_dict"]))
    torch.save(changed(whole, ("state_dict", name), tensor), last)
    with pytest.raises(ConfigError, match=r"last\.ckpt (holds another network|is not a checkpoint)"):
        load_run(copied.directory().path)


def test_a_packed_checkpoint_is_not_unpacked(copied: Lab):
    """Torch stores its files in a zip archive as they are; packed zeros would unpack to a thousand times their size."""
    import zipfile

    last = copied.directory().last
    with zipfile.ZipFile(last) as file:
        entries = {entry.filename: file.read(entry) for entry in file.infolist()}
    with zipfile.ZipFile(last, "w", zipfile.ZIP_DEFLATED) as file:
        for entry, content in entries.items():
            file.writestr(entry, content)
    with pytest.raises(ConfigError, match=r"last\.ckpt is damaged"):
        load_run(copied.directory().path)


def test_a_pipe_among_the_event_files_is_left_alone(tmp_path: Path):
    lab = Lab(tmp_path)
    directory: RunDirectory = lab.directory()
    directory.path.mkdir(parents=True)
    os.mkfifo(directory.path / "events.out.tfevents.1")
    lab.run()
    assert directory.result()


@given(
    whole=st.integers(min_value=0, max_value=10**25),
    fraction=st.integers(min_value=0, max_value=10**25),
    exponent=st.integers(min_value=-400, max_value=400),
    form=st.sampled_from(["{0}", "-{0}", "{0}.{1}", "{0}e{2}", "-{0}.{1}E{2}", "{0}e+09", "{0}.{1}e{2:+d}"]),
)
def test_numbers_of_any_size_are_read_exactly_or_refused(whole: int, fraction: int, exponent: int, form: str) -> None:
    text = form.format(whole, fraction, exponent)
    value = json.loads(text)
    limit = INT_LIMIT if isinstance(value, int) else FLOAT_LIMIT
    if abs(value) < limit:
        assert parse_json(f'{{"x": [{text}]}}', "x.json") == {"x": [value]}
    else:
        with pytest.raises(Unreadable, match=r"x\.json"):
            parse_json(f'{{"x": [{text}]}}', "x.json")
