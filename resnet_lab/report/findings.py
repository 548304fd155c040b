"""Sentences about what a report finds besides its comparisons: noise of images, populations, power laws, targets."""

from collections.abc import Mapping, Sequence

from resnet_lab.config.tasks import Scoring
from resnet_lab.report.image_noise import ImageNoise
from resnet_lab.report.spent import SPENT, Reached
from resnet_lab.report.statistics.images import Estimate
from resnet_lab.report.statistics.importance import Importance
from resnet_lab.report.statistics.population import Population
from resnet_lab.report.statistics.scaling import FEWEST, NARROWEST, PowerLaw
from resnet_lab.report.statistics.summary import LEVEL
from resnet_lab.report.words import minus, p_value
from resnet_lab.text import first_few, plural, short_number

MOST_TARGETS = 6  # groups
MOST_SETTINGS = 4  # of a population


def power_laws(found: Sequence[PowerLaw], scoring: Scoring) -> list[str]:
    """Say how the score changes with sizes, and for which no power law was fitted."""
    said = []
    for law in found:
        if law.exponent is not None and law.low is not None and law.high is not None:
            exponent, low, high = (minus(f"{value:.3f}") for value in (law.exponent, law.low, law.high))
            scatter = f"{_sizes(law)}, R² {law.explained:.2f}"
            doubling = f"each doubling multiplies it by {2**law.exponent:.3f}"
            said.append(f"{scoring.score} ∝ {law.size}^{exponent} ({low} to {high}; {scatter}): {doubling}")
    if few := [f"{law.size} ({_sizes(law)})" for law in found if law.exponent is None]:
        enough = f"it takes {FEWEST} sizes over a factor of {NARROWEST:g}, and scores that differ"
        said.append(f"no power law is fitted over {' and '.join(few)}: {enough}")
    return said


def _sizes(law: PowerLaw) -> str:
    return f"{law.sizes} sizes over a factor of {law.ratio:.3g}"


def population(found: Population, scoring: Scoring) -> list[str]:
    """Say where the best networks lie, and which of two spaces is better."""
    said = []
    for one in [own for own in found.settings if own.p < LEVEL][:MOST_SETTINGS]:
        how = p_value(one.p)
        if one.correlation is not None:
            how = f"rank correlation {minus(f'{one.correlation:.2f}')}, {how}"
        said.append(f"{one.name} of the best tenth: {one.best}; of all: {one.everyone} ({how})")
    said += [importance(found.importance)] if found.importance else []
    if found.spaces_compared:
        spaces = found.spaces_compared
        medians = " and ".join(scoring.text(value) for value in spaces.medians)
        first, second = spaces.names
        better = f"a network of {first} is better than one of {second} with probability {spaces.first_is_better:.2f}"
        tests = f"{p_value(spaces.p)}; distributions: {p_value(spaces.p_shape)}"
        said.append(f"{better} ({tests}); median {scoring.score}s {medians}")
    return said


def importance(found: Importance) -> str:
    """Say which settings matter most for the scores of networks that were not seen."""
    shares = [f"{name} {100 * share:.0f} %" for name, share in [*found.shares.items()][:MOST_SETTINGS]]
    told = f"importance in a random forest (R² {found.explained:.2f} on held-out networks): {', '.join(shares)}"
    return told if shares else "importance of settings is not given: the forest predicts no better than the mean"


def target(found: Mapping[str, Reached], value: float, scoring: Scoring) -> list[str]:
    """Say when groups reached the target, of the best ones."""
    said = []
    for group, one in [*found.items()][:MOST_TARGETS]:
        if not one.runs:
            said.append(f"no run of {group} has recorded validation {scoring.score}s")
            continue
        reached = (
            f"{one.reached} of {one.runs} runs of {group} reached a validation {scoring.score} of {scoring.text(value)}"
        )
        first = ", ".join(f"{SPENT[name]}: {short_number(at)}" for name, at in one.first.items() if at is not None)
        stayed = one.stayed["epoch"]
        until = "" if stayed is None else f"; it stayed there from epoch {stayed:g} on"
        said.append(f"{reached}; median {first}{until}" if first else reached)
    more = len(found) - MOST_TARGETS
    return [*said, *([f"{plural(more, 'more group')} in report.json"] if more > 0 else [])]


def image_noise(found: ImageNoise, scoring: Scoring, by_test: bool) -> list[str]:
    """Say how much of the noise comes from the images, and how alike the networks are."""
    best, *others = found.errors
    images = f"{found.images:,} {'test' if by_test else 'validation'} images"
    others_too = "other seeds and other images as well" if found.errors[best].over_runs else "other images"
    said = [f"with {others_too}: {best} {_both(found.errors[best], scoring)} ({images})"]
    if others:
        gap = found.above_best[others[0]]
        p = gap.over_images.p(gap.mean)
        alone = "for these trained networks alone, whatever other seeds give"
        over_images = "" if p is None else f"; {alone}: {p_value(p)} over images"
        said.append(f"{others[0]} minus {best}: {_both(gap, scoring, is_gap=True)}{over_images}")
    if by_test and found.optimism is not None:
        chosen = f"the lowest of {len(found.errors)} errors was chosen by the test images"
        too_low = scoring.gap(scoring.number(max(found.optimism, 0)))
        said.append(f"{chosen}, and is too low by some {too_low} on average (bootstrap over images)")
    pairs = [("two runs of it", found.within), (f"runs of it and of {others[0]}" if others else "", found.between)]
    alike = [f"{name} agree on {100 * one.same:.1f} % of the images" for name, one in pairs if one]
    if alike:
        rows = f" (rows {first_few([str(row) for row in found.hard])})" if found.hard else ""
        hard = f"all {found.runs} runs get {plural(len(found.hard), 'image')} wrong{rows}"
        said.append(f"{best}: {', '.join(alike)}; {hard}")
    return said


def _both(found: Estimate, scoring: Scoring, is_gap: bool = False) -> str:
    """Format a mean with its intervals over runs, over images, and over both."""
    parts = {"runs": found.over_runs, "images": found.over_images, "both": found.over_both}
    shown = ", ".join(f"± {scoring.number(one.half)} over {name}" for name, one in parts.items() if one)
    mean = minus(scoring.number(found.mean))
    return f"{scoring.gap(mean) if is_gap else f'{mean} {scoring.unit}'.rstrip()}, {shown}"
