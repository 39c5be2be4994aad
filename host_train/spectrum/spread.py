"""The comparison over several trainings: means with their spread, and in how many of them each method is the
best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from host_train.settings import Settings
from host_train.spectrum.codec import CODINGS
from host_train.spectrum.study import Point
from pynq_cnn.errors import ArgumentError
from pynq_cnn.table import markdown_table


@dataclass(frozen=True)
class Measure:
    """One of the figures of a `Point`.

    Parameters
    ----------
    field : str
        Its name there.
    title : str
        Heading of its table, in percent.
    form : str
        Format of a number in percent.
    best : callable
        `numpy.min` or `numpy.max`.
    """

    field: str
    title: str
    form: str
    best: Callable[..., np.ndarray]


TOP1 = "top1"
MEASURES = (
    Measure("weight_error", "squared error of the weights, % of their squared sum", ".3g", np.min),
    Measure("logit_error", "squared error of the logits, % of their squared sum", ".3g", np.min),
    Measure(TOP1, "top-1 on the test set, %", ".2f", np.max),
)


def check_seeds(settings: Sequence[Settings]) -> None:
    """`ArgumentError` unless the trainings differ in their seeds, and in nothing else: else their spread is not that of
    chance.

    Parameters
    ----------
    settings : sequence of Settings
        Of each run. How many threads they had does not count.
    """
    seen: dict[int, Settings] = {}
    for one in settings:
        first = settings[0]
        if replace(one, seed=first.seed, threads=first.threads) != first:
            raise ArgumentError(
                f"runs must differ in their seeds only, but one is of {first.command()!r} and another of"
                f" {one.command()!r}; study runs of different settings one after the other"
            )
        if one.seed in seen:
            raise ArgumentError(
                f"two of the runs have seed {one.seed}: the same training twice says nothing of its spread; remove one"
            )
        seen[one.seed] = one


def values(points: Mapping[int, Sequence[Point]], field: str) -> dict[tuple[int, str], np.ndarray]:
    """A figure by rate and method: float64 [seeds], seeds in the order of `points`, which are by seed."""
    return {
        (point.rate, point.method): np.array([float(getattr(some[place], field)) for some in points.values()])
        for place, point in enumerate(next(iter(points.values())))
    }


def best_counts(points: Mapping[int, Sequence[Point]], measure: Measure) -> dict[tuple[int, str], int]:
    """In how many seeds each method is the best of its rate, by rate and method; ties count for each.

    Parameters
    ----------
    points : mapping
        By seed, of every method at the same rates.
    measure : Measure
        The measure to compare.
    """
    found = values(points, measure.field)
    best = {rate: measure.best(np.stack([found[rate, method] for method in CODINGS]), axis=0) for rate, _ in found}
    return {key: int((some == best[key[0]]).sum()) for key, some in found.items()}


def to_markdown(points: Mapping[int, Sequence[Point]], measure: Measure) -> str:
    """A table of one figure: a line a rate, a column a method.

    Cells are means over the seeds with the standard deviation; where there is one seed, its figure. Stored bytes are
    those of the uniform ways and of water-filling, on average. The last column says in how many seeds each method is
    the best, in the order of the columns; ties count for each.

    Parameters
    ----------
    points : mapping
        By seed, of every method at the same rates.
    measure : Measure
        The measure in the table.
    """
    found, stored, counts = values(points, measure.field), values(points, "stored_bits"), best_counts(points, measure)
    lines = [["bits", "stored bytes", *CODINGS, f"best in, of {len(points)}"]]
    for rate in dict.fromkeys(rate for rate, _ in found):
        size = " / ".join(f"{stored[rate, method].mean() / 8:,.0f}" for method in (CODINGS[0], CODINGS[2]))
        cells = [spread(100 * found[rate, method], measure.form) for method in CODINGS]
        lines.append([str(rate), size, *cells, " / ".join(str(counts[rate, method]) for method in CODINGS)])
    return markdown_table(lines)


def spread(some: np.ndarray, form: str) -> str:
    """Mean and standard deviation (by n - 1) of [n] values; of one value, itself.

    Examples
    --------
    >>> spread(np.array([97.0, 98.0, 99.0]), ".2f"), spread(np.array([97.0]), ".2f")
    ('98.00 ± 1.00', '97.00')
    """
    mean = f"{some.mean():{form}}"
    return mean if len(some) == 1 else f"{mean} ± {some.std(ddof=1):{form}}"
