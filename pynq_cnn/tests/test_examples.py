"""Every example of every docstring gives what it says."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module
from importlib.util import find_spec

import pytest

import pynq_cnn
from pynq_cnn.backends.compiled import compiled_part
from pynq_cnn.backends.host import on_board
from pynq_cnn.errors import BackendError

# What examples need that not every installation has: the compiled part of a backend, as its folder and its file's stem.
COMPILED = {
    "pynq_cnn.backends.cpu.backend": ("cpu", "_cpu"),
    "pynq_cnn.backends.overlay.backend": ("kernel", "_engine"),
}
VIRTUAL = ("pynq_cnn.virtual_board", "pynq_cnn.backends.overlay.backend")  # they open a virtual board

MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(pynq_cnn.__path__, "pynq_cnn.", onerror=lambda name: None)
    if not name.startswith("pynq_cnn.tests")
    and not name.endswith("__main__")
    and name.rpartition(".")[2] not in [stem for _, stem in COMPILED.values()]  # libraries, not modules of Python
]


def test_the_modules_are_found() -> None:
    assert {"pynq_cnn.api", "pynq_cnn.model.network", "pynq_cnn.backends.overlay.driver"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    if name.startswith(VIRTUAL) and on_board():
        pytest.skip("the virtual board takes the place of a board, and here is one")
    if name.startswith(VIRTUAL) and find_spec("pynq") is None:
        pytest.skip("pynq is not installed")
    if name in COMPILED:
        backend, stem = COMPILED[name]
        try:
            compiled_part(backend, stem, backend)
        except BackendError as error:
            pytest.skip(str(error))
    try:
        module = import_module(name)
    except ImportError as error:
        library = (error.name or "").partition(".")[0]
        if library in ("", "pynq_cnn") or find_spec(library) is not None:
            raise
        pytest.skip(f"{library} is not installed")
    assert doctest.testmod(module).failed == 0
