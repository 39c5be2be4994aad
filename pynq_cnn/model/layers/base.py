"""Names, shapes and data types, as every kind of layer has them."""

from __future__ import annotations

import re
from typing import Any

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import DataType
from pynq_cnn.model.description import short

Shape = tuple[int, int, int]  # of one image, height x width x channel (HWC)

MAX_DIMENSION = 65535  # sizes are 16-bit fields in the instruction set


def check_name(name: Any) -> None:
    """See that a layer's name can be part of a file's; `NetworkError` if not."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) or name.startswith("."):
        raise NetworkError(
            f"the layer name {short(name)} must be 1 to 64 letters, digits, '_', '-' or '.', not starting with '.'"
        )


def check_type(name: str, allowed: tuple[DataType, ...], given: DataType) -> None:
    """See that a layer takes what the layer before it gives; `NetworkError` if not."""
    if given not in allowed:
        raise NetworkError(
            f"{name} takes {' or '.join(t.name for t in allowed)}, but the layer before it gives {given.name}"
        )
