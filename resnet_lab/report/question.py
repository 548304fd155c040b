"""What a report is asked: which groups to form, and how to compare them."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from resnet_lab.config.checks import ConfigError
from resnet_lab.report.scale import Scale
from resnet_lab.rundir.stored_runs import StoredRun
from resnet_lab.text import first_few, plural

DRAWING = ("search", "population")  # sweepers that give each job settings of its own


@dataclass(frozen=True, slots=True)
class Question:
    """The options of the command. Raises ConfigError for a margin or a target that is none."""

    by: Sequence[str] = ()  # settings that form the groups; none: see `grouping`
    by_test: bool = False  # compare by test scores even if there are validation scores
    baseline: str | None = None  # a group's label or a part of it; none: compare with the best group
    pairs: bool = False  # compare all pairs as well
    log: bool = False  # compare logarithms
    target: float | None = None  # validation score, of which it is said when runs reached it
    margin: float | None = None  # in the unit of the score; with `log`, a ratio above 1

    def __post_init__(self) -> None:
        if self.margin is not None and not (1 if self.log else 0) < self.margin < math.inf:
            right = "a ratio above 1, with --log" if self.log else "above 0, in the unit of the score"
            raise ConfigError(f"--margin must be {right}; got {self.margin:g}")
        if self.target is not None and not math.isfinite(self.target):
            raise ConfigError(f"--target must be a score; got {self.target:g}")

    def grouping(self, done: Sequence[StoredRun]) -> tuple[Sequence[str], str]:
        """Return the settings that form the groups, and a sentence if searches or populations made any of the runs.

        The default is no setting, which stands for the architecture; or all, if these sweeps made all of the runs.
        """
        drawn = sum(run.result["sweeper"] in DRAWING for run in done)
        if self.by or not drawn:
            return self.by, ""
        if drawn == len(done):
            every = "a search or a population made these runs, so every setting that varies is an axis (--by all)"
            return ["all"], every
        of = f"{drawn} of {plural(len(done), 'run')}"
        return [], f"a search or a population made {of}; --by all makes every setting that varies an axis"

    def margin_on(self, scale: Scale) -> float | None:
        return math.log(self.margin) if self.margin and scale.logarithmic else self.margin

    def baseline_of(self, groups: Collection[str]) -> str | None:
        """Return the only group whose label has all words of the baseline; None if there is none or no baseline.

        Raises ConfigError if there are several.
        """
        if self.baseline is None:
            return None
        wanted = set(self.baseline.split())
        found = [name for name in groups if wanted <= set(name.split())]
        exact = [name for name in found if set(name.split()) == wanted]
        if len(found) > 1 and not exact:
            raise ConfigError(f"--baseline {self.baseline!r} means several groups: {first_few(found)}; name one")
        return next(iter(exact or found), None)

    def refuse_unknown_baseline(self, comparisons: Iterable[Collection[str]]) -> None:
        """Raise ConfigError if no comparison has the baseline; `comparisons` are the labels of their groups."""
        comparisons = list(comparisons)
        if self.baseline is not None and not any(map(self.baseline_of, comparisons)):
            names = [*dict.fromkeys(name for groups in comparisons for name in groups)]
            raise ConfigError(f"--baseline {self.baseline!r}: no such group; there are {first_few(names)}")
