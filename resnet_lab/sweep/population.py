"""A population: architectures drawn at random within limits of their cost (Radosavovic et al., arXiv:2003.13678)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from rich.progress import track

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import prepare, to_config
from resnet_lab.rundir.identity import identity
from resnet_lab.sweep.axes import Axis
from resnet_lab.sweep.composer import Composer, Job, changed
from resnet_lab.tasks.cost import totals
from resnet_lab.text import plural
from resnet_lab.training.log import console, log, show_on_terminal

Limits = Mapping[str, tuple[float, float]]  # of "macs", "params", "activations": least and most
DRAWS = 1000  # without a new architecture, after which a population is given up


class Population:
    """Draws architectures that differ from each other, pass all checks and lie within the limits; counts the draws."""

    def __init__(self, composer: Composer, fixed: Job, axes: Sequence[Axis], seed: int, limits: Limits) -> None:
        self.composer, self.fixed, self.axes, self.limits = composer, fixed, axes, limits
        self.random = Random(seed)  # of which only random() is used, the same in all versions of Python
        self.draws = 0
        self.rejected = Counter[str]()
        self.seen: set[str] = set()
        self.costs: dict[str, list[int]] = {name: [] for name in limits}
        self.refusal = ""

    def draw(self) -> Job | None:
        """Return the overrides of an architecture, or None if the draw is rejected."""
        self.draws += 1
        drawn = [f"{axis.name}={axis.value(self.random.random())}" for axis in self.axes]
        why = self._why_not(drawn)
        self.rejected[why] += 1
        return None if why else drawn

    def _why_not(self, drawn: Job) -> str:
        if self._repeats(" ".join(drawn)):
            return "repeated"
        job = changed(self.fixed, drawn)
        try:
            prepare(job)
            config = to_config(self.composer(job))
            cost = totals(config)
        except ConfigError as error:
            self.refusal = str(error)
            return "refused"
        for name in self.limits:
            self.costs[name].append(cost[name])
        if any(not least <= cost[name] <= most for name, (least, most) in self.limits.items()):
            return "outside"
        return "repeated" if self._repeats(identity(config)) else ""

    def _repeats(self, key: str) -> bool:
        is_known = key in self.seen
        self.seen.add(key)
        return is_known

    def summary(self) -> str:
        """Return how many draws were rejected, and why."""
        parts = []
        if self.rejected["outside"]:
            limits = (
                f"hydra.sweeper.limits.{name}=[{least:.15g},{most:.15g}] (drawn: {min(costs):,} to {max(costs):,})"
                for (name, (least, most)), costs in zip(self.limits.items(), self.costs.values(), strict=True)
            )
            parts.append(f"{self.rejected['outside']:,} outside {' and '.join(limits)}")
        if self.rejected["refused"]:
            parts.append(f"{self.rejected['refused']:,} refused, the last because {self.refusal}")
        if self.rejected["repeated"]:
            parts.append(f"{self.rejected['repeated']:,} repeated")
        return "; ".join([f"{plural(self.rejected[''], 'architecture')} in {plural(self.draws, 'draw')}", *parts])


def population(composer: Composer, fixed: Job, axes: Sequence[Axis], n: int, seed: int, limits: Limits) -> list[Job]:
    """Return the overrides of `n` architectures, which depend on the axes, the limits and the seed alone.

    `fixed` are the overrides that all share. Raises ConfigError after `DRAWS` draws in a row that give nothing new.
    """
    show_on_terminal()
    source = Population(composer, fixed, axes, seed, limits)
    found: list[Job] = []
    for _ in track(range(n), "drawing", console=console, transient=True, disable=not console.is_terminal):
        drawn = next((job for _ in range(DRAWS) if (job := source.draw())), None)
        if drawn is None:
            fewer = f", or set hydra.sweeper.n={len(found)}" if found else ""
            raise ConfigError(
                f"hydra.sweeper.n={n} is too many: {source.summary()}. Draw from more values, widen the limits{fewer}"
            )
        found.append(drawn)
    log.info("population: %s", source.summary())
    return found
