"""A trained binary network in integers: what follows a layer becomes a threshold (docs/numerics.md, section 6).

Between a binary layer and the sign that the next one takes there are functions of single channels, each rising or falling (batch norm,
hardtanh, sign), and max pooling. The bit is therefore a comparison of the accumulator with a threshold. Pooled bits are OR, so a bit must
rise with what is pooled, which two negations bring about where a batch norm's scale is negative:

* before the pooling, the channel's weights are negated, and with them its accumulator;
* behind the pooling (`max(acc) <= t` is AND, not OR) the opposite bit is kept, and the next layer's weights for that channel are negated.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from host_train.layers.about import about
from host_train.layers.binary import BinaryConv2d, BinaryLayer, BinaryLinear, Sign
from host_train.quantisation.fold import NORMS, check_options, every_layer, pair
from pynq_cnn import model as integers
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import InputSpec, Network, OutputSpec, Threshold
from pynq_cnn.model.layers import Shape

SUPPORTED = "BinaryConv2d, BinaryLinear, BatchNorm1d/2d, Hardtanh, signs, MaxPool2d and Flatten"


def is_binary(model: nn.Module) -> bool:
    """Whether `model` has binary layers."""
    return any(isinstance(module, BinaryLayer) for module in model.modules())


# ------------------------------------------------------------------------------------------------------- blocks


@dataclass(eq=False)
class Block:
    """A binary layer with what stands between it and the next.

    Parameters
    ----------
    name : str
        The layer's.
    layer : BinaryConv2d or BinaryLinear
        The layer.
    before, after : list of torch.nn.Module
        Functions of single channels, before and behind the pooling; without pooling all are before it.
    pools : list of (str, torch.nn.MaxPool2d)
        The pooling.
    """

    name: str
    layer: BinaryConv2d | BinaryLinear
    before: list[nn.Module] = field(default_factory=list)
    after: list[nn.Module] = field(default_factory=list)
    pools: list[tuple[str, nn.MaxPool2d]] = field(default_factory=list)

    @property
    def outputs(self) -> int:
        """Output channels."""
        return len(self.layer.weight)


def blocks(layers: Iterable[tuple[str, nn.Module]]) -> list[Block]:
    """A binary network, or its beginning, as blocks.

    Parameters
    ----------
    layers : iterable of (str, torch.nn.Module)
        Names and layers from the first on.

    Raises
    ------
    NetworkError
        Names the first layer that is out of place, whatever may follow.
    """
    found: list[Block] = []
    for name, layer in layers:
        with about(name):
            check_options(name, layer)
        if isinstance(layer, (BinaryConv2d, BinaryLinear)):
            with about(name):
                _check_input(name, layer, first=not found)
            found.append(Block(name, layer))
        elif isinstance(layer, nn.Flatten):
            continue
        elif not found or not isinstance(layer, (*NORMS, nn.Hardtanh, Sign, nn.MaxPool2d)):
            where = "a binary network" if found else "front of the first binary layer"
            raise NetworkError(f"{name} is a {type(layer).__name__}, which has no place in {where}; use {SUPPORTED}", name)
        elif isinstance(layer, nn.MaxPool2d):
            if any(isinstance(one, NORMS) for one in found[-1].after):
                raise NetworkError(
                    f"{name} pools what is pooled already before a batch norm; put all pooling before it, or all behind it", name
                )
            found[-1].pools.append((name, layer))
        else:
            if isinstance(layer, NORMS) and layer.num_features != found[-1].outputs:
                raise NetworkError(
                    f"{name} has {layer.num_features} channels, but {found[-1].name} before it {found[-1].outputs}; put a BatchNorm2d "
                    "before the flattening",
                    name,
                )
            (found[-1].after if found[-1].pools else found[-1].before).append(layer)
    return found


def _check_input(name: str, layer: BinaryConv2d | BinaryLinear, first: bool) -> None:
    """Bytes go into the first layer, bits into the others."""
    if isinstance(layer, BinaryLinear):
        if first:
            raise NetworkError(
                f"{name} is a BinaryLinear over bytes, but only a BinaryConv2d can take those: use one whose kernel is the whole image, "
                "with an input_step, and Flatten behind it"
            )
        return
    if (layer.input_step is not None) != first:
        raise NetworkError(
            f"{name} is the first layer and needs an input_step: it sees bytes"
            if first
            else f"{name} has an input_step, but only the first layer sees bytes; leave it away"
        )
    if any(pad >= side for pad, side in zip(pair(layer.padding), layer.weight.shape[2:])):
        raise NetworkError(f"{name} has padding={layer.padding}, which must be smaller than its kernel {tuple(layer.weight.shape[2:])}")


def check_end(found: Sequence[Block]) -> None:
    """Refuse blocks that do not end with logits: those of a BinaryLinear, perhaps with batch norm."""
    wanted = "a binary network must end with a BinaryLinear, perhaps with BatchNorm1d behind it, not with"
    if not found:
        raise NetworkError(f"{wanted} nothing")
    last = found[-1]
    if not isinstance(last.layer, BinaryLinear) or last.pools or not all(isinstance(one, NORMS) for one in last.before):
        raise NetworkError(f"{last.name}: {wanted} {last.name} and what follows it", last.name)


# --------------------------------------------------------------------------------------------------- thresholds


def _ask(modules: Iterable[nn.Module], values: torch.Tensor) -> torch.Tensor:
    """What functions of single channels make of values [n, channels]."""
    with torch.no_grad():
        for module in modules:
            shape = (*values.shape, 1, 1) if isinstance(module, nn.BatchNorm2d) else values.shape
            values = module(values.reshape(shape)).reshape(values.shape)
    return values


def thresholds(
    real: torch.Tensor, before: Iterable[nn.Module], after: Iterable[nn.Module] = ()
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """From batch norm, activation and sign to thresholds, exactly as PyTorch computes them.

    The folded formula `mean - shift * sqrt(var + eps) / scale` would round differently from the float32 batch norm, and an accumulator that
    falls between the two would get another bit. So the modules themselves are asked, for every value that the accumulator can have.

    Parameters
    ----------
    real : torch.Tensor
        float32 [2 * most + 1, n]: what the layer gives for the accumulators from `-most` to `most`, in each of n channels.
    before, after : iterable of torch.nn.Module
        Functions of single channels in evaluation mode, before and behind the pooling, each rising or falling.

    Returns
    -------
    value : numpy.ndarray
        int32 [n]: the kept bit is 1 if the maximum of the accumulators is at least this.
    flip : numpy.ndarray
        bool [n]: channels whose weights, and with them accumulators, are to be negated.
    opposite : numpy.ndarray
        bool [n]: channels whose kept bit is the opposite of the sign.

    Raises
    ------
    NetworkError
        If a sign neither rises nor falls with the accumulator.

    Examples
    --------
    >>> norm = nn.BatchNorm2d(3).eval()
    >>> norm.weight.data = torch.tensor([1.0, -1.0, 0.0])
    >>> norm.running_mean[:] = 2.5
    >>> real = torch.arange(-10.0, 11)[:, None].repeat(1, 3)
    >>> thresholds(real, [norm])
    (array([  3,  -2, -10], dtype=int32), array([False,  True, False]), array([False, False, False]))
    >>> thresholds(real, [], [norm])
    (array([  3,   3, -10], dtype=int32), array([False, False, False]), array([False,  True, False]))
    """
    pooled = _ask(before, real)
    flip = (pooled[-1] < pooled[0]).numpy()
    bits = (_ask(after, pooled) >= 0).numpy()
    bits = np.where(flip, bits[::-1], bits)
    opposite = bits[0] & ~bits[-1]
    bits = bits ^ opposite
    if (np.diff(bits.astype(np.int8), axis=0) < 0).any():
        raise NetworkError("a batch norm is not monotonous in float32; its scale or variance is not finite or far too large")
    # The first value whose bit is 1; one past the largest where there is none.
    value = np.where(bits.any(0), bits.argmax(0), len(bits)) - len(real) // 2
    return value.astype(np.int32), flip, opposite


# ----------------------------------------------------------------------------------------------------- integers


def _signs(block: Block, shape: Shape) -> np.ndarray:
    """Weights int8 [out, kernel_h, kernel_w, in] over an input of `shape`; a fully connected layer's kernel is all of it."""
    layer = block.layer
    signs = np.where(layer.weight.detach().cpu().numpy() >= 0, 1, -1).astype(np.int8)
    if isinstance(layer, BinaryLinear):
        if signs[0].size != np.prod(shape):
            raise NetworkError(f"{block.name} takes {signs[0].size} inputs, but its input {shape} has {np.prod(shape)}; flatten it before")
        signs = signs.reshape(-1, shape[2], *shape[:2])  # PyTorch flattens CHW
    return signs.transpose(0, 2, 3, 1)


def _real(layer: BinaryConv2d | BinaryLinear, most: int) -> torch.Tensor:
    """What `layer` gives for the accumulators from `-most` to `most`, [2 * most + 1, out] of its own dtype."""
    values = torch.arange(-most, most + 1, dtype=layer.weight.dtype)[:, None]
    if isinstance(layer, BinaryLinear):
        return values * layer.scale + layer.bias.detach()
    return (values if layer.input_step is None else values * layer.input_step).expand(-1, len(layer.weight))


def _negated(signs: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.where(rows[:, None, None, None], -signs, signs)


def binary_to_network(
    model: nn.Module, name: str, spec: InputSpec, classes: Sequence[str], metadata: dict[str, Any] | None = None, kind: str = "softmax"
) -> Network:
    """Integers of a trained binary network, which answer as PyTorch's evaluation does on every image.

    Parameters
    ----------
    model : torch.nn.Sequential
        A first `BinaryConv2d` over bytes, then `BinaryConv2d` and, flattened, `BinaryLinear`; behind each BatchNorm, Hardtanh or Sign, and
        MaxPool2d in any order; at last a `BinaryLinear`, perhaps with BatchNorm1d.
    name : str
        The network's.
    spec : InputSpec
        Its input; `255 * mean` must be a byte and `255 * std` the `1 / input_step` of the first layer, so that padding is exact.
    classes : sequence of str
        Names of its outputs.
    metadata : dict, optional
        For the package.
    kind : str
        What the output says, as of `OutputSpec`.

    Raises
    ------
    NetworkError
        Names the first layer that is out of place.
    """
    model = model.cpu().eval()
    found = blocks(every_layer(model))
    check_end(found)
    layers: list[integers.Layer] = []
    shape = spec.shape
    opposite = np.zeros(spec.channels, bool)  # input channels whose bits are the opposite of the signs
    for block in found:
        with about(block.name):
            signs = np.where(opposite, -1, 1).astype(np.int8) * _signs(block, shape)
            if block is found[-1]:
                output, flip = _output(block, kind)
                layers.append(integers.BinaryConv2d.from_signs(block.name, _negated(signs, flip)))
            elif block is found[0]:
                layer, opposite = _first(block, signs, spec)
                layers.append(layer)
            else:
                value, flip, opposite = _thresholds(block, signs[0].size)
                padding = (0, 0) if isinstance(block.layer, BinaryLinear) else pair(block.layer.padding)
                options = {"padding": padding, "threshold": Threshold(value)}
                layers.append(integers.BinaryConv2d.from_signs(block.name, _negated(signs, flip), **options))
            shape = layers[-1].output_shape(shape)
        for pool_name, pool in block.pools:
            with about(pool_name):
                layers.append(integers.MaxPool2d(pool_name, pair(pool.kernel_size)[0], pair(pool.stride)[0]))
                shape = layers[-1].output_shape(shape)
    return Network(name, spec, tuple(layers), output, tuple(classes), metadata=metadata or {})


def _thresholds(block: Block, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        return thresholds(_real(block.layer, most), block.before, block.after)
    except NetworkError as error:
        raise NetworkError(f"{block.name}: {error}", block.name) from error


def _first(block: Block, signs: np.ndarray, spec: InputSpec) -> tuple[integers.Conv2d, np.ndarray]:
    """The layer over bytes: int8 weights +1 and -1, and the centre of the bytes in the bias; and the channels of opposite bits."""
    layer = block.layer
    assert isinstance(layer, BinaryConv2d) and layer.input_step is not None
    centre = 255 * np.array(spec.mean)
    if not np.allclose(centre, np.rint(centre)) or not np.allclose(255 * np.array(spec.std) * layer.input_step, 1):
        raise NetworkError(
            f"{block.name}: 255 * mean must be whole and 255 * std * input_step 1, but mean is {spec.mean}, std {spec.std} and input_step "
            f"{layer.input_step}; with mean=128/255 and std=128/255 it is 1/128"
        )
    whole = np.rint(centre).astype(np.int32)
    most = int((signs[0].size // signs.shape[3]) * np.maximum(whole, 255 - whole).sum())
    value, flip, opposite = _thresholds(block, most)
    signs = _negated(signs, flip)
    bias = -(signs.astype(np.int32).sum((1, 2)) * whole).sum(1).astype(np.int32)
    padding = pair(layer.padding)
    pad_value = whole.astype(np.uint8) if any(padding) else None
    return integers.Conv2d(block.name, signs, bias, padding=padding, pad_value=pad_value, threshold=Threshold(value)), opposite


def _output(block: Block, kind: str) -> tuple[OutputSpec, np.ndarray]:
    """From the last accumulators to logits, and the rows to negate so that the scale is positive."""
    layer = copy.deepcopy(block.layer).double()
    zero, one = _ask((copy.deepcopy(norm).double() for norm in block.before), _real(layer, 1)[1:]).numpy()
    scale = one - zero
    # A scale must be positive; the smallest adds nothing to the offset of a row whose scale is 0.
    positive = np.maximum(np.abs(scale), np.finfo(np.float32).tiny)
    return OutputSpec(positive.astype(np.float32), zero.astype(np.float32), kind), scale < 0
