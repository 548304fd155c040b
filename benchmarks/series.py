"""The baseline for series: `python -m benchmarks.series` measures an epoch of the lab next to a plain PyTorch loop.

Both train the same network on the same random series, as many and as long as those of GunPoint, on one thread. An epoch
of the lab includes Lightning, its batches and its record of losses and errors.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import decide
from benchmarks.facts import RESULTS, facts, write
from resnet_lab.config.compose import load_config
from resnet_lab.data.sources import read
from resnet_lab.training.run import run

LENGTH, SERIES, BATCH_SIZE, KERNELS = 150, 50, 5, (8, 5, 3)
TASK = (
    "+experiment=ucr_resnet",
    "data=fake",
    "data.dims=1",
    "data.channels=1",
    f"data.image_size={LENGTH}",
    "data.num_classes=2",
    f"data.num_images={SERIES}",
    "trainer=cpu",
    "trainer.best_by=train/loss",
    "trainer.num_threads=1",
    "diagnostics=off",
)


class Plain(nn.Module):
    """The network of arXiv:1611.06455 as a plain script would write it."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks, self.shortcuts = nn.ModuleList(), nn.ModuleList()
        for before, after in ((1, 64), (64, 128), (128, 128)):
            layers: list[nn.Module] = []
            for maps, kernel in zip((before, after, after), KERNELS, strict=True):
                layers += [nn.Conv1d(maps, after, kernel, padding="same"), nn.BatchNorm1d(after, 1e-3, 0.01), nn.ReLU()]
            norm = nn.BatchNorm1d(after, 1e-3, 0.01)
            self.blocks.append(nn.Sequential(*layers[:-1]))
            self.shortcuts.append(norm if before == after else nn.Sequential(nn.Conv1d(before, after, 1), norm))
        self.classifier = nn.Linear(128, 2)

    def forward(self, x_BCL: Tensor) -> Tensor:
        for block, shortcut in zip(self.blocks, self.shortcuts, strict=True):
            x_BCL = torch.relu(block(x_BCL) + shortcut(x_BCL))
        return self.classifier(x_BCL.mean(dim=2))


def plain(epochs: int) -> float:
    """Return the median seconds of an epoch of the plain loop."""
    images = read(load_config(*TASK).data).train
    series, labels = torch.from_numpy(images.pixels), torch.from_numpy(images.labels)
    net, seconds = Plain(), []
    adam = torch.optim.Adam(net.parameters(), 1e-3, eps=1e-7)
    for _ in range(epochs):
        begin, total = time.perf_counter(), 0.0
        for rows in torch.randperm(SERIES).split(BATCH_SIZE):
            adam.zero_grad()
            loss = nn.functional.cross_entropy(net(series[rows]), labels[rows])
            loss.backward()
            adam.step()
            total += loss.item()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def lab(epochs: int) -> float:
    """Return the median seconds of an epoch of the lab."""
    with tempfile.TemporaryDirectory() as folder:
        result = run(load_config(*TASK, f"trainer.max_epochs={epochs}", f"output_dir={folder}"))
    return statistics.median(record["seconds"] for record in result["history"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.series", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=RESULTS / "series.json")
    options = parser.parse_args()
    content = facts("benchmarks.series") | report(options.rounds, options.epochs)
    ratio = content["ratio"]
    print(f"an epoch of the lab takes {ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f}) × a plain one")
    write(options.out, content)
    return 0


def report(rounds: int, epochs: int) -> dict[str, Any]:
    """Measure both in every round, in turn."""
    torch.set_num_threads(1)
    loops = {"lab": lab, "plain": plain}
    measured: list[dict[str, float]] = []
    for number in range(rounds):
        measured.append({name: loops[name](epochs) for name in decide.order([*loops], number)})
    return {
        "task": {"series": SERIES, "length": LENGTH, "batch_size": BATCH_SIZE, "epochs": epochs},
        "rounds": measured,
        "seconds": {name: decide.spread([own[name] for own in measured]) for name in loops},
        "ratio": decide.spread([own["lab"] / own["plain"] for own in measured]),
        "checks": [],
    }


if __name__ == "__main__":
    sys.exit(main())
