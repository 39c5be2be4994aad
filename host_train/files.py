"""Files, written whole or not at all."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path

from pynq_cnn.errors import ArgumentError


def check_file(path: Path) -> None:
    """`ArgumentError` if a file cannot be written to `path` because a folder is there."""
    if path.is_dir():
        raise ArgumentError(f"{path} is a folder; name a file")


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` write beside `path`, then move it there: an interruption leaves the file that was.

    Raises
    ------
    ArgumentError
        If a folder is there.
    """
    check_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def put_aside(folder: Path, mark: str) -> Path | None:
    """Rename a folder that has the file `mark` to `FOLDER.1`, or the next number that is free, so that another can take
    its place.

    Returns
    -------
    pathlib.Path or None
        Where it is now; None if there is no such folder.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     Path(place, "run").mkdir()
    ...     print(put_aside(Path(place, "run"), "run.json"))
    ...     _ = Path(place, "run", "run.json").write_text("{}")
    ...     put_aside(Path(place, "run"), "run.json").name
    None
    'run.1'
    """
    if not (folder / mark).is_file():
        return None
    target = folder.resolve()
    free = next(place for number in count(1) if not (place := target.with_name(f"{target.name}.{number}")).exists())
    target.rename(free)
    return free


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    replace_file(path, lambda temporary: temporary.write_text(text + "\n", encoding="utf-8"))


def write_csv(path: Path, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file: a line of heads, and a line a row."""

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([heads, *rows])

    replace_file(path, write)
