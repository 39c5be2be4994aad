"""Bias correction: the mean that rounding adds to the sums of each channel is taken out of the bias again.

[Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv 1906.04721, section
4.2; here over calibration images, as in its appendix D]
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from host_train.quantisation.graph import LayerGraph, inputs_of
from host_train.quantisation.layers.rules import role
from host_train.quantisation.layers.state import Role
from host_train.quantisation.sequential import every_layer
from pynq_cnn.model.layers import INPUT

IMAGES = 256
PIXELS = 2**20  # of all images together: the outputs of a few layers are kept for all of them


def corrected(quantised: LayerGraph, folded: LayerGraph, inputs: torch.Tensor) -> LayerGraph:
    """`quantised` with biases such that every channel has the mean that it has in floating point.

    Parameters
    ----------
    quantised : LayerGraph
        From `calibrations`. It is not changed.
    folded : LayerGraph
        What it was made of.
    inputs : torch.Tensor
        Normalised training images float32 [n, channels, height, width]: at most 256 are used.

    Returns
    -------
    LayerGraph
        The weights and steps are those of `quantised`.
    """
    made = copy.deepcopy(quantised).eval()
    chosen = inputs[: min(IMAGES, max(8, PIXELS // inputs[0, 0].numel()))]
    takes = inputs_of(folded)
    last = {taken: name for name, wanted in takes.items() for taken in wanted}
    ours, theirs = {INPUT: chosen}, {INPUT: chosen}
    with torch.no_grad():
        for name, layer in every_layer(folded):
            ours[name] = made.get_submodule(name)(*(ours[one] for one in takes[name]))
            theirs[name] = layer(*(theirs[one] for one in takes[name]))
            if role(layer, name) in (Role.SUMS, Role.SCALE):
                ours[name] = _shift(made.get_submodule(name), ours[name], theirs[name])
            for one in set(takes[name]):
                if last[one] == name:
                    del ours[one], theirs[one]
    return made


def _shift(layer: nn.Module, ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """Change the bias of a layer, if it has one, by the mean difference; its output then."""
    bias = getattr(layer, "bias", None)
    if not isinstance(bias, torch.Tensor):
        return ours
    wrong = (theirs - ours).transpose(0, 1).flatten(1).mean(1)
    bias += wrong
    return ours + wrong.reshape(-1, *[1] * (ours.ndim - 2))
