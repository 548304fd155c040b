"""Options of a network: `python -m benchmarks.axes` measures their training steps next to the plain one, by MACs."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.facts import RESULTS, facts, write
from benchmarks.steps import compared
from resnet_lab.config.compose import load_config

PLAIN = "plain"
BATCH_SIZE = 64

# By network, with bottleneck units or with basic ones: what else is measured, as overrides separated by spaces.
OPTIONS = {
    "cifar10_20": (
        "norm=group",
        "norm=layer",
        "norm=none",
        "model.weight_standardisation=true",
        "nonlinearity=leaky_relu",
        "nonlinearity=silu",
        "nonlinearity=gelu",
        "cardinality=c8_64",
        "cardinality=c2_40",
        "attention=se",
        "attention=se model.attention.place=pre",
        "attention=se model.attention.place=post",
        "attention=se model.attention.place=identity",
        "stochastic_depth=paper",
        "stochastic_depth=timm",
        "model.unit_dropout=0.3",
        "model.learned_scale=0",
        "shortcut_pool=on",
        "stem=deep",
        "downsample=max_pool",
        "downsample=blur",
        "bridges=none",
        "bridges=stack",
        "bridges=stack_sum",
        "bridges=net_sum",
        "bridges=stack_concat_half unit=dense bottleneck=none cardinality=c1_256 filters=w12 units=n6 stem=conv_24",
        "bridges=net_concat unit=dense bottleneck=none cardinality=c1_256 filters=w12 units=n6 stem=conv_24",
    ),
    "cifar10_basic_20": (
        "filters=k4",
        "widening=a48 activation=norm_first shortcut=zero_pad",
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.axes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULTS / "axes.json")
    options = parser.parse_args()
    content = facts("benchmarks.axes") | report(options.rounds)
    for network, measured in content["networks"].items():
        for name, ratio in measured["ratio"].items():
            macs = measured["macs"][name] / 1e6
            print(f"{network}, {name}: {macs:.1f} M MACs, {ratio['median']:.2f} × the plain network's time per MAC")
    write(options.out, content)
    return 0


def report(rounds: int, options: Mapping[str, Sequence[str]] = OPTIONS) -> dict[str, Any]:
    """Measure the step of each network with each of its options in every round, on one thread."""
    networks = {}
    for network, own in options.items():
        fixed = (f"+experiment={network}", "trainer=cpu", "trainer.num_threads=1", f"optim.batch_size={BATCH_SIZE}")
        configs = {PLAIN: load_config(*fixed)} | {option: load_config(*fixed, *option.split()) for option in own}
        networks[network] = compared(configs, PLAIN, rounds)
    return {"rounds": rounds, "batch_size": BATCH_SIZE, "networks": networks, "checks": []}


if __name__ == "__main__":
    sys.exit(main())
