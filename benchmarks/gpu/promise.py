"""Does it keep what the lab promises: a full training, a sweep that is stopped and continued, a run that cannot fit."""

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import decide
from benchmarks.facts import load
from benchmarks.gpu import Content
from benchmarks.gpu.command import lab, result_of

NETWORK = "cifar10_56"
MOST_ERROR = 10.0  # percent; more indicates a bug, as even smaller networks of the papers stay below
SEEDS, EPOCHS = 8, 5
TOO_LARGE = (
    "+experiment=imagenet_50",
    "data=fake",
    "data.num_images=8192",
    "data.validation=0",
    "trainer.max_epochs=1",
)
# A batch whose maps alone need more than any GPU has, and one that only fails when it is computed.
BATCHES = (8192, 2048)


def too_large(earlier: Content) -> Iterator[Content]:
    """Start runs that do not fit: each must end with advice, and nothing may stay on the GPU."""
    before, said, checks = on_gpu(), {}, []
    for batch in BATCHES:
        with tempfile.TemporaryDirectory() as folder:
            command = lab(*TOO_LARGE, f"optim.batch_size={batch}", f"output_dir={folder}")
            ended = subprocess.run(command, capture_output=True, text=True)
        said[f"batches of {batch}"] = last = ended.stderr.strip().rpartition("\n")[2]
        advised = ended.returncode == 1 and "optim.batch_size" in last and "Traceback" not in ended.stderr
        checks.append(decide.verdict(f"batches of {batch} cannot fit, and the run ends with advice", advised, 1))
    yield {"said": said, "checks": [*checks, nothing_left(left_over(before))]}


def seeds(earlier: Content) -> Iterator[Content]:
    """Train eight seeds, four at once, without and with MPS; the second sweep is interrupted and started again."""
    content: Content = {name: dict(earlier.get(name, {})) for name in ("seconds", "done", "interrupted", "left")}
    for mps in ("false", "true"):
        name = f"mps={mps}"
        if name in content["left"]:
            continue
        before = on_gpu()
        with tempfile.TemporaryDirectory() as folder:
            sweep = [f"+experiment={NETWORK}", "data=fake", "data.num_images=20000", f"trainer.max_epochs={EPOCHS}"]
            sweep += [f"output_dir={folder}", "-m", f"seed=range({SEEDS})"]
            sweep += ["hydra.launcher.jobs_per_gpu=4", f"hydra.launcher.{name}"]
            start = time.perf_counter()
            if mps == "true":
                content["interrupted"] = {"status": interrupted(sweep, Path(folder)), "left": left_over(before)}
            subprocess.run(lab(*sweep), check=True, capture_output=True, text=True)
            content["seconds"][name] = time.perf_counter() - start
            content["done"][name] = len([*Path(folder).rglob("result.json")])
        content["left"][name] = left_over(before)
        yield content
    checks = [decide.verdict(f"all seeds are done, {name}", done, SEEDS) for name, done in content["done"].items()]
    left = [content["interrupted"]["left"], *content["left"].values()]
    yield content | {"checks": [*checks, *map(nothing_left, left)]}


def interrupted(sweep: list[str], folder: Path) -> int:
    """Interrupt a sweep after its first finished epoch; return its exit status."""
    with subprocess.Popen(lab(*sweep), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        while process.poll() is None and not [*folder.rglob("last.ckpt")]:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.communicate()
    return process.returncode


def on_gpu() -> set[str]:
    """Return the processes on the GPU."""
    query = ["nvidia-smi", "--query-compute-apps=pid", "--format=csv,noheader"]
    return {*subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()}


def left_over(before: set[str]) -> int:
    """Return the number of new processes on the GPU."""
    return len(on_gpu() - before)


def nothing_left(count: int) -> dict[str, Any]:
    """Check that no new process is on the GPU."""
    return decide.verdict("no process is left on the GPU", count, 0, at_least=False)


def training(folder: str | None, earlier: Content) -> Iterator[Content]:
    """Run one full training through the command line: its result and the total wall time."""
    where = ["data=image_folder", f"data.root={folder}", "data.image_size=32"] if folder else []
    with tempfile.TemporaryDirectory() as outputs:
        start = time.perf_counter()
        command = lab(f"+experiment={NETWORK}", *where, f"output_dir={outputs}")
        subprocess.run(command, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        result = load(result_of(Path(outputs)))
    what = f"{NETWORK} on CIFAR-10 has a test error of at most {MOST_ERROR:g} %"
    check = decide.verdict(what, result["last"]["test_error"], MOST_ERROR, at_least=False)
    yield {"wall_seconds": seconds, "result": result, "checks": [check]}
