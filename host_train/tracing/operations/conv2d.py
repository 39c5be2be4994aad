"""Convolution."""

from __future__ import annotations

from torch import nn

from host_train.tracing.operations.kind import Kind, Shape, plain_size, with_weights


def _conv2d(layer: nn.Conv2d, before: Shape, after: Shape) -> list[nn.Module]:
    made = nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,  # type: ignore[arg-type]
        plain_size(layer.stride),
        layer.padding if isinstance(layer.padding, str) else plain_size(layer.padding),
        plain_size(layer.dilation),
        layer.groups,
        layer.bias is not None,
        layer.padding_mode,
    )
    return with_weights(made, layer)


CONV2D = Kind({nn.Conv2d: _conv2d}, learned=True)
