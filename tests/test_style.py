"""The sources are written in one style, where ruff does not see to it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("benchmarks", "cpu_src", "docs", "hls_src", "host_train", "overlays", "pynq_cnn", "tests")
SUFFIXES = (".py", ".hpp", ".cpp")
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.suffix in SUFFIXES]
PYTHON, CPP = ([path for path in SOURCES if (path.suffix == ".py") == python] for python in (True, False))

if not CPP:
    pytest.skip("pynq_cnn is installed without its sources", allow_module_level=True)


def lines(paths: list[Path], wrong: re.Pattern[str]) -> list[str]:
    """Lines in which there is what is wrong."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if wrong.search(line)
    ]


def test_no_line_of_cpp_is_longer_than_120_columns() -> None:
    """As of Python, which ruff sees to; a pragma cannot be broken. `clang-format -i` breaks them by `.clang-format`."""
    assert lines(CPP, re.compile("^(?!#pragma).{121}")) == []


def test_a_file_of_several_parts_is_several_files() -> None:
    assert lines(SOURCES, re.compile(r"^\s*(#|//) ?-{3,}")) == []


@pytest.mark.once
def test_docstrings_name_the_thing() -> None:
    """ "The audit's count for a loop", not "What the audit counts for a loop"."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"
        for path in PYTHON
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, kinds) and (ast.get_docstring(node) or "").startswith("What ")
    ]
    assert found == []


def test_there_is_one_writer_of_csv() -> None:
    """It writes whole files or none, in one form of CSV."""
    found = {line.split(":")[0] for line in lines(PYTHON, re.compile(r"\bcsv\.(Dict)?[wW]riter\("))}
    assert {path for path in found if path.startswith(("host_train/", "pynq_cnn/", "benchmarks/"))} == {
        "host_train/files.py"
    }
