"""Where the bitstream is."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from pynq_cnn.backends.sources import hidden_installation
from pynq_cnn.errors import ArgumentError, BackendError


def overlay_folder() -> Path:
    """The folder of the package's bitstream: `pynq_cnn/overlays` where it is installed, `overlays/` in a checkout."""
    spec = find_spec("pynq_cnn.overlays")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent
    return Path(__file__).resolve().parents[3] / "overlays"


def find_bitfile(bitfile: str | os.PathLike[str] | None = None) -> Path:
    """A bitstream that has its hardware hand-off next to it.

    Parameters
    ----------
    bitfile : str or path-like, optional
        The `.bit` file; the package's own if not given.

    Raises
    ------
    ArgumentError
        If `bitfile` is no path.
    BackendError
        If it or its `.hwh` is missing.
    """
    if bitfile is not None and not isinstance(bitfile, (str, os.PathLike)):
        raise ArgumentError(f"bitfile must be the path of a .bit file, not {bitfile!r:.100}")
    path = overlay_folder() / "pynq_cnn.bit" if bitfile is None else Path(bitfile)
    remedy = (
        "build it (make -C hls_src bitstream; docs/guide/building-the-overlay.md), pass bitfile=, or do without the"
        " board: backend='kernel'"
    )
    if not path.is_file():
        installed = hidden_installation([Path("overlays", path.name)]) if bitfile is None else None
        if installed is not None:
            remedy = (
                f"the installed pynq_cnn in {installed} has one, but the source folder hides it: start Python in"
                " another folder"
            )
        raise BackendError(f"there is no bitstream {path}; {remedy}")
    hwh = path.with_suffix(".hwh")
    if not hwh.is_file():
        raise BackendError(
            f"there is no {hwh.name} next to {path}: a .bit needs the .hwh of the same build and the same stem;"
            f" {remedy}"
        )
    return path.resolve()
