"""Sources that hide an installation: a Python that is started in the source folder imports `pynq_cnn` from there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def source_folder() -> Path | None:
    """The source folder that this package is imported from, None if it is an installed one."""
    return PACKAGE.parent if (PACKAGE.parent / "hls_src").is_dir() else None


def hidden_installation(files: Iterable[str | os.PathLike[str]]) -> Path | None:
    """The folder of another `pynq_cnn`, further on in `sys.path`, that has one of `files`; None if there is none.

    Parameters
    ----------
    files : iterable of path
        Relative to the package.
    """
    names = list(files)
    for entry in sys.path:
        other = Path(entry or os.curdir).resolve() / PACKAGE.name
        if other != PACKAGE and any((other / name).is_file() for name in names):
            return other.parent
    return None
