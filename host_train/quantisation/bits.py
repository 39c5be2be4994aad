"""A trained binary network in integers: what follows a layer becomes a threshold (docs/contract/numerics.md, section
6).

Between a binary layer and the sign that the next one takes there are functions of single channels, each rising or
falling (batch norm, hardtanh, sign), and max pooling. The bit is therefore a comparison of the accumulator with a
threshold. Pooled bits are OR, so a bit must rise with what is pooled, which two negations bring about where a batch
norm's scale is negative:

* before the pooling, the channel's weights are negated, and with them its accumulator;
* behind the pooling (`max(acc) <= t` is AND, not OR) the opposite bit is kept, and the next layer's weights for that
  channel are negated.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from host_train.layers.about import about
from host_train.quantisation.blocks import blocks, check_end
from host_train.quantisation.layers.binary import input_step_of, padding_of, real_values, signs_of
from host_train.quantisation.layers.state import Block
from host_train.quantisation.sequential import every_layer, pair
from host_train.quantisation.thresholds import apply_by_channel, thresholds
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import BinaryConv2d, Conv2d, InputSpec, Layer, MaxPool2d, Network, OutputSpec, Threshold


def _negated(signs: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.where(rows[:, None, None, None], -signs, signs)


def binary_to_network(
    model: nn.Module,
    name: str,
    spec: InputSpec,
    classes: Sequence[str],
    metadata: dict[str, Any] | None = None,
    kind: str = "softmax",
) -> Network:
    """Integers of a trained binary network, which answer as PyTorch's evaluation does on every image.

    Parameters
    ----------
    model : torch.nn.Sequential
        A first `BinaryConv2d` over bytes, then `BinaryConv2d` and, flattened, `BinaryLinear`; behind each BatchNorm,
        Hardtanh or Sign, and MaxPool2d in any order; at last a `BinaryLinear`, perhaps with BatchNorm1d.
    name : str
        The network's.
    spec : InputSpec
        Its input; `255 * mean` must be a byte and `255 * std` the `1 / input_step` of the first layer, so that padding
        is exact.
    classes : sequence of str
        Names of its outputs.
    metadata : dict, optional
        For the package.
    kind : str
        Kind of the output, as of `OutputSpec`.

    Raises
    ------
    NetworkError
        Names the first layer that is out of place.
    """
    model = model.cpu().eval()
    found = blocks(every_layer(model))
    check_end(found)
    layers: list[Layer] = []
    tensor = spec.tensor
    opposite = np.zeros(spec.channels, bool)  # input channels whose bits are the opposite of the signs
    for block in found:
        with about(block.name):
            signs = np.where(opposite, -1, 1).astype(np.int8) * signs_of(block.layer, block.name, tensor.shape)
            if block is found[-1]:
                output, flip = _output_spec(block, kind)
                layers.append(BinaryConv2d.from_signs(block.name, _negated(signs, flip)))
            elif block is found[0]:
                layer, opposite = _layer_over_bytes(block, signs, spec)
                layers.append(layer)
            else:
                value, flip, opposite = _thresholds(block, signs[0].size)
                options = {"padding": padding_of(block.layer), "threshold": Threshold(value)}
                layers.append(BinaryConv2d.from_signs(block.name, _negated(signs, flip), **options))
            tensor = layers[-1].output(tensor)
        for pool_name, pool in block.pools:
            with about(pool_name):
                layers.append(MaxPool2d(pool_name, pair(pool.kernel_size), pair(pool.stride)))
                tensor = layers[-1].output(tensor)
    return Network(name, spec, tuple(layers), output, tuple(classes), metadata=metadata or {})


def _thresholds(block: Block, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        return thresholds(real_values(block.layer, most), block.before, block.after)
    except NetworkError as error:
        raise NetworkError(f"{block.name}: {error}", block.name) from error


def _layer_over_bytes(block: Block, signs: np.ndarray, spec: InputSpec) -> tuple[Conv2d, np.ndarray]:
    """The layer over bytes: int8 weights +1 and -1, and the centre of the bytes in the bias; and the channels of
    opposite bits.
    """
    centre, step = 255 * np.array(spec.mean), input_step_of(block.layer)
    if not np.allclose(centre, np.rint(centre)) or not np.allclose(255 * np.array(spec.std) * step, 1):
        raise NetworkError(
            f"{block.name}: 255 * mean must be whole and 255 * std * input_step 1, but mean is {spec.mean}, std"
            f" {spec.std} and input_step {step}; with mean=128/255 and std=128/255 it is 1/128"
        )
    whole = np.rint(centre).astype(np.int32)
    most = int((signs[0].size // signs.shape[3]) * np.maximum(whole, 255 - whole).sum())
    value, flip, opposite = _thresholds(block, most)
    signs = _negated(signs, flip)
    bias = -(signs.astype(np.int32).sum((1, 2)) * whole).sum(1).astype(np.int32)
    padding = padding_of(block.layer)
    return Conv2d(block.name, signs, bias, padding=(*padding, *padding), threshold=Threshold(value)), opposite


def _output_spec(block: Block, kind: str) -> tuple[OutputSpec, np.ndarray]:
    """From the last accumulators to logits, and the rows to negate so that the scale is positive."""
    layer = copy.deepcopy(block.layer).double()
    zero, one = apply_by_channel(
        (copy.deepcopy(norm).double() for norm in block.before), real_values(layer, 1)[1:]
    ).numpy()
    scale = one - zero
    # A scale must be positive; the smallest adds nothing to the offset of a row whose scale is 0.
    positive = np.maximum(np.abs(scale), np.finfo(np.float32).tiny)
    return OutputSpec(positive.astype(np.float32), zero.astype(np.float32), kind), scale < 0
