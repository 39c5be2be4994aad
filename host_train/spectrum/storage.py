"""Networks in integers with weights kept in frequency, or quantised in space by the same coder: the encoder, and which
layer gets how many bytes.

Every layer has one step for all its coefficients: under an entropy code that is reverse water-filling by itself, since
a coefficient of less variance takes fewer bits. Between layers bytes are spread by the error of the logits: where it
falls steepest with another byte, that byte goes, so that at last the slopes are as equal as the steps that there are
allow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from host_train.budget import spread
from host_train.progress import track
from host_train.spectrum.basis import RealFourier
from pynq_cnn.backends.select import on_cpu
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import FrequencyWeight, Network
from pynq_cnn.model.frequency import MAX_COEFFICIENTS, MAX_STEP, STEP_BITS
from pynq_cnn.model.layers.weighted import ByteWeighted, Convolution
from pynq_cnn.model.package.frequency import pack

SPACE = (1, 1)  # kernels of one weight: quantisation of the weights themselves
STEPS = tuple(round(2**STEP_BITS * 2 ** (k / 2)) for k in range(13))  # 1 to 64 of the int8 weights' own
IMAGES = 256  # training images that errors are measured on
HEADER = 128  # bytes, of an .npy file


def kernels(network: Network) -> dict[str, tuple[int, int]]:
    """Transformed blocks of each layer with bytes for inputs: (height, width) of its kernel, or of the map before a
    fully connected one; (1, 1) where there is nothing but single weights.
    """
    found = {}
    for node in network.nodes:
        layer = node.layer
        if not isinstance(layer, ByteWeighted):
            continue
        size = layer.kernel if isinstance(layer, Convolution) else node.given[0].shape[:2]
        found[node.name] = size if size[0] * size[1] <= MAX_COEFFICIENTS else SPACE
    return found


def encode(weight: np.ndarray, kernel: tuple[int, int], step: int) -> FrequencyWeight:
    """int8 weights as levels of their kernels' coefficients, each to the nearest.

    Parameters
    ----------
    weight : numpy.ndarray
        int8 [out, kernel_h, kernel_w, in], or [out, in] in HWC order.
    kernel : tuple of int
        (height, width) of what is transformed.
    step : int
        Between levels, in 16ths of a weight's own step. Where the largest coefficient would be beyond 127 levels, it is
        made larger.

    Examples
    --------
    >>> weight = np.arange(-9, 9, dtype=np.int8).reshape(2, 3, 3, 1)
    >>> bool((encode(weight, (3, 3), 8).dense() == weight).all()), int(encode(weight, (3, 3), 200).levels.max())
    (True, 1)
    """
    count = kernel[0] * kernel[1]
    planes = weight.reshape(len(weight), count, -1).transpose(0, 2, 1).reshape(-1, *kernel)
    exact = RealFourier(*kernel).forward(planes.astype(np.float64)) * 2**STEP_BITS
    step = min(MAX_STEP, max(step, int(np.ceil(np.abs(exact).max(initial=0) / 127.5))))
    levels = np.clip(np.rint(exact.T / step), -127, 127).astype(np.int8)
    largest = np.abs(levels.astype(np.int64)).max(1)
    allocation = np.where(largest > 0, np.ceil(np.log2(largest + 1)) + 1, 0).astype(np.uint8)
    return FrequencyWeight(np.ascontiguousarray(levels), allocation, step, weight.shape, kernel)


def stored(weight: FrequencyWeight) -> int:
    """Bytes of its arrays in a package, headers included."""
    return sum(HEADER + array.nbytes for array in pack(weight)[1].values() if array is not None)


@dataclass(frozen=True, eq=False)
class Choice:
    """One way to keep one layer.

    Parameters
    ----------
    weight : FrequencyWeight
        The weights.
    stored : int
        Bytes.
    error : float
        Squared error of the logits that it alone makes, of their squared sum.
    """

    weight: FrequencyWeight
    stored: int
    error: float


def choices(
    network: Network,
    images: np.ndarray,
    sizes: Mapping[str, Sequence[tuple[int, int]]],
    steps: Sequence[int] = STEPS,
    progress: bool = True,
) -> dict[str, list[Choice]]:
    """Every way to keep every layer, with what it costs and the error that it makes.

    Parameters
    ----------
    network : Network
        With plain weights, or any.
    images : numpy.ndarray
        uint8 [n, height, width, channels] to measure errors on.
    sizes : mapping
        The kernels to try for each layer, such as `kernels` has them, and `SPACE`.
    steps : sequence of int
        To try, in 16ths of a weight's step.
    progress : bool
        Show a bar where there is a terminal.
    """
    exact = _logits(network, images)
    energy = float((exact**2).sum()) or 1.0
    found: dict[str, list[Choice]] = {name: [] for name in sizes}
    tries = [(name, size, step) for name, some in sizes.items() for size in dict.fromkeys(some) for step in steps]
    layers = {layer.name: layer for layer in network.layers}
    for name, size, step in track(tries, "layers", "step", progress):
        layer = layers[name]
        assert isinstance(layer, ByteWeighted)
        weight = encode(layer.weight, size, step)
        if any(one.weight == weight for one in found[name]):
            continue
        error = float(((_logits(kept(network, {name: weight}), images) - exact) ** 2).sum()) / energy
        found[name].append(Choice(weight, stored(weight), error))
    return found


def kept(network: Network, weights: Mapping[str, FrequencyWeight]) -> Network:
    """`network` with the weights of some layers as they are kept."""
    layers = []
    for layer in network.layers:
        weight = weights.get(layer.name)
        if weight is not None:
            assert isinstance(layer, ByteWeighted)
            layer = replace(layer, weight=weight.dense(), shared=weight)
        layers.append(layer)
    return replace(network, layers=tuple(layers), golden=None)


def in_frequency(
    network: Network,
    images: np.ndarray,
    rate: float,
    space: bool = True,
    progress: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> Network:
    """`network` with every layer's weights in frequency, or quantised in space where that is better.

    Parameters
    ----------
    network : Network
        In integers. Layers of bits stay as they are.
    images : numpy.ndarray
        uint8 [n, height, width, channels] to measure errors on.
    rate : float
        Bits per weight, of the arrays in the package with their headers.
    space : bool
        Whether layers may be kept in space.
    progress : bool
        Show a bar where there is a terminal.
    say : callable, optional
        Called with a line for each layer.

    Raises
    ------
    ArgumentError
        If there are no such layers, or the rate is too low.
    """
    sizes = {name: [size, SPACE] if space else [size] for name, size in kernels(network).items()}
    if not sizes:
        raise ArgumentError(f"{network.name} has no weights of bytes to keep in frequency")
    weights = sum(layer.weight_count for layer in network.layers if isinstance(layer, ByteWeighted))
    chosen = spread(choices(network, images, sizes, progress=progress), int(rate * weights / 8))
    for name, one in chosen.items():
        where = "space" if one.weight.kernel == SPACE else "frequency"
        bits, step = 8 * one.stored / one.weight.levels.size, one.weight.step / 2**STEP_BITS
        say(f"  {name:12} {where:9} step {step:6.2f}  {one.stored:>9,} bytes  {bits:5.2f} bits")
    return kept(network, {name: one.weight for name, one in chosen.items()})


def _logits(network: Network, images: np.ndarray) -> np.ndarray:
    return network.logits(on_cpu(network, threads=torch.get_num_threads()).run(images)).astype(np.float64)
