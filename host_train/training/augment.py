"""Random distortions of a whole batch of images at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from pynq_cnn.checks import integer
from pynq_cnn.errors import ArgumentError


@dataclass(frozen=True)
class Augmentation:
    """Random affine distortion, each amount drawn uniformly from [-a, a] for every image.

    Parameters
    ----------
    shift : float
        Pixels, in either direction.
    rotation : float
        Degrees.
    scale, shear : float
        Fractions.
    flip : bool
        Mirror left and right half of the images.
    crop : int
        Whole pixels, in either direction: a shift without interpolation, drawn from all offsets.
    reflect : bool
        Outside of the image a crop sees its reflection, instead of black. Where images fill their frame, black
        borders make activations, and so statistics of batch norms, of a kind that no test image has.
    erase : int
        Side, in pixels, of a square at random in the image that becomes its mean. [DeVries and Taylor 2017, "Cutout",
        arXiv 1708.04552]

    Raises
    ------
    ArgumentError
        For a negative amount, a scale of 1 or more, or a reflection without a crop.

    Examples
    --------
    >>> images = torch.rand(2, 1, 28, 28)
    >>> torch.equal(Augmentation().apply(images), images)
    True
    >>> Augmentation(shift=2, rotation=10).apply(images).shape
    torch.Size([2, 1, 28, 28])
    """

    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    flip: bool = False
    crop: int = 0
    reflect: bool = False
    erase: int = 0

    def __post_init__(self) -> None:
        for name in ("crop", "erase"):
            integer(f"{name}, in whole pixels,", getattr(self, name), 0)
        for name in ("shift", "rotation", "scale", "shear"):
            if not 0 <= getattr(self, name) < (1 if name == "scale" else math.inf):
                raise ArgumentError(
                    f"{name} must not be negative{' and below 1' if name == 'scale' else ''}, not"
                    f" {getattr(self, name)!r}"
                )
        if self.reflect and not self.crop:
            raise ArgumentError("reflect says what a crop sees outside of the image; give a crop too")

    def apply(self, images: torch.Tensor, part: slice = slice(None), whole: int | None = None) -> torch.Tensor:
        """Distorted copies of float [n, channels, height, width] images, by torch's global generator.

        Pixels from outside are 0, or reflected; `ArgumentError` if the images are too small for that. Where `images`
        are only the `part` of a batch of `whole`, they are distorted as they would be in it.
        """
        total = len(images) if whole is None else whole
        if self.flip:
            mirrored = torch.rand(total, 1, 1, 1, device=images.device)[part] < 0.5
            images = torch.where(mirrored, images.flip(-1), images)
        if self.crop:
            images = _random_crop(images, self.crop, self.reflect, part, total)
        if self.erase:
            images = _random_erase(images, self.erase, part, total)
        if not (self.shift or self.rotation or self.scale or self.shear):
            return images
        height, width = images.shape[-2:]
        angle, size, shear, down, right = (torch.rand(5, total, device=images.device)[:, part] * 2 - 1).unbind()
        angle, size, shear = angle * math.radians(self.rotation), 1 + size * self.scale, shear * self.shear
        # affine_grid works in units of half the image; the matrix takes output coordinates to input coordinates.
        down, right = down * self.shift * 2 / height, right * self.shift * 2 / width
        cos, sin = angle.cos() * size, angle.sin() * size
        matrix = torch.stack([torch.stack([cos, shear - sin, right], 1), torch.stack([sin, cos, down], 1)], 1)
        grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _random_crop(images: torch.Tensor, border: int, reflect: bool, part: slice, total: int) -> torch.Tensor:
    """Each image cut at random out of itself with a border around, black or its reflection."""
    n, _, height, width = images.shape
    if reflect and border >= min(height, width):
        raise ArgumentError(f"images of {height} x {width} have no reflection of crop={border} pixels; lower it")
    padded = F.pad(images, (border,) * 4, mode="reflect" if reflect else "constant")
    down, right = torch.randint(0, 2 * border + 1, (2, total, 1), device=images.device)[:, part]
    rows = down + torch.arange(height, device=images.device)
    columns = right + torch.arange(width, device=images.device)
    chosen = torch.arange(n, device=images.device)[:, None, None]
    return padded[chosen, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _random_erase(images: torch.Tensor, side: int, part: slice, total: int) -> torch.Tensor:
    """Each image with a square of `side` around a pixel of it at random, as far as it is inside, filled with its mean
    of each channel.
    """
    height, width = images.shape[-2:]
    inside = []
    for extent in (height, width):
        first = torch.randint(0, extent, (total, 1), device=images.device)[part] - side // 2
        place = torch.arange(extent, device=images.device)
        inside.append((place >= first) & (place < first + side))
    return torch.where((inside[0][:, :, None] & inside[1][:, None, :])[:, None], images.mean((2, 3), True), images)
