"""clang and libclang, both of LLVM 18 and both wheels of PyPI: `pip install ziglang==0.13.0 libclang==18.1.1`.

ziglang carries a whole clang with its headers, so that the same compiler reads the sources on every machine and
nothing of the system's is needed; libclang's wheel has no headers, and takes those.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("ziglang==0.13.0", "libclang==18.1.1")
STANDARD = "c++14"  # what Vitis HLS compiles by default, UG1399 "C/C++ Standard"
TARGET = "x86_64-linux-musl"

# What ziglang defines for its libc++; libclang has to be told.
LIBCXX = (
    "-D_LIBCPP_DISABLE_VISIBILITY_ANNOTATIONS",
    "-D_LIBCPP_HAS_NO_VENDOR_AVAILABILITY_ANNOTATIONS",
    "-D_LIBCPP_HAS_MUSL_LIBC",
    "-D_LIBCPP_PSTL_CPU_BACKEND_SERIAL",
    "-D_LIBCPP_ABI_VERSION=1",
    "-D_LIBCPP_ABI_NAMESPACE=__1",
    "-D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_NONE",
)

# All warnings are faults, but those of what only pragmas or the other headers use.
UNUSED = ("-Wno-unused-label", "-Wno-unused-function", "-Wno-unused-parameter")
WARNINGS = ("-Wall", "-Wextra", "-pedantic", "-Wno-unknown-pragmas", *UNUSED)

# Every loop is unrolled as its pragma says and otherwise left as it is; no pass makes arithmetic that the source does
# not have: no vectors, no wider counters, no products for the last value of a counter, no memset for a loop.
OPTIONS = (
    "-O2",
    "-g1",
    "-fno-discard-value-names",
    "-fno-vectorize",
    "-fno-slp-vectorize",
    "-fno-exceptions",
    "-fno-sanitize=all",
    "-fno-stack-protector",
    "-mcpu=x86_64",
    *(
        word
        for option in (
            "-indvars-widen-indvars=false",
            "-replexitval=never",
            "-disable-loop-idiom-all",
            "-enable-load-pre=false",
            "-funcspec-max-clones=0",
            "-unroll-full-max-count=100000",
            "-pragma-unroll-threshold=1000000",
        )
        for word in ("-mllvm", option)
    ),
)


class AuditError(Exception):
    """The audit cannot be made: a tool is missing, or the sources do not compile."""


def _headers() -> list[str]:
    try:
        import ziglang
    except ImportError as error:
        raise AuditError(f"no {PACKAGES[0]} here: pip install {' '.join(PACKAGES)}") from error
    for package in PACKAGES:
        name, _, wanted = package.partition("==")
        found = metadata.version(name)
        if found != wanted:
            raise AuditError(
                f"{name} {found} is here: another clang counts otherwise; pip install {' '.join(PACKAGES)}"
            )
    folder = Path(ziglang.__file__).parent / "lib"
    return [
        f"-isystem{folder / name}"
        for name in (
            "libcxx/include",
            "include",
            "libc/include/x86_64-linux-musl",
            "libc/include/generic-musl",
            "libc/include/x86-linux-any",
            "libc/include/any-linux-any",
        )
    ]


def flags(defines: tuple[str, ...] = ()) -> list[str]:
    """Language and macros of a synthesis run, with `defines` such as `PCNN_PE=24`."""
    return [f"-std={STANDARD}", "-D__SYNTHESIS__", *(f"-D{define}" for define in defines)]


def compile_ir(source: Path, defines: tuple[str, ...] = ()) -> str:
    """LLVM intermediate code of `source` as text."""
    _headers()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "top.ll"
        command = [sys.executable, "-m", "ziglang", "c++", "-target", TARGET, *flags(defines), *OPTIONS]
        command += ["-Wno-unknown-pragmas", "-Wno-unused-command-line-argument"]
        environment = {"ZIG_GLOBAL_CACHE_DIR": folder, "ZIG_LOCAL_CACHE_DIR": folder, **os.environ}
        done = subprocess.run(
            [*command, "-S", "-emit-llvm", str(source), "-o", str(output)],
            capture_output=True,
            text=True,
            env=environment,
        )
        if done.returncode != 0 or not output.exists():
            raise AuditError(f"{source.name} does not compile:\n{done.stderr.strip()}")
        return output.read_text(encoding="utf-8")


def parse(source: Path, defines: tuple[str, ...] = ()) -> Any:
    """The translation unit of `source` as libclang has it (clang.cindex.TranslationUnit)."""
    try:
        from clang import cindex
    except ImportError as error:
        raise AuditError(f"no {PACKAGES[1]} here: pip install {' '.join(PACKAGES)}") from error
    arguments = ["-xc++", "-target", TARGET, "-nostdinc", "-nostdinc++", *LIBCXX, *_headers(), *flags(defines)]
    unit = cindex.Index.create().parse(str(source), args=[*arguments, *WARNINGS])
    errors = [str(d) for d in unit.diagnostics if d.severity >= cindex.Diagnostic.Error]
    if errors:
        raise AuditError(f"{source.name} does not compile:\n" + "\n".join(errors))
    return unit
