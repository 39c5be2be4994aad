"""Builds of the kernel with other buffer sizes than the installed one, made by the machine's C++ compiler."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from pynq_cnn.backends.kernel.native import Engine

HLS = Path(__file__).parent.parent / "hls_src"
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-label"]


@functools.cache
def small_engine() -> Engine:
    """An engine with 2 KiB of input, 1 KiB of output, 128 weight tiles and 8 accumulator entries.

    Little networks already need many tiles, passes and wraps of the rings.
    """
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    sizes = {"INPUT_BYTES": 11, "OUTPUT_BYTES": 10, "WEIGHT_TILES": 7, "ACC_ENTRIES": 3}
    defines = [f"-DPCNN_LOG2_{name}={value}" for name, value in sizes.items()]
    library = Path(tempfile.mkdtemp(prefix="pynq_cnn-")) / "small.so"
    sources = [str(HLS / "engine.cpp"), str(HLS / "host" / "abi.cpp")]
    subprocess.run(
        [compiler, "-std=c++14", "-O2", *WARNINGS, *defines, "-shared", "-fPIC", *sources, "-o", str(library)],
        check=True,
    )
    return Engine(library)
