"""Titles of pictures, which may hold names and paths of the user's: in as many lines as it takes to show them whole."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LETTERS = 10  # of matplotlib's title to an inch, at the least: an average line has 11 to 12


def wrapped(text: str, inches: float) -> str:
    """Every line of `text` in lines that fit into a width.

    Examples
    --------
    >>> print(wrapped("what it is of, where it is from\\nand how large", 2))
    what it is of, where
    it is from
    and how large
    """
    return "\n".join(part for line in text.splitlines() for part in wrap(line, int(LETTERS * inches)))


def set_title(figure: Figure, text: str) -> None:
    """Write it above all axes of a figure; a `$` in it is one."""
    figure.suptitle(wrapped(text, figure.get_figwidth()), parse_math=False)
