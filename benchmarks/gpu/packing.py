"""Several runs on one GPU: one after the other, in processes without and with MPS, or in one process on streams.

All train the same bare steps, so that only the way of sharing differs; `fast/jobs` measures whole trainings.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks import decide
from benchmarks.gpu import Content, streams
from resnet_lab.bench.parallel import at_once, images_per_second
from resnet_lab.interrupts import RunFailed

NETWORKS = ("cifar10_20", "cifar10_56")  # a small one and a middle one
FAKE = ("data=fake",)
SEEDS = (2, 4, 8)
STEPS = 1000  # of each seed
CHECKED_STEPS = 5

# One after the other, any number of seeds have the throughput of one process.
ALONE = "one after the other"
PROCESSES, WITH_MPS, STREAMS = "processes", "processes with MPS", "streams in one process"
WAYS = (PROCESSES, WITH_MPS, STREAMS)
LEAST_GAIN = 1.01


def packed(
    overrides: Sequence[str],
    rounds: int,
    earlier: Content,
    ways: Sequence[str] = WAYS,
    seeds: Sequence[int] = SEEDS,
    steps: int = STEPS,
) -> Iterator[Content]:
    """Measure the total images/s of several seeds in all ways, in rounds; a way that fails is recorded and left out."""
    content = {"rounds": [], "failed": {}} | {
        name: earlier[name] for name in ("rounds", "failed", "different") if name in earlier
    }
    if "different" not in content:
        content["different"] = different(overrides)
        yield content
    wanted = {ALONE: (PROCESSES, 1)} | {f"{count} seeds, {way}": (way, count) for count in seeds for way in ways}
    for number in range(rounds):
        content["rounds"] += [{}] if number == len(content["rounds"]) else []
        measured = content["rounds"][number]
        for name in decide.order([*wanted], number):
            if name in measured or name in content["failed"]:
                continue
            try:
                measured[name] = throughput(*wanted[name], steps, overrides)
                print(f"round {number + 1}: {name}: {measured[name]:,.0f} images/s", flush=True)
            except RunFailed as failed:
                if name == ALONE:
                    raise
                content["failed"][name] = str(failed)
                print(f"{name}: {failed}", flush=True)
            yield content
    yield content | compared(content, seeds, ways)


def throughput(way: str, count: int, steps: int, overrides: Sequence[str]) -> float:
    """Return the total images/s of that many seeds. Raises RunFailed when a process fails, or MPS does not start."""
    groups = [[*range(count)]] if way == STREAMS else [[seed] for seed in range(count)]
    commands = [streams.command(group, steps, overrides) for group in groups]
    return images_per_second(at_once(commands, mps=way == WITH_MPS))


def different(overrides: Sequence[str]) -> int:
    """Return for how many of two seeds the losses in one process are not bit-identical with those in two."""
    repeatable = [*overrides, "deterministic=true"]
    [shared] = at_once([streams.command([0, 1], CHECKED_STEPS, repeatable)])
    alone = at_once([streams.command([seed], CHECKED_STEPS, repeatable) for seed in (0, 1)])
    return sum(one != other["losses"][0] for one, other in zip(shared["losses"], alone, strict=True))


def compared(content: Content, seeds: Sequence[int], ways: Sequence[str]) -> dict[str, Any]:
    """Return speeds and gains over one after the other, the fastest way for each number of seeds, and verdicts."""
    rounds: Sequence[Mapping[str, float]] = content["rounds"]
    names = dict.fromkeys(name for measured in rounds for name in measured)
    speeds = {name: decide.spread([each[name] for each in rounds if name in each]) for name in names}
    gains = {name: decide.spread([each[name] / each[ALONE] for each in rounds if name in each]) for name in names}
    what = "the losses of two seeds in one process are those in two processes, bit for bit"
    checks, fastest = [decide.verdict(what, content["different"], 0, at_least=False)], {}
    for count in seeds:
        there = [way for way in ways if f"{count} seeds, {way}" in gains]
        median = {way: gains[f"{count} seeds, {way}"]["median"] for way in there} | {ALONE: 1.0}
        best = fastest[str(count)] = max(median, key=lambda way: median[way])
        claim = f"{count} seeds at once ≥ {LEAST_GAIN:g} × {ALONE} (fastest: {best})"
        checks.append(decide.verdict(claim, median[best], LEAST_GAIN))
    return {"images_per_second": speeds, "gains": gains, "fastest": fastest, "checks": checks}
