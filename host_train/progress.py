"""Progress bars: of whatever takes more than a moment, where somebody looks at a terminal, and tqdm is installed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

Item = TypeVar("Item")


def track(items: Iterable[Item], title: str, unit: str, shown: bool = True, total: int | None = None) -> Iterator[Item]:
    """`items`, under a bar that is gone when they are.

    Parameters
    ----------
    items : iterable
        The items to work through.
    title : str
        Before the bar.
    unit : str
        Name of one item.
    shown : bool
        Show it where there is a terminal.
    total : int, optional
        How many there are, where `items` does not tell.

    Examples
    --------
    >>> list(track("abc", "letters", "letter"))
    ['a', 'b', 'c']
    """
    with _bar(items, title, unit, shown, total) as bar:
        yield from bar


def pieces(items: Any, size: int, title: str, unit: str, shown: bool = True) -> Iterator[Any]:
    """Slices of `size` of what has a length, under a bar that counts its items; see `track`.

    Examples
    --------
    >>> list(pieces("abcde", 2, "letters", "letter"))
    ['ab', 'cd', 'e']
    """
    with _bar((), title, unit, shown, len(items)) as bar:
        for start in range(0, len(items), size):
            piece = items[start : start + size]
            yield piece
            bar.update(len(piece))


class _NoBar:
    """Stands for `tqdm` and shows no bar."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = items

    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def update(self, count: int) -> None:
        pass


def _bar(items: Iterable[Any], title: str, unit: str, shown: bool, total: int | None) -> Any:
    try:
        from tqdm import tqdm  # here, as importing it takes longer than all else that `data` and `images` need
    except ModuleNotFoundError:
        return _NoBar(items)
    return tqdm(items, desc=title, unit=unit, total=total, leave=False, disable=None if shown else True)
