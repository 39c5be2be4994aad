"""Results as a data frame of pandas, where it is installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from pynq_cnn.errors import ArgumentError


def rows_of(items: Iterable[Any]) -> list[dict[str, Any]]:
    """Dataclasses or mappings as rows: a value for each name, what is nested under `name.inner`.

    Examples
    --------
    >>> rows_of([{"threshold": 0.5, "layers": {"fc1": 0.25}}])
    [{'threshold': 0.5, 'layers.fc1': 0.25}]
    """
    rows = []
    for item in items:
        row: dict[str, Any] = {}
        given = asdict(item) if is_dataclass(item) and not isinstance(item, type) else item
        if not isinstance(given, Mapping):
            raise ArgumentError(f"a row must be a dataclass or a mapping, not {item!r:.60}")
        for name, value in given.items():
            if isinstance(value, Mapping):
                row.update((f"{name}.{inner}", one) for inner, one in value.items())
            else:
                row[name] = value
        rows.append(row)
    return rows


def to_frame(items: Iterable[Any]) -> Any:
    """A `pandas.DataFrame` with a row for each item: rows of `compression_table`, points of `sweep` and `sensitivity`,
    epochs of a history.

    Raises
    ------
    ArgumentError
        If pandas is not installed.
    """
    rows = rows_of(items)
    try:
        import pandas
    except ModuleNotFoundError:
        raise ArgumentError(
            "a data frame needs pandas, which is not installed: pip install pandas; without it take the rows of"
            " host_train.frame.rows_of, or a CSV file"
        ) from None
    return pandas.DataFrame(rows)
