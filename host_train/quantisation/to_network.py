"""The network in integers (docs/contract/numerics.md, section 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from host_train.layers.about import about
from host_train.quantisation.layers.rules import integer_layer, shape_behind
from host_train.quantisation.layers.state import Values
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import InputSpec, Layer, Network, OutputSpec


def to_network(
    quantised: nn.Module,
    name: str,
    spec: InputSpec,
    classes: Sequence[str],
    metadata: dict[str, Any] | None = None,
    kind: str = "softmax",
) -> Network:
    """Integers of a calibrated network.

    The input's normalisation `(byte/255 - mean) / std` goes into the first layer: its weights are divided by `255 *
    std`, and the part of `mean` is subtracted from its bias; padded pixels are the input's zero point, the byte nearest
    to `255 * mean`.

    Parameters
    ----------
    quantised : torch.nn.Sequential
        From `calibrate`, trained further or not.
    name : str
        The network's.
    spec : InputSpec
        Its input, with the mean and std it was trained with.
    classes : sequence of str
        Names of its outputs.
    metadata : dict, optional
        For the package.
    kind : str
        Kind of the output, as of `OutputSpec`.

    Returns
    -------
    Network
        For any backend.

    Raises
    ------
    NetworkError
        If a layer has no integer counterpart, or the result breaks the arithmetic contract.
    """
    layers: dict[str, Layer] = {}
    image = (spec.channels, spec.height, spec.width)
    values = Values(image, image, np.array([1 / 255]), spec)
    for layer_name, module in quantised.named_children():
        with about(layer_name):
            shape = shape_behind(module, layer_name, values.shape)
            behind = replace(values, shape=shape, image=shape if len(shape) == 3 else values.image)
            made, values = integer_layer(module, layer_name, behind, values)
        if made is not None:
            layers[made.name] = made
    if values.sums_of is None:
        raise NetworkError(f"{name} does not end with sums, which give the logits; its last layer has no ReLU")
    with about(values.sums_of.name):
        scale = np.broadcast_to(values.unit, values.image[:1]).astype(np.float32)
        output = OutputSpec(scale, np.zeros(len(scale), np.float32), kind)
    return Network(name, spec, tuple(layers.values()), output, tuple(classes), metadata=metadata or {})
