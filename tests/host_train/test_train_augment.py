"""Augmentation: what is moved, turned, cut and erased, and by how much."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from host_train.training.augment import Augmentation
from pynq_cnn.errors import ArgumentError


def test_augmentation_moves_by_at_most_its_shift():
    image = torch.zeros(400, 1, 21, 21)
    image[:, :, 10, 10] = 1
    moved = Augmentation(shift=2).apply(image)
    mass = moved.sum((1, 2, 3))
    assert torch.allclose(mass, torch.ones(400), atol=1e-4)
    rows = (moved.sum((1, 3)) * torch.arange(21)).sum(1) - 10
    columns = (moved.sum((1, 2)) * torch.arange(21)).sum(1) - 10
    for offset in (rows, columns):
        assert offset.abs().max() <= 2.001 and offset.max() > 1.5 and offset.min() < -1.5


def test_augmentation_turns_by_at_most_its_rotation():
    image = torch.zeros(400, 1, 41, 41)
    image[:, :, 20, 36] = 1  # 16 pixels right of the centre
    turned = Augmentation(rotation=30).apply(image)
    rows = (turned.sum((1, 3)) * torch.arange(41)).sum(1) / turned.sum((1, 2, 3)) - 20
    angle = torch.rad2deg(torch.asin(rows / 16))
    assert angle.abs().max() < 31.5 and angle.max() > 25 and angle.min() < -25


def test_augmentation_scales_and_mirrors():
    square = torch.zeros(400, 1, 40, 40)
    square[:, :, 10:30, 10:30] = 1
    side = Augmentation(scale=0.2).apply(square).sum((1, 2, 3)).sqrt()
    assert 20 / 1.2 - 0.5 < side.min() < 17.5 and 24 < side.max() < 20 / 0.8 + 0.5
    half = torch.zeros(400, 1, 4, 4)
    half[..., :2] = 1
    left = Augmentation(flip=True).apply(half)[:, 0, 0, 0]
    assert 130 < left.sum() < 270 and set(left.tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(("reflect", "mode"), [(False, "constant"), (True, "reflect")])
def test_crops_are_windows_of_the_image_with_a_border(reflect, mode):
    image = np.random.default_rng(0).random((2, 5, 6), np.float32)
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode)
    windows = [padded[:, y : y + 5, x : x + 6] for y in range(3) for x in range(3)]
    crops = Augmentation(crop=1, reflect=reflect).apply(torch.from_numpy(image).expand(300, 2, 5, 6)).numpy()
    matches = [[np.array_equal(crop, window) for window in windows] for crop in crops]
    assert (np.sum(matches, axis=1) == 1).all() and (np.sum(matches, axis=0) > 10).all()  # every offset, about as often


def test_images_too_small_to_reflect_are_refused():
    with pytest.raises(ArgumentError, match="images of 4 x 9 have no reflection of crop=4"):
        Augmentation(crop=4, reflect=True).apply(torch.zeros(1, 1, 4, 9))
    assert Augmentation(crop=3, reflect=True).apply(torch.zeros(1, 1, 4, 9)).shape == (1, 1, 4, 9)


@pytest.mark.parametrize(
    "bad",
    [
        {"shift": -1},
        {"rotation": float("nan")},
        {"scale": 1.0},
        {"shear": -0.1},
        {"crop": -1},
        {"crop": 1.5},
        {"reflect": True},
    ],
)
def test_bad_augmentations_are_refused(bad):
    with pytest.raises(ArgumentError, match=list(bad)[0]):
        Augmentation(**bad)


def test_erasing_fills_a_square_with_the_mean():
    images = torch.rand(300, 2, 9, 11)
    erased = Augmentation(erase=4).apply(images)
    changed = (erased != images).any(1)
    sizes = changed.sum((1, 2))
    assert sizes.max() == 16 and 1 <= sizes.min() < 16  # at the border a part of it
    for image, before, where in zip(erased, images, changed):
        rows, columns = where.any(1).nonzero().ravel(), where.any(0).nonzero().ravel()
        assert where.sum() == len(rows) * len(columns)  # a whole rectangle
        assert torch.allclose(image[:, where], before.mean((1, 2))[:, None].expand(-1, int(where.sum())))
    assert all(changed[:, y, x].any() for y in (0, 8) for x in (0, 10))


@pytest.mark.parametrize("bad", [{"erase": -1}, {"erase": 1.5}])
def test_bad_squares_are_refused(bad):
    with pytest.raises(ArgumentError, match="erase"):
        Augmentation(**bad)
