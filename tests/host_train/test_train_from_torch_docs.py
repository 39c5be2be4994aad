"""docs/your-own-network.md does what it says."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

PAGE = Path(__file__).parents[2] / "docs" / "your-own-network.md"


@pytest.mark.filterwarnings("ignore:.* does not use")
def test_the_page_runs(tmp_path):
    with torch.random.fork_rng(devices=[]):
        result = doctest.testfile(
            str(PAGE), module_relative=False, globs={"folder": tmp_path}, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        )
    assert result.attempted > 15 and not result.failed
    assert (tmp_path / "mine" / "manifest.json").is_file()
