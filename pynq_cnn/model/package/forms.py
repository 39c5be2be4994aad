"""How a package is written: its format, and for each kind of layer the fields and arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pynq_cnn.model.layers import AvgPool2d, BinaryConv2d, Concat, Conv2d, Dense, MaxPool2d
from pynq_cnn.model.package.frequency import FREQUENCY_ARRAYS

FORMAT = "pynq_cnn.model"
FORMAT_VERSION = 2
MANIFEST = "manifest.json"

# What a package may hold at most: a number in a manifest is no reason to run out of memory.
MAX_MANIFEST_BYTES = 4 << 20
MAX_ARRAY_BYTES = 256 << 20
MAX_PACKAGE_BYTES = 512 << 20  # of all its arrays, shared weights unpacked


@dataclass(frozen=True)
class Form:
    """How a kind of layer is written.

    Parameters
    ----------
    layer : type
        Its class.
    fields : dict
        JSON fields that it always has, with their types.
    options : dict
        JSON fields that are written where they differ from these defaults.
    required, optional : tuple of str
        Names of its arrays.
    shareable : bool
        Whether its weight may be a shared one.
    """

    layer: Callable[..., Any]
    fields: dict[str, type]
    options: dict[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    shareable: bool = False


REQUANTISATION = {"zero_point": 0, "low": 0}  # beside the arrays of the constants
INPUTS: dict[str, Any] = {"inputs": []}
CONSTANTS = ("multiplier", "shift")

FORMS = {
    "conv2d": Form(
        Conv2d,
        {"stride": list, "padding": list},
        {"dilation": [1, 1], "groups": 1, **REQUANTISATION, **INPUTS},
        ("weight", "bias"),
        (*CONSTANTS, "threshold", "skip"),
        True,
    ),
    "dense": Form(Dense, {}, {**REQUANTISATION, **INPUTS}, ("weight", "bias"), (*CONSTANTS, "threshold", "skip"), True),
    "binary_conv2d": Form(
        BinaryConv2d, {"channels": int, "stride": list, "padding": list}, INPUTS, ("weight",), ("threshold",)
    ),
    "maxpool2d": Form(MaxPool2d, {"size": list, "stride": list}, {"padding": [0, 0, 0, 0], **INPUTS}),
    "avgpool2d": Form(
        AvgPool2d,
        {"size": list, "stride": list},
        {"padding": [0, 0, 0, 0], "bias": 0, **REQUANTISATION, **INPUTS},
        (),
        CONSTANTS,
    ),
    "concat": Form(Concat, {"inputs": list}),
}


# A weight in frequency takes the allocation, the lengths of a Huffman code for each number of bits, and the levels.
# A shared weight takes three arrays in the place of `weight`: the codebook, the lengths of the canonical Huffman code
# words of the codebook indices and then of the gaps, and the stream: for each entry the word of its gap, then that of
# its code.
SHARED_ARRAYS = ("codebook", "code_lengths", "stream")
STORED_ARRAYS = {"shared": SHARED_ARRAYS, "frequency": FREQUENCY_ARRAYS}
