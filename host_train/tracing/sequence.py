"""The layers of a traced model in their order; the first that is out of place is refused."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable

from torch import nn

from host_train.quantisation import blocks, fold
from host_train.tracing.operations import Reshape, Unchanged, unmapped_shape
from host_train.tracing.places import located
from pynq_cnn.errors import NetworkError

LONGEST_NAME = 64
ENDINGS = (nn.Softmax, nn.LogSoftmax, nn.Sigmoid)


def _unique(wanted: str, taken: set[str]) -> str:
    """A name for a layer that a package and an nn.Sequential can hold."""
    clean = re.sub(r"[^A-Za-z0-9_-]", "_", wanted)[-LONGEST_NAME + 5 :]
    name, count = clean, 1
    while name in taken or hasattr(nn.Sequential, name):
        count += 1
        name = f"{clean}_{count}"
    taken.add(name)
    return name


class Layers:
    """The layers that were found so far. One that is out of place is refused as soon as that is certain, so the first
    is named.

    Parameters
    ----------
    binary : bool
        Whether the model has binary layers.
    """

    def __init__(self, binary: bool) -> None:
        self.binary = binary
        self.layers: OrderedDict[str, nn.Module] = OrderedDict()
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.places: dict[str, str] = {}
        self._taken: set[str] = set()
        # Since the last layer, with their places: what they come to is known at the next.
        self._reshaped: list[tuple[str, Reshape]] = []
        self._unchanged: tuple[str, str, tuple[int, ...]] | None = (
            None  # pooling of single pixels: name, place and shape
        )

    def append(self, wanted: str, layer: nn.Module, place: str, shape: tuple[int, ...]) -> None:
        """Add a layer whose result has this shape."""
        if isinstance(layer, Reshape):
            self._reshaped.append((": ".join(filter(None, (place, wanted))), layer))
            return
        if isinstance(layer, Unchanged):
            self._unchanged = (wanted, place, shape)
            return
        last = next(reversed(self.layers), "")
        if last and isinstance(self.layers[last], ENDINGS):
            kind = "sigmoid" if isinstance(self.layers[last], nn.Sigmoid) else "softmax"
            error = f"{last}: a {kind} can only be the last operation; use ReLU between layers"
            raise located(
                NetworkError(f"{error} and train it again" if kind == "sigmoid" else error, last), self.places
            )
        self._add(wanted, self._behind_reshapes(layer), place, shape)

    def finish(self) -> tuple[nn.Sequential, nn.Module]:
        """All layers, and the softmax or sigmoid behind them."""
        if self._reshaped:
            where, reshape = self._reshaped[-1]
            if any(side != 1 for side in reshape.after[2:]) and reshape.after != self._reshaped[0][1].before:
                raise NetworkError(f"{where}: {unmapped_shape(self._reshaped[0][1].before, reshape.after)}")
        ending = self.layers.popitem()[1] if self.layers and isinstance(self._last(), ENDINGS) else nn.Identity()
        if self.layers and isinstance(self._last(), nn.Flatten):
            self.layers.popitem()  # logits are flat anyway
        if (
            self.layers
            and self._unchanged is not None
            and isinstance(self._last(), (nn.ReLU, nn.MaxPool2d))
            and not self.binary
        ):
            wanted, place, shape = self._unchanged
            self._add(wanted, nn.AvgPool2d(1), place, shape)
        self._check((lambda layers: blocks.check_end(blocks.blocks(layers))) if self.binary else fold.check_end)
        last = next(reversed(self.layers))
        pixels = self.shapes[last][2:]
        if any(side != 1 for side in pixels):
            error = (
                f"{last} is the last layer and gives {' x '.join(map(str, pixels))} pixels, not one number per class"
            )
            remedy = "put nn.AdaptiveAvgPool2d(1), or nn.Flatten and nn.Linear, behind it"
            raise located(NetworkError(f"{error}; {remedy}", last), self.places)
        return nn.Sequential(self.layers).eval(), ending

    def _last(self) -> nn.Module:
        return next(reversed(self.layers.values()))

    def _add(self, wanted: str, layer: nn.Module, place: str, shape: tuple[int, ...]) -> None:
        name = _unique(wanted, self._taken)
        self.layers[name], self.places[name], self.shapes[name] = layer, place, shape
        if not isinstance(layer, ENDINGS):
            self._check(blocks.blocks if self.binary else lambda _layers: fold.check_layer(layer, name))

    def _behind_reshapes(self, layer: nn.Module) -> nn.Module:
        """`layer`, with the flattening before it that all reshapes since the last layer come to; `NetworkError` if they
        come to another.
        """
        if not self._reshaped:
            return layer
        before, (where, reshape) = self._reshaped[0][1].before, self._reshaped[-1]
        after = reshape.after
        self._reshaped = []
        if after == before or len(before) == len(after) + 1 == 2:
            return layer
        if len(after) <= 2 and len(before) > 2:
            place, _, wanted = where.rpartition(": ")
            self._add(wanted, nn.Flatten(), place, after)
            return layer
        pixels = before[2] * before[3] if len(before) == 4 else 0
        if isinstance(layer, nn.AvgPool2d) and after == (*before[:2], pixels, 1) and layer.kernel_size == (pixels, 1):
            return nn.AvgPool2d((before[2], before[3]))  # over pixels in a row, which is the mean over height and width
        raise NetworkError(f"{where}: {unmapped_shape(before, after)}")

    def _check(self, check: Callable[[Iterable[tuple[str, nn.Module]]], object]) -> None:
        try:
            check(self.layers.items())
        except NetworkError as error:
            raise located(error, self.places) from error
