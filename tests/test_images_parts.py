"""The parts of finding a digit: connected strokes, the threshold, the paper beneath."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynq_cnn.images.components import components
from pynq_cnn.images.paper import otsu, paper_under


@settings(max_examples=100)
@given(st.integers(1, 14), st.integers(1, 14), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_components_are_those_of_a_flood_fill(h: int, w: int, seed: int, density: float) -> None:
    mask = np.random.default_rng(seed).random((h, w)) < density
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    expected = set()
    while left:
        edge, component = [left.pop()], set()
        while edge:
            y, x = edge.pop()
            component.add((y, x))
            near = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            edge += near
        expected.add(frozenset(component))
    found = components(mask)
    assert {frozenset(map(tuple, c.tolist())) for c in found} == expected
    assert sum(map(len, found)) == mask.sum()


def test_otsu_finds_the_best_of_all_thresholds() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0.2, 0.05, 3000), rng.normal(0.7, 0.1, 300)]).clip(0, 1)

    def within(t: float) -> float:
        low, high = values[values <= t], values[values > t]
        return float(low.var() * low.size + high.var() * high.size)

    threshold, low, high = otsu(values)
    assert within(threshold) <= 1.005 * min(within(t) for t in np.linspace(0.05, 0.9, 200))
    assert abs(low - 0.2) < 0.02 and abs(high - 0.7) < 0.05


def test_paper_follows_light_and_shadow_but_not_ink() -> None:
    y, x = np.mgrid[0:72, 0:96]
    bare = (200 - 0.8 * x - 0.3 * y) * np.where(x + y > 100, 0.6, 1.0)
    inked = bare.copy()
    inked[20:50, 30:40] *= 0.2
    error = np.abs(paper_under(inked.astype(np.float32)) / bare - 1)
    assert error.mean() < 0.07 and error[20:50, 30:40].max() < 0.1  # the ink itself is 0.8 darker


@pytest.mark.parametrize("step", [0.6, 0.75])
@pytest.mark.parametrize("slant", [0.0, 0.25, 0.5])
def test_the_edge_of_a_shadow_is_no_ink(step: float, slant: float) -> None:
    """Where the paper were taken to be lighter than it is in the shade, a band along the edge would count as ink."""
    y, x = np.mgrid[0:72, 0:96]
    bare = (200 - 0.8 * x - 0.3 * y) * np.where(y + slant * (x - 48) > 30, step, 1.0)
    lighter = (paper_under(bare.astype(np.float32)) / bare - 1)[:, 12:-12]  # a corner in the shade is ink
    assert (lighter > 0.05).mean() < 0.005
