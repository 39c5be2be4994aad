"""The soak of `tests/soak.py`, in short: `python tests/soak.py` is the long one."""

from __future__ import annotations

import pytest
from virtual import NO_PYNQ

pytest.importorskip("pynq", reason=NO_PYNQ)

from soak import FAULTS, Soak  # noqa: E402

pytestmark = pytest.mark.once


def test_no_wrong_answer_and_no_hang_whatever_fails() -> None:
    tally = Soak(images=4000, seed=1).run()
    assert tally.images >= 4000 and sum(tally.faults.values()) > len(FAULTS) and tally.errors


def test_a_wrong_answer_is_noticed() -> None:
    soak = Soak(images=1000, seed=0)
    soak.expected[1] = soak.expected[1] + 1
    with pytest.raises(AssertionError, match="wrong answer for images"):
        soak.run()
