"""The compiled `cpu_src/`, through a C ABI."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from pynq_cnn.backends.compiled import compiled_part
from pynq_cnn.errors import ArgumentError, BackendError

SET = "PYNQ_CNN_CPU_SET"  # of the environment: an instruction set instead of the best
SMALL = 1 << 16  # bytes of an image that are copied sooner than NumPy gives its address


class Library:
    """The compiled execution, with the instruction sets that this processor has.

    Parameters
    ----------
    path : path
        The shared library.

    Attributes
    ----------
    sets : tuple of str
        Instruction sets, the best first.

    Raises
    ------
    BackendError
        If it cannot be loaded.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            library = ctypes.CDLL(os.fspath(path))
            name, self._open, self._close = (
                library.pynq_cnn_cpu_set,
                library.pynq_cnn_cpu_open,
                library.pynq_cnn_cpu_close,
            )
            self._run = library.pynq_cnn_cpu_run
        except (OSError, AttributeError) as error:
            raise BackendError(f"the compiled backend {path} cannot be loaded: {error}; reinstall pynq_cnn") from error
        name.restype, name.argtypes = ctypes.c_char_p, [ctypes.c_int]
        pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
        self._open.restype = pointer
        self._open.argtypes = [pointer, ctypes.c_int64, text, number, number, number, text, number]
        self._close.restype, self._close.argtypes = None, [pointer]
        self._run.restype = ctypes.c_int
        self._run.argtypes = [pointer, pointer, pointer, ctypes.c_int64]
        found: list[str] = []
        while (known := name(len(found))) is not None:
            found.append(known.decode())
        self.sets = tuple(found)

    def chosen(self) -> str:
        """The instruction set that networks run on: the best, or that which the environment asks for.

        Raises
        ------
        ArgumentError
            If the environment asks for one that is not here.
        """
        asked = os.environ.get(SET, "")
        if asked and asked not in self.sets:
            raise ArgumentError(
                f"{SET} is {asked!r}, but this processor has {', '.join(self.sets)}; set it to one of these, or not at"
                " all"
            )
        return asked or self.sets[0]

    def open(self, plan: np.ndarray, name: str, threads: int, batch: int, eager: bool = False) -> Opened:
        """A network, by its plan, on an instruction set; if `eager`, threads share the least work too, for tests."""
        return Opened(self, plan, name, threads, batch, eager)


class Opened:
    """A network that the library has packed for an instruction set.

    One call at a time, which the backend's lock sees to; the GIL is released meanwhile.
    """

    def __init__(self, library: Library, plan: np.ndarray, name: str, threads: int, batch: int, eager: bool) -> None:
        message = ctypes.create_string_buffer(200)
        plan = np.ascontiguousarray(plan, "<i4")
        handle = library._open(
            plan.ctypes.data, len(plan), name.encode(), threads, batch, eager, message, ctypes.sizeof(message)
        )
        if not handle:
            raise BackendError(f"the cpu backend cannot open the network: {message.value.decode(errors='replace')}")
        self._run: Callable[..., int] = library._run
        self._close: Callable[..., Any] = library._close
        self._handle = handle
        self._kept: tuple[np.ndarray, np.ndarray, int, int] | None = None

    def run(self, images: np.ndarray, results: np.ndarray) -> None:
        """int32 results [n, outputs], C-contiguous, of C-contiguous uint8 images."""
        if len(images) == 1 and images.nbytes <= SMALL:
            image, result, image_at, result_at = self._kept or self._keep(images, results)
            image[...] = images
            failed = self._run(self._handle, image_at, result_at, 1)
            results[...] = result
        else:
            failed = self._run(self._handle, images.ctypes.data, results.ctypes.data, len(images))
        if failed:
            raise BackendError("there is no memory left to run the network; use a smaller batch, or fewer threads")

    def _keep(self, images: np.ndarray, results: np.ndarray) -> tuple[np.ndarray, np.ndarray, int, int]:
        """Arrays for one image and its result, whose addresses NumPy has been asked for once and for all."""
        image, result = np.empty_like(images, order="C"), np.empty_like(results, order="C")
        self._kept = image, result, image.ctypes.data, result.ctypes.data
        return self._kept

    def __del__(self) -> None:
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            self._close(handle)


@lru_cache(maxsize=1)
def load_library() -> Library:
    """The compiled execution.

    Raises
    ------
    BackendError
        If it was not compiled, or cannot be loaded.
    """
    return Library(compiled_part("cpu", "_cpu", "cpu backend"))
