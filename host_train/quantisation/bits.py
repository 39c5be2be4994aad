"""A trained binary network in integers: batch norm and sign become thresholds (docs/numerics.md, section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from host_train.networks.binary import BinaryConv2d, BinaryLayer, BinaryLinear
from pynq_cnn import model as integers
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import InputSpec, Network, OutputSpec, Threshold


def is_binary(model: nn.Module) -> bool:
    """Whether `model` has binary layers."""
    return any(isinstance(module, BinaryLayer) for module in model.modules())


def thresholds(norm: nn.BatchNorm2d, most: int, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """From batch norm and sign to thresholds, exactly as PyTorch computes them.

    The folded formula `mean - shift * sqrt(var + eps) / scale` would round differently from the float32 batch norm, and an accumulator that
    falls between the two would get another bit. So the batch norm itself is asked, for every value that the accumulator can have.

    Parameters
    ----------
    norm : torch.nn.BatchNorm2d
        In evaluation mode, of n channels.
    most : int
        Largest magnitude of the accumulator.
    unit : float
        Real value of one unit of the accumulator.

    Returns
    -------
    value : numpy.ndarray
        int32 [n]: `bit = 1 if acc >= value`, after negation where `flip` says so.
    flip : numpy.ndarray
        bool [n]: channels of negative scale, whose weights are to be negated.

    Examples
    --------
    >>> norm = nn.BatchNorm2d(3).eval()
    >>> norm.weight.data = torch.tensor([1.0, -1.0, 0.0])
    >>> norm.running_mean[:] = 2.5
    >>> thresholds(norm, 10, 1.0)
    (array([  3,  -2, -10], dtype=int32), array([False,  True, False]))
    """
    flip = norm.weight.detach().numpy() < 0
    values = torch.arange(-most, most + 1, dtype=torch.float32)
    signs = torch.where(torch.from_numpy(flip), -1.0, 1.0)
    with torch.no_grad():
        real = (values[:, None] * signs) * unit
        bits = (norm(real[:, :, None, None])[:, :, 0, 0] >= 0).numpy()
    if (np.diff(bits.astype(np.int8), axis=0) < 0).any():
        raise NetworkError("a batch norm is not monotonous in float32; its scale or variance is not finite or far too large")
    # The first value whose bit is 1; one past the largest where there is none.
    value = np.where(bits.any(0), bits.argmax(0), len(bits)) - most
    return value.astype(np.int32), flip


def _signs(layer: BinaryLayer) -> np.ndarray:
    return np.where(layer.weight.detach().cpu().numpy() >= 0, 1, -1).astype(np.int8)


def binary_to_network(
    model: nn.Module, name: str, spec: InputSpec, classes: Sequence[str], metadata: dict[str, Any] | None = None
) -> Network:
    """Integers of a trained binary network, which answer as PyTorch's evaluation does on every image.

    Parameters
    ----------
    model : torch.nn.Sequential
        A first `BinaryConv2d` over bytes, then binary ones, each followed by BatchNorm2d, Hardtanh and perhaps MaxPool2d; at last Flatten
        and `BinaryLinear`.
    name : str
        The network's.
    spec : InputSpec
        Its input; `255 * mean` must be a byte and `255 * std` the `1 / input_step` of the first layer, so that padding is exact.
    classes : sequence of str
        Names of its outputs.
    metadata : dict, optional
        For the package.

    Raises
    ------
    NetworkError
        Names the first layer that is out of place.
    """
    model = model.cpu().eval()
    layers: list[integers.Layer] = []
    named = list(model.named_children())
    shape = (spec.height, spec.width, spec.channels)
    output: OutputSpec | None = None
    i = 0
    while i < len(named):
        layer_name, module = named[i]
        i += 1
        if isinstance(module, BinaryConv2d):
            norm, activation = (named[k][1] if k < len(named) else None for k in (i, i + 1))
            if not isinstance(norm, nn.BatchNorm2d) or not isinstance(activation, nn.Hardtanh):
                raise NetworkError(f"{layer_name} must be followed by BatchNorm2d and Hardtanh")
            i += 2
            signs = _signs(module).transpose(0, 2, 3, 1)
            fan_in = signs[0].size
            padding = (module.padding, module.padding)
            if module.input_step is not None:
                if layers:
                    raise NetworkError(f"{layer_name} has an input_step, but only the first layer sees bytes")
                layers.append(_first(layer_name, module, norm, signs, spec))
            else:
                if not layers:
                    raise NetworkError(f"{layer_name} is the first layer and needs an input_step: it sees bytes")
                value, flip = thresholds(norm, fan_in, 1.0)
                signs = np.where(flip[:, None, None, None], -signs, signs)
                layers.append(integers.BinaryConv2d.from_signs(layer_name, signs, padding=padding, threshold=Threshold(value)))
        elif isinstance(module, nn.MaxPool2d):
            size, step = (side[0] if isinstance(side, tuple) else side for side in (module.kernel_size, module.stride))
            layers.append(integers.MaxPool2d(layer_name, int(size), int(step)))
        elif isinstance(module, BinaryLinear):
            # PyTorch flattens CHW; the layer's kernel is the whole image, HWC.
            signs = _signs(module).reshape(-1, shape[2], *shape[:2]).transpose(0, 2, 3, 1)
            layers.append(integers.BinaryConv2d.from_signs(layer_name, signs))
            scale = np.full(len(signs), module.scale, np.float32)
            output = OutputSpec(scale, module.bias.detach().numpy().astype(np.float32))
        elif not isinstance(module, nn.Flatten):
            raise NetworkError(f"{layer_name} is a {type(module).__name__}, which has no place in a binary network")
        if layers:
            shape = layers[-1].output_shape(shape) if not isinstance(module, nn.Flatten) else shape
    if output is None:
        raise NetworkError("a binary network must end with a BinaryLinear")
    return Network(name, spec, tuple(layers), output, tuple(classes), metadata=metadata or {})


def _first(name: str, module: BinaryConv2d, norm: nn.BatchNorm2d, signs: np.ndarray, spec: InputSpec) -> integers.Conv2d:
    """The layer over bytes: int8 weights +1 and -1, and the centre of the bytes in the bias."""
    assert module.input_step is not None
    centre = 255 * np.array(spec.mean)
    if not np.allclose(centre, np.rint(centre)) or not np.allclose(255 * np.array(spec.std) * module.input_step, 1):
        raise NetworkError(f"{name}: 255 * mean must be whole and 255 * std * input_step 1, not {centre} and {spec.std}")
    whole = np.rint(centre).astype(np.int32)
    most = int((signs[0].size // signs.shape[3]) * np.maximum(whole, 255 - whole).sum())
    value, flip = thresholds(norm, most, module.input_step)
    signs = np.where(flip[:, None, None, None], -signs, signs)
    bias = -(signs.astype(np.int32).sum((1, 2)) * whole).sum(1).astype(np.int32)
    padding = (module.padding, module.padding)
    pad_value = whole.astype(np.uint8) if module.padding else None
    return integers.Conv2d(name, signs, bias, padding=padding, pad_value=pad_value, threshold=Threshold(value))
