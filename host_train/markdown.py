"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Cells as a Markdown table, aligned to be read as it is: the first line is the head, the first column names.

    Examples
    --------
    >>> print(markdown_table([["layer", "bytes"], ["fc1", "7"]]))
    | layer | bytes |
    | ----- | ----: |
    | fc1   |     7 |
    """
    widths = [max(map(len, column)) for column in zip(*lines)]
    # Names to the left, numbers to the right.
    text = [
        [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))] for line in lines
    ]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (text[0], rule, *text[1:]))
