"""Which layer gets how many bytes: the choices of least error within a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np

from pynq_cnn.errors import ArgumentError

MOST_SUMS = 1 << 14  # that are kept on the way


class Costed(Protocol):
    """One way to keep a layer: bytes, and the error that it makes."""

    @property
    def stored(self) -> int: ...

    @property
    def error(self) -> float: ...


Way = TypeVar("Way", bound=Costed)


def spread(found: Mapping[str, Sequence[Way]], budget: int) -> dict[str, Way]:
    """The choice of each layer at which the errors' sum is least for at most `budget` bytes in all.

    Layers are added one by one to all sums that are worth keeping: those than which no other has less error and not
    more bytes. Where they are more than `MOST_SUMS`, one in each of so many equal parts of the budget is kept.

    Parameters
    ----------
    found : mapping
        Every way to keep each layer.
    budget : int
        Bytes of all layers.

    Raises
    ------
    ArgumentError
        If the smallest choices take more.
    """
    least = sum(min(one.stored for one in some) for some in found.values())
    if least > budget:
        raise ArgumentError(f"{budget:,} bytes are too few: with the largest steps the weights take {least:,}")
    sizes, errors = np.zeros(1, np.int64), np.zeros(1)
    steps: list[tuple[np.ndarray, np.ndarray]] = []  # of each layer: the sum that each is made of, and the choice
    for some in found.values():
        own = np.array([one.stored for one in some])
        sums = (sizes[:, None] + own).ravel()
        errs = (errors[:, None] + [one.error for one in some]).ravel()
        order = np.lexsort((errs, sums))
        order = order[sums[order] <= budget]
        best = np.minimum.accumulate(errs[order])
        order = order[np.append(True, best[1:] < best[:-1])]
        if len(order) > MOST_SUMS:
            part = sums[order] * MOST_SUMS // (budget + 1)
            order = order[np.append(part[1:] != part[:-1], True)]
        sizes, errors = sums[order], errs[order]
        steps.append((order // len(own), order % len(own)))
    chosen: dict[str, Way] = {}
    place = len(sizes) - 1
    for (name, some), (before, choice) in zip(reversed(list(found.items())), reversed(steps)):
        chosen[name] = some[choice[place]]
        place = int(before[place])
    return {name: chosen[name] for name in found}
