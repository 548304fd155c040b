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
    yield {"said": said, "checks": [*checks, nothing_left(before)]}


def seeds(earlier: Content) -> Iterator[Content]:
    """Train eight seeds, four at once, without and with MPS; the second sweep is interrupted and started again."""
    content: Content = {"seconds": {}, "checks": []}
    before = on_gpu()
    for mps in ("false", "true"):
        with tempfile.TemporaryDirectory() as folder:
            sweep = [f"+experiment={NETWORK}", "data=fake", "data.num_images=20000", f"trainer.max_epochs={EPOCHS}"]
            sweep += [f"output_dir={folder}", "-m", f"seed=range({SEEDS})"]
            sweep += ["hydra.launcher.jobs_per_gpu=4", f"hydra.launcher.mps={mps}"]
            start = time.perf_counter()
            if mps == "true":
                content["interrupted"] = interrupted(sweep, Path(folder))
                content["checks"].append(nothing_left(before))
            subprocess.run(lab(*sweep), check=True, capture_output=True, text=True)
            content["seconds"][f"mps={mps}"] = time.perf_counter() - start
            done = len([*Path(folder).rglob("result.json")])
            content["checks"].append(decide.verdict(f"all seeds are done, mps={mps}", done, SEEDS))
            if mps == "false":
                yield {name: value for name, value in content.items() if name != "checks"}
    yield content | {"checks": [*content["checks"], nothing_left(before)]}


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


def nothing_left(before: set[str]) -> dict[str, Any]:
    """Check that no new process is on the GPU."""
    return decide.verdict("no process is left on the GPU", len(on_gpu() - before), 0, at_least=False)


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
