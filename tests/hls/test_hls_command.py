"""The audit's command."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest
from audited import GOOD, budget, main, planted, report, toolchain

pytestmark = pytest.mark.once


@pytest.mark.parametrize("name", ["budget", "multipliers", "arrays", "hardware", "reserved"])
def test_the_examples_of_the_docstrings(name: str) -> None:
    tried = doctest.testmod(importlib.import_module(f"audit.{name}"))
    assert tried.attempted and not tried.failed


def test_the_command_fails_for_a_fault_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "KNOWN", {})
    (tmp_path / "top.cpp").write_text(planted("count", "program"))
    words = ["--source", str(tmp_path / "top.cpp"), "--top", "top"]
    assert main(words) == 1 and "fault: top.cpp: the port `program`" in capsys.readouterr().out
    (tmp_path / "top.cpp").write_text(GOOD)
    assert main(words) == 0 and "| **sum** | **4** |" in capsys.readouterr().out
    monkeypatch.setattr(report, "KNOWN", {"DSP: ": "so far"})
    assert main(words) == 1 and "`DSP:` is mended: take it off KNOWN" in capsys.readouterr().out


def test_the_command_says_what_it_cannot_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "top.cpp").write_text("int nothing;")
    assert main(["--source", str(tmp_path / "top.cpp"), "--top", "top"]) == 2
    assert "no function top" in capsys.readouterr().err


def test_another_clang_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(toolchain, "PACKAGES", ("ziglang==0.1.0", "libclang==18.1.1"))
    (tmp_path / "top.cpp").write_text(GOOD)
    assert main(["--source", str(tmp_path / "top.cpp"), "--top", "top"]) == 2
    assert "another clang counts otherwise; pip install ziglang==0.1.0" in capsys.readouterr().err


def test_what_is_known_is_said_with_a_reason() -> None:
    assert all(reason for reason in budget.KNOWN.values())
