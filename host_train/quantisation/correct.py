"""Bias correction: the mean that rounding adds to the sums of each channel is taken out of the bias again.

[Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv 1906.04721, section
4.2; here over calibration images, as in its appendix D]
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from host_train.quantisation.graph import LayerGraph, walk
from host_train.quantisation.layers.rules import role
from host_train.quantisation.layers.state import Role

IMAGES = 256
PIXELS = 2**20  # of all images together: the outputs of a few layers are kept for all of them


def channel_means(folded: LayerGraph, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """The mean of every channel of the layers that give sums, for `correct`.

    Parameters
    ----------
    folded : LayerGraph
        From `fold`.
    inputs : torch.Tensor
        Normalised training images float32 [n, channels, height, width]: at most 256 are used.

    Returns
    -------
    dict of str to torch.Tensor
        By layer, float32 [channels].
    """
    with torch.no_grad():
        return {
            name: _mean(values)
            for name, layer, _, values in walk(folded, _few(inputs))
            if role(layer, name) in (Role.SUMS, Role.SCALE)
        }


def correct(quantised: LayerGraph, means: Mapping[str, torch.Tensor], inputs: torch.Tensor) -> None:
    """Change biases such that every channel has the mean that it has in floating point.

    Parameters
    ----------
    quantised : LayerGraph
        From `calibrations`; weights and steps stay as they are.
    means : mapping of str to torch.Tensor
        `channel_means` of what it was made of, over these images.
    inputs : torch.Tensor
        Normalised training images float32 [n, channels, height, width]: at most 256 are used.
    """
    quantised.eval()
    with torch.no_grad():
        for name, layer, _, values in walk(quantised, _few(inputs)):
            bias = getattr(layer, "bias", None)
            if name in means and isinstance(bias, torch.Tensor):
                wrong = means[name] - _mean(values)
                bias += wrong
                values += wrong.reshape(-1, *[1] * (values.ndim - 2))  # what the layers behind it are given


def _few(inputs: torch.Tensor) -> torch.Tensor:
    return inputs[: min(IMAGES, max(8, PIXELS // inputs[0, 0].numel()))]


def _mean(values: torch.Tensor) -> torch.Tensor:
    """Of each channel of [n, channels, ...]."""
    return values.mean([0, *range(2, values.ndim)])
