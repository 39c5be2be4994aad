"""Random distortions of a whole batch of images at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

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

    def __post_init__(self) -> None:
        for name in ("shift", "rotation", "scale", "shear", "crop"):
            if not 0 <= getattr(self, name) < (1 if name == "scale" else math.inf):
                raise ArgumentError(
                    f"{name} must not be negative{' and below 1' if name == 'scale' else ''}, not"
                    f" {getattr(self, name)!r}"
                )
        if not isinstance(self.crop, int):
            raise ArgumentError(f"crop must be whole pixels, not {self.crop!r}")
        if self.reflect and not self.crop:
            raise ArgumentError("reflect says what a crop sees outside of the image; give a crop too")

    def apply(self, images: torch.Tensor) -> torch.Tensor:
        """Distorted copies of float [n, channels, height, width] images, by torch's global generator.

        Pixels from outside are 0, or reflected; `ArgumentError` if the images are too small for that.
        """
        if self.flip:
            mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
            images = torch.where(mirrored, images.flip(-1), images)
        if self.crop:
            images = _random_crop(images, self.crop, self.reflect)
        if not (self.shift or self.rotation or self.scale or self.shear):
            return images
        height, width = images.shape[-2:]
        angle, size, shear, down, right = (torch.rand(5, len(images), device=images.device) * 2 - 1).unbind()
        angle, size, shear = angle * math.radians(self.rotation), 1 + size * self.scale, shear * self.shear
        # affine_grid works in units of half the image; the matrix takes output coordinates to input coordinates.
        down, right = down * self.shift * 2 / height, right * self.shift * 2 / width
        cos, sin = angle.cos() * size, angle.sin() * size
        matrix = torch.stack([torch.stack([cos, shear - sin, right], 1), torch.stack([sin, cos, down], 1)], 1)
        grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _random_crop(images: torch.Tensor, border: int, reflect: bool) -> torch.Tensor:
    """Each image cut at random out of itself with a border around, black or its reflection."""
    n, _, height, width = images.shape
    if reflect and border >= min(height, width):
        raise ArgumentError(f"images of {height} x {width} have no reflection of crop={border} pixels; lower it")
    padded = F.pad(images, (border,) * 4, mode="reflect" if reflect else "constant")
    down, right = torch.randint(0, 2 * border + 1, (2, n, 1), device=images.device)
    rows = down + torch.arange(height, device=images.device)
    columns = right + torch.arange(width, device=images.device)
    chosen = torch.arange(n, device=images.device)[:, None, None]
    return padded[chosen, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
