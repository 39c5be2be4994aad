"""Costs of a network: parameters, multiply-accumulates and memory of the activations, layer by layer."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from host_train.layers.binary import BinaryConv2d, BinaryLayer, BinaryLinear
from host_train.layers.join import Concat
from host_train.reason import reason_of
from pynq_cnn.errors import ArgumentError
from pynq_cnn.table import text_table

POOLING = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
COMPUTING = (nn.Conv2d, nn.Linear, BinaryConv2d, BinaryLinear, *POOLING, Concat)
WEIGHTED = (nn.Conv2d, nn.Linear, BinaryLayer)


@dataclass(frozen=True)
class LayerProfile:
    """One layer, with the batch norm and activation behind it, for one image.

    Parameters
    ----------
    name, kind : str
        Of the layer.
    shape : tuple of int
        Its output: (channels, height, width), or (outputs,).
    parameters : int
        Weights, biases, and those of the batch norm behind it.
    macs : int
        Multiply-accumulates, those with padded zeros included.
    float_bytes : int
        Its output in float32.
    engine_bytes : int
        Its output in the integer arithmetic: bytes, bits in whole 64-bit words per pixel, or int32 of the last layer.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    macs: int
    float_bytes: int
    engine_bytes: int


@dataclass(frozen=True)
class Profile:
    """A network, for one image.

    Parameters
    ----------
    name : str
        The network's.
    input_shape : tuple of int
        (channels, height, width).
    layers : tuple of LayerProfile
        In order.
    """

    name: str
    input_shape: tuple[int, int, int]
    layers: tuple[LayerProfile, ...]

    @property
    def parameters(self) -> int:
        """Parameters of all layers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def float_bytes(self) -> int:
        """Outputs of all layers in float32."""
        return sum(layer.float_bytes for layer in self.layers)

    @property
    def engine_bytes(self) -> int:
        """Outputs of all layers in integers."""
        return sum(layer.engine_bytes for layer in self.layers)

    @property
    def peak_bytes(self) -> int:
        """Input and output of the layer where they are largest together, in integers: what must be in memory at
        once.
        """
        sizes = [prod(self.input_shape), *(layer.engine_bytes for layer in self.layers)]
        return max(a + b for a, b in zip(sizes, sizes[1:]))

    def to_json(self) -> dict[str, Any]:
        """As values for JSON."""
        totals = ("parameters", "macs", "float_bytes", "engine_bytes", "peak_bytes")
        return {
            "network": self.name,
            "input": list(self.input_shape),
            "layers": [{**vars(layer), "shape": list(layer.shape)} for layer in self.layers],
            **{name: getattr(self, name) for name in totals},
        }

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [
            ("layer", "", "output", "parameters", "multiply-acc.", "float32 bytes", "engine bytes")
        ]
        for one in self.layers:
            shape = " x ".join(map(str, one.shape))
            rows.append(
                (
                    one.name,
                    one.kind,
                    shape,
                    *map(_grouped, (one.parameters, one.macs, one.float_bytes, one.engine_bytes)),
                )
            )
        rows.append(
            ("total", "", "", *map(_grouped, (self.parameters, self.macs, self.float_bytes, self.engine_bytes)))
        )
        title = f"{self.name}, input {' x '.join(map(str, self.input_shape))}, one image"
        return (
            f"{title}\n{text_table(rows, left=3)}\nlargest input and output of a layer together: {self.peak_bytes:,}"
            " bytes on the engine"
        )


def _grouped(number: int) -> str:
    return f"{number:,}"


def comparison(profiles: list[Profile]) -> str:
    """The totals of several networks, with how many times those of the first they are."""
    rows: list[tuple[str, ...]] = [
        ("network", "parameters", "", "multiply-acc.", "", "float32 bytes", "", "engine bytes", "")
    ]
    for one in profiles:
        cells = [one.name]
        for field in ("parameters", "macs", "float_bytes", "engine_bytes"):
            cells += [_grouped(getattr(one, field)), f"{getattr(one, field) / getattr(profiles[0], field):.2f}x"]
        rows.append(tuple(cells))
    return text_table(rows)


def profile(model: nn.Module, name: str, input_shape: tuple[int, int, int]) -> Profile:
    """Measure `model` by running it on one image of zeros.

    Multiply-accumulates are counted by `torch.utils.flop_counter`, half its floating-point operations.

    Parameters
    ----------
    model : torch.nn.Module
        Float32 [n, channels, height, width] to [n, classes]; its layers run in the order in which they are called.
    name : str
        Its name.
    input_shape : tuple of int
        (channels, height, width).

    Raises
    ------
    ArgumentError
        If the model does not take such an image, or a layer runs twice.

    Warns
    -----
    UserWarning
        If it has parameters or does multiply-accumulates outside of the layers that are listed.

    Examples
    --------
    >>> block = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)]
    >>> model = nn.Sequential(*block, nn.Flatten(), nn.Linear(36, 5))
    >>> result = profile(model, "tiny", (1, 8, 8))
    >>> [(layer.kind, layer.shape, layer.parameters, layer.macs, layer.engine_bytes) for layer in result.layers]
    [('Conv2d', (4, 6, 6), 48, 1296, 144), ('MaxPool2d', (4, 3, 3), 0, 0, 36), ('Linear', (5,), 185, 180, 20)]
    >>> result.peak_bytes
    208
    """
    leaves = [(path, layer) for path, layer in model.named_modules() if not list(layer.children())]
    calls: list[tuple[str, nn.Module, tuple[int, ...]]] = []

    def keep(path: str) -> Callable[..., None]:
        return lambda layer, _inputs, output: calls.append((path, layer, tuple(output.shape[1:])))

    hooks = [layer.register_forward_hook(keep(path)) for path, layer in leaves]
    training, device = model.training, next((p.device for p in model.parameters()), torch.device("cpu"))
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model.eval()(torch.zeros(1, *input_shape, device=device))
    except RuntimeError as error:
        wanted = " x ".join(map(str, input_shape))
        raise ArgumentError(f"{name} does not take an image of {wanted}: {reason_of(error)}") from error
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    paths = [path for path, _, _ in calls]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise ArgumentError(f"{twice} of {name} runs more than once; give every place a layer of its own")
    flops = counter.get_flop_counts()
    layers: list[LayerProfile] = []
    computing = [
        k
        for k, (_, layer, _) in enumerate(calls)
        if isinstance(layer, COMPUTING) or _has_weights(layer) or (not k and _own(layer))
    ]
    for k, after in zip(computing, [*computing[1:], len(calls)]):
        path, layer, shape = calls[k]
        macs = sum(flops.get(f"{type(model).__name__}.{path}", {}).values()) // 2
        parameters = sum(_own(part) for _, part, _ in calls[k:after])
        following = [part for _, part, _ in calls[after:] if isinstance(part, WEIGHTED)]
        engine = _engine_bytes(
            shape, last=after == len(calls), bits=bool(following) and isinstance(following[0], BinaryLayer)
        )
        layers.append(LayerProfile(path, type(layer).__name__, shape, parameters, macs, 4 * prod(shape), engine))
    result = Profile(name, input_shape, tuple(layers))
    _warn_left_out(model, result, set(paths), counter.get_total_flops() // 2)
    return result


def _own(layer: nn.Module) -> int:
    """Parameters of a module itself, without those of modules within it."""
    return sum(p.numel() for p in layer.parameters(recurse=False))


def _has_weights(layer: nn.Module) -> bool:
    """Whether a module is more than a batch norm or activation, which belong to the layer before them."""
    return any(p.ndim > 1 for p in layer.parameters(recurse=False))


def _warn_left_out(model: nn.Module, result: Profile, called: set[str], macs: int) -> None:
    """Warn of parameters and multiply-accumulates that the table does not have."""
    parameters = sum(p.numel() for p in model.parameters())
    if parameters != result.parameters:
        where = ", ".join(
            path or type(model).__name__ for path, one in model.named_modules() if _own(one) and path not in called
        )
        left = parameters - result.parameters
        warnings.warn(
            f"{left:,} parameters of {result.name} are not in the table: they belong to no layer that is called, but to"
            f" {where}",
            stacklevel=3,
        )
    if macs != result.macs:
        left = macs - result.macs
        warnings.warn(
            f"{left:,} multiply-accumulates of {result.name} are not in the table: no layer of torch.nn computes them",
            stacklevel=3,
        )


def _engine_bytes(shape: tuple[int, ...], *, last: bool, bits: bool) -> int:
    """Of an output: int32 of the last layer, bits before a binary layer, else bytes."""
    if last:
        return 4 * prod(shape)
    return -(-shape[0] // 64) * 8 * prod(shape[1:]) if bits else prod(shape)
