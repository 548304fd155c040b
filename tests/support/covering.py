"""Covering arrays: few combinations in which every possible pair of options of two axes occurs."""

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, islice
from typing import Any

Row = dict[str, int]  # axis → index of its option
Pair = tuple[tuple[str, int], tuple[str, int]]
ATTEMPTS = 1000  # rows for a pair before it counts as impossible
CANDIDATES = 60  # for each row, of which the one with the most new pairs is taken


def covering(axes: Mapping[str, Sequence[Any]], is_valid: Callable[[Row], bool]) -> tuple[list[Row], set[Pair]]:
    """The rows, and the pairs for which no valid row was found."""
    rng = random.Random(0)
    options = {axis: range(len(values)) for axis, values in axes.items()}
    every = sorted((axis, value) for axis, values in options.items() for value in values)
    missing = {(one, other) for one, other in combinations(every, 2) if one[0] != other[0]}
    rows, impossible = [], set[Pair]()
    while missing:
        needed = min(missing)
        candidates = [_row(dict(needed), options, missing, rng, greedy) for greedy in (True, False) * CANDIDATES]
        valid = [row for row in candidates if is_valid(row)]
        if not valid:  # most rows with this pair are refused
            others = (_row(dict(needed), options, missing, rng, greedy=False) for _ in range(ATTEMPTS))
            valid = [*islice(filter(is_valid, others), 1)]
        if valid:
            rows.append(max(valid, key=lambda row: len(missing & pairs(row))))
            missing -= pairs(rows[-1])
        else:
            impossible.add(needed)
            missing.remove(needed)
    return rows, impossible


def pairs(row: Row) -> set[Pair]:
    return set(combinations(sorted(row.items()), 2))


def _row(row: Row, options: Mapping[str, range], missing: set[Pair], rng: random.Random, greedy: bool) -> Row:
    """Fill the other axes in random order, each with the option that covers most, or at random."""
    for axis in rng.sample(left := sorted(options.keys() - row.keys()), len(left)):
        shuffled = rng.sample(options[axis], len(options[axis]))
        row[axis] = max(shuffled, key=lambda value: len(missing & pairs(row | {axis: value})) if greedy else 0)
    return row
