"""The engine's audit, for the tests that have clang."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # `audited` for the tests, under any import mode

if TYPE_CHECKING:
    from audited import Audit, Run


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One cache of clang for all, which saves a third of a second each."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"):
            patch.setenv(name, str(tmp_path_factory.getbasetemp() / "zig"))
        yield


@pytest.fixture
def audit(tmp_path: Path) -> Run:
    """The audit of a text."""
    from audited import Audit

    def run(text: str, *defines: str) -> Audit:
        (tmp_path / "top.cpp").write_text(text)
        return Audit(tmp_path / "top.cpp", "top", defines)

    return run


@pytest.fixture(scope="session")
def engine() -> Audit:
    """The audit of today's engine."""
    from audited import ROOT, Audit, top_of

    return Audit(*top_of(ROOT / "hls_src" / "hls.tcl"))
