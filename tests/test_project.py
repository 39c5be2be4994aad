"""The project is as contributors and users are told: commands, hooks, versions, citation."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pynq_cnn
from pynq_cnn.compiler import ISA_VERSION
from pynq_cnn.model.package.forms import FORMAT_VERSION

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


TARGETS = re.findall(r"^([\w-]+):(?!=)", read("Makefile"), re.MULTILINE)


def make(*words: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    return subprocess.run(["make", *words], cwd=ROOT, capture_output=True, text=True)


def test_help_lists_every_command() -> None:
    done = make("help")
    assert done.returncode == 0, done.stderr
    listed = re.findall(r"^make ([\w-]+) +\S", done.stdout, re.MULTILINE)
    assert listed == TARGETS and len(listed) > 10


@pytest.mark.parametrize("target", [target for target in TARGETS if target not in ("bitstream", "audit", "kernel")])
def test_what_a_command_runs_is_there(target: str) -> None:
    """Scripts, modules and pages that it names; the others are those of `hls_src/Makefile`, which has tests of its
    own.
    """
    done = make("--dry-run", target)
    assert done.returncode == 0, done.stderr
    if target == "help":
        return
    paths = re.findall(r"(?<![\w/.])((?:\.ci|docs|tests)/[\w./-]+)", done.stdout)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    modules = re.findall(r" -m (\w+)", done.stdout)
    assert paths or set(modules) & {"pytest", "ruff", "mypy", "sphinx", "pre_commit"}, done.stdout


def test_commands_that_contributors_are_told_are_there() -> None:
    told = re.findall(r"`make ([\w-]+)`", read("CONTRIBUTING.md"))
    assert set(told) <= set(TARGETS) and {"check", "test", "docs", "messages", "wheels", "ci"} <= set(told)


def test_hooks_run_what_ci_runs() -> None:
    """Commands of the Makefile, on this machine alone: nothing is fetched for them."""
    text = read(".pre-commit-config.yaml")
    assert re.findall(r"^  - repo: (\S+)", text, re.MULTILINE) == ["local"]
    entries = re.findall(r"entry: (.+)", text)
    assert len(entries) == len(re.findall("language: system", text)) == len(re.findall("- id: ", text)) > 0
    assert {entry.removeprefix("make ") for entry in entries} <= set(TARGETS) - {"help"}
    assert "make check" in entries and "make check" in read(".ci/run")


def test_versions_are_stated_as_they_are() -> None:
    page = read("docs/contract/versions.md")
    rows = {
        row.split("|")[1].strip(): row.split("|")[3].strip() for row in page.splitlines() if row.startswith("| the ")
    }
    assert rows == {
        "the Python package": pynq_cnn.__version__,
        "the model package": str(FORMAT_VERSION),
        "the instruction set": str(ISA_VERSION),
    }
    assert f"constexpr uint32_t ISA_VERSION = {ISA_VERSION};" in read("hls_src/geometry.hpp")
    assert f'version="{pynq_cnn.__version__}"' in read("setup.py")
    assert f"## Unreleased: {pynq_cnn.__version__}" in read("CHANGELOG.md") or (
        f"## {pynq_cnn.__version__}" in read("CHANGELOG.md")
    )


def test_the_citation() -> None:
    fields = dict(re.findall(r"^([\w-]+): *(.*)$", read("CITATION.cff"), re.MULTILINE))
    assert {"cff-version", "message", "title", "authors"} <= set(fields)  # what its schema demands
    assert fields["version"] == pynq_cnn.__version__
    assert fields["license"] == "Apache-2.0" and "Apache License" in read("LICENSE")


# Imports modules where nothing optional can be imported, and says which fail.
IMPORT_ALL = """
import importlib, sys
sys.modules.update(dict.fromkeys(("torch", "pynq", "tornado")))
for name in sys.stdin.read().split():
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(name, error)
"""


def test_doctests_of_what_is_not_installed_are_left_out() -> None:
    """The lists in conftest.py name every module that cannot be imported without PyTorch, pynq or tornado."""
    lists = runpy.run_path(str(ROOT / "conftest.py"))
    left_out = tuple(lists["NEEDS_TORCH"] + lists["NEEDS_PYNQ"] + lists["NEEDS_TORNADO"])
    paths = [path.relative_to(ROOT) for folder in ("pynq_cnn", "host_train") for path in (ROOT / folder).rglob("*.py")]
    wanted = [
        path
        for path in paths
        if not path.as_posix().startswith(left_out) and path.name != "__main__.py" and "tests" not in path.parts
    ]
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in wanted]
    assert len(names) > 100
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], input=" ".join(names), cwd=ROOT, capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == ("", 0), done.stdout + done.stderr
