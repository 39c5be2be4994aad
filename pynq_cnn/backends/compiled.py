"""The parts that a C++ compiler makes at installation: where it is, or why it is not there."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from pynq_cnn.backends.sources import PACKAGE, hidden_installation, source_folder
from pynq_cnn.errors import BackendError


def compiled_part(backend: str, stem: str, what: str) -> Path:
    """The shared library `stem` of a backend.

    Parameters
    ----------
    backend : str
        Whose folder it is in.
    stem : str
        The file's name without the suffix, which depends on the machine and its Python.
    what : str
        What messages call it.

    Raises
    ------
    BackendError
        If it was not compiled; says what to do.
    """
    names = [f"{stem}{suffix}" for suffix in EXTENSION_SUFFIXES]
    for name in names:
        path = PACKAGE / "backends" / backend / name
        if path.is_file():
            return path
    how = "(Debian: apt-get install g++ python3-dev)"
    sources = source_folder()
    if sources is None:
        raise BackendError(
            f"the {what} was not compiled when pynq_cnn was installed, as there was no C++ compiler; "
            f"install one {how}, then reinstall pynq_cnn, or use backend='reference'"
        )
    here = f"pynq_cnn is imported from its source folder {sources}, where the {what} is not compiled for this Python"
    installed = hidden_installation(Path("backends", backend, name) for name in names)
    if installed is not None:
        raise BackendError(
            f"{here}; this hides the installed pynq_cnn in {installed}, which has it: start Python in another folder"
        )
    raise BackendError(
        f"{here}; with a C++ compiler {how}, pip install -e . compiles it there; "
        "or install pynq_cnn and start Python in another folder, or use backend='reference'"
    )
