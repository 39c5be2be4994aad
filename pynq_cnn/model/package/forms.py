"""How a package is written: its format, and for each kind of layer the fields and arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pynq_cnn.model.layers import AvgPool2d, BinaryConv2d, Conv2d, Dense, MaxPool2d

FORMAT = "pynq_cnn.model"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"

# What a package may hold at most: a number in a manifest is no reason to run out of memory.
MAX_MANIFEST_BYTES = 4 << 20
MAX_ARRAY_BYTES = 256 << 20
MAX_PACKAGE_BYTES = 512 << 20  # of all its arrays, shared weights unpacked


@dataclass(frozen=True)
class Form:
    """How a kind of layer is written: its class, its JSON fields with their types, its arrays, whether its weight may
    be a shared one.
    """

    layer: Callable[..., Any]
    fields: dict[str, type]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    shareable: bool = False


FORMS = {
    "conv2d": Form(
        Conv2d,
        {"stride": list, "padding": list},
        ("weight", "bias"),
        ("multiplier", "shift", "threshold", "pad_value"),
        True,
    ),
    "dense": Form(Dense, {}, ("weight", "bias"), ("multiplier", "shift", "threshold"), True),
    "binary_conv2d": Form(
        BinaryConv2d, {"channels": int, "stride": list, "padding": list}, ("weight",), ("threshold",)
    ),
    "maxpool2d": Form(MaxPool2d, {"size": int, "stride": int}),
    "avgpool2d": Form(AvgPool2d, {"size": list, "stride": list}, (), ("multiplier", "shift")),
}


# A shared weight takes three arrays in the place of `weight`: the codebook, the lengths of the canonical Huffman code
# words of the codebook indices and then of the gaps, and the stream: for each entry the word of its gap, then that of
# its code.
SHARED_ARRAYS = ("codebook", "code_lengths", "stream")
