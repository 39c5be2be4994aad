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
def engine_of(**sizes: int) -> Engine:
    """The engine with other sizes: macros of `hls_src/geometry.hpp` without their prefix."""
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    defines = [f"-DPCNN_{name}={value}" for name, value in sizes.items()]
    library = Path(tempfile.mkdtemp(prefix="pynq_cnn-")) / "small.so"
    sources = [str(HLS / "engine.cpp"), str(HLS / "host" / "abi.cpp")]
    subprocess.run(
        [compiler, "-std=c++14", "-O2", *WARNINGS, *defines, "-shared", "-fPIC", *sources, "-o", str(library)],
        check=True,
    )
    return Engine(library)


def small_engine() -> Engine:
    """4 KiB of feature maps, 64 weight tiles, 64 sparse entries, 8 results: little networks need many sections."""
    return engine_of(
        LOG2_FEATURE_MAP_BYTES=12, LOG2_WEIGHT_TILES=6, LOG2_ENTRIES=6, LOG2_RESULT_ENTRIES=3, PARAM_GROUPS=8
    )
