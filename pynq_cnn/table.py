"""Tables, as text, in Markdown and as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence

Rows = Sequence[Sequence[str]]


def text_table(rows: Rows, left: int = 1) -> str:
    """Columns of text, the first `left` of them aligned to the left, the others to the right.

    Examples
    --------
    >>> print(text_table([("a", "n"), ("bb", "10")]))
    a    n
    bb  10
    """
    wide = [max(map(len, column)) for column in zip(*rows)]
    lines = [
        "  ".join(cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, wide)))
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def markdown_table(rows: Rows) -> str:
    """A Markdown table, aligned to be read as it is: the first row is the head, the first column names.

    Examples
    --------
    >>> print(markdown_table([["layer", "bytes"], ["fc1", "7"]]))
    | layer | bytes |
    | ----- | ----: |
    | fc1   |     7 |
    """
    wide = [max(map(len, column)) for column in zip(*rows)]
    rule = ["-" * wide[0], *("-" * (w - 1) + ":" for w in wide[1:])]
    lines = (
        [cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, wide))]
        for row in (rows[0], rule, *rows[1:])
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def html_table(rows: Rows) -> str:
    """An HTML table, the first row as its head.

    Examples
    --------
    >>> html_table([("a",), ("<b>",)])
    '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """

    def cells(row: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row) + "</tr>"

    body = "".join(cells(row, "td") for row in rows[1:])
    return f"<table><thead>{cells(rows[0], 'th')}</thead><tbody>{body}</tbody></table>"
