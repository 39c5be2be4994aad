"""One instruction's worth of work."""

from __future__ import annotations

from dataclasses import dataclass

from pynq_cnn.model import Conv2d, MaxPool2d
from pynq_cnn.model.tensor import Shape


@dataclass(frozen=True)
class Stage:
    """A convolution and the pooling that follows it.

    Parameters
    ----------
    name : str
        The layers it comes from, joined by "+".
    conv : Conv2d
        The convolution; a dense layer is a 1 x 1 convolution over a 1 x 1 image.
    in_shape, out_shape : tuple of int
        (height, width, channels) before the convolution and after the pooling.
    pool : MaxPool2d, optional
        The pooling behind it.
    pad : tuple of int
        The byte per input channel that padded pixels have; empty where none is wanted.
    """

    name: str
    conv: Conv2d
    in_shape: Shape
    out_shape: Shape
    pool: MaxPool2d | None = None
    pad: tuple[int, ...] = ()

    @property
    def int32(self) -> bool:
        """Whether it gives accumulators instead of bytes."""
        return self.conv.requantisation is None

    @property
    def pool_size(self) -> int:
        """Side of the pooling window, 1 for none."""
        return self.pool.size[0] if self.pool else 1

    @property
    def pool_stride(self) -> int:
        """Step of the pooling window, 1 for none."""
        return self.pool.stride[0] if self.pool else 1
