"""The network in integers (docs/contract/numerics.md, section 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from host_train.layers.about import about
from host_train.quantisation.graph import inputs_of
from host_train.quantisation.layers.rules import integer_layer, shape_behind
from host_train.quantisation.layers.state import Values
from host_train.quantisation.sequential import every_layer
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import InputSpec, Layer, Network, OutputSpec
from pynq_cnn.model.layers import INPUT


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
    quantised : LayerGraph
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
    values = Values(INPUT, image, image, np.array([1 / 255]), spec=spec)
    inputs, known = inputs_of(quantised), {INPUT: values}
    for layer_name, module in every_layer(quantised):
        with about(layer_name):
            given = [known[one] for one in inputs[layer_name]]
            shape = shape_behind(module, layer_name, *(one.shape for one in given))
            behind = replace(given[0], shape=shape, image=shape if len(shape) == 3 else given[0].image)
            made, values = integer_layer(module, layer_name, behind, *given)
        if made is not None:
            layers.pop(made.name, None)  # one that is finished comes behind all that it takes by now
            layers[made.name] = made
            values = replace(values, source=made.name)
        known[layer_name] = values
    if values.sums_of is None:
        raise NetworkError(f"{name} does not end with sums, which give the logits; its last layer has no ReLU")
    with about(values.sums_of.name):
        scale = np.broadcast_to(values.unit, values.image[:1]).astype(np.float32)
        output = OutputSpec(scale, np.zeros(len(scale), np.float32), kind)
    return Network(name, spec, _in_line(layers), output, tuple(classes), metadata=metadata or {})


def _in_line(layers: dict[str, Layer]) -> tuple[Layer, ...]:
    """The layers, of which those name no inputs that take what the one before them gives."""
    before = [INPUT, *layers]
    return tuple(
        replace(layer, inputs=()) if layer.inputs == (previous,) else layer
        for layer, previous in zip(layers.values(), before)
    )
