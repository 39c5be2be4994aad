"""Convolutions that keep channels apart, for poolings that follow no convolution."""

from __future__ import annotations

import numpy as np

from pynq_cnn.errors import CompileError

# Inputs of an output: beyond, no engine has the weight tiles, and a square of them fills a computer's memory.
MAX_DIAGONAL = 1 << 14


def diagonal(name: str, size: tuple[int, int], channels: int) -> np.ndarray:
    """Weights, int8 [channels, *size, channels], that sum each channel over a window."""
    area = size[0] * size[1]
    if area * channels > MAX_DIAGONAL:
        raise CompileError(
            f"{name}: a pooling without a convolution before it is compiled to one of all its {channels} channels, "
            f"{area * channels} inputs an output; at most {MAX_DIAGONAL} are possible; use backend='reference'"
        )
    return np.broadcast_to(np.eye(channels, dtype=np.int8)[:, None, None, :], (channels, *size, channels))
