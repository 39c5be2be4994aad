"""Arrays as pictures that a page can show."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from math import ceil, sqrt
from typing import Any

import numpy as np
from PIL import Image

from pynq_cnn.model import Network

WIDER = 2  # a mosaic is about so many times as wide as high


def data_address(png: bytes) -> str:
    """A PNG file as an address that holds it.

    Examples
    --------
    >>> data_address(b"abc")
    'data:image/png;base64,YWJj'
    """
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def png_of(picture: Image.Image) -> bytes:
    """A Pillow image as a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def mosaic(values: np.ndarray) -> Image.Image:
    """The channels of a tensor side by side: its least value black, its largest white.

    Parameters
    ----------
    values : numpy.ndarray
        Integers [h, w, c].

    Returns
    -------
    PIL.Image.Image
        Of mode "LA". A transparent line is between channels, if these have more than one pixel.

    Examples
    --------
    >>> mosaic(np.zeros((28, 28, 8), np.uint8)).size
    (115, 57)
    >>> mosaic(np.array([[[-5, 0, 5]]], np.int32)).getchannel("L").tobytes().hex(" ")
    '00 80 ff'
    """
    height, width, channels = values.shape
    columns = min(channels, ceil(sqrt(WIDER * channels * height / width)))
    rows = ceil(channels / columns)
    columns = ceil(channels / rows)
    gap = int(height * width > 1)
    low, high = int(values.min()), int(values.max())
    grey = np.rint((values.astype(np.float64) - low) * (255 / max(high - low, 1))).astype(np.uint8)
    tiles = np.zeros((rows, height + gap, columns, width + gap, 2), np.uint8)
    for channel in range(channels):
        row, column = divmod(channel, columns)
        tiles[row, :height, column, :width, 0] = grey[:, :, channel]
        tiles[row, :height, column, :width, 1] = 255
    whole = tiles.reshape(rows * (height + gap), columns * (width + gap), 2)
    return Image.fromarray(np.ascontiguousarray(whole[: whole.shape[0] - gap, : whole.shape[1] - gap]))


def layer_pictures(network: Network, activations: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """Every layer's output as a picture, for JSON.

    Parameters
    ----------
    network : Network
        Whose layers they are.
    activations : sequence of numpy.ndarray
        The output of each layer, integers [1, h, w, c], in order, as `ReferenceBackend.activations` gives them.

    Returns
    -------
    list of dict
        For each layer its `name` and `kind`; the `shape` (h, w, c) and `type` of what it gives; the least value `low`,
        shown black, and the largest `high`, shown white; the byte `zero` that stands for real 0, None if these are no
        bytes; `picture`, `width` and `height` of the mosaic.
    """
    found = []
    for node, batch in zip(network.nodes, activations):
        picture = mosaic(batch[0])
        found.append(
            {
                "name": node.name,
                "kind": type(node.layer).__name__,
                "shape": list(node.gives.shape),
                "type": node.gives.datatype.name,
                "low": int(batch.min()),
                "high": int(batch.max()),
                "zero": node.gives.zero_point[0] if node.gives.datatype.name == "uint8" else None,
                "picture": data_address(png_of(picture)),
                "width": picture.width,
                "height": picture.height,
            }
        )
    return found
