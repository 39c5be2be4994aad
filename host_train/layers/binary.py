"""Layers with binary weights and activations, trained by the straight-through estimator.

Weights are kept as real *latent* weights, of which only the sign is used; gradients pass the sign as if it were not
there, and latent weights are clipped to a window around 0 after every step. [Courbariaux et al. 2016, "Binarized Neural
Networks", arXiv 1602.02830, sections 1.1 to 1.3; Courbariaux, Bengio and David 2015, "BinaryConnect", arXiv 1511.00363,
for the clipping and the stochastic form]
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn


def binarise(x: torch.Tensor) -> torch.Tensor:
    """The sign of `x`, sign(0) = +1, with the straight-through gradient.

    Where activations are concerned, the hardtanh before this stops the gradient beyond [-1, 1].

    Examples
    --------
    >>> x = torch.tensor([-0.5, 0.0, 2.0], requires_grad=True)
    >>> binarise(x).tolist()
    [-1.0, 1.0, 1.0]
    >>> binarise(x).sum().backward(); x.grad.tolist()
    [1.0, 1.0, 1.0]
    """
    signs = torch.where(x >= 0, 1.0, -1.0).to(x.dtype)
    if torch.jit.is_tracing() or not (x.requires_grad and torch.is_grad_enabled()):
        return signs  # nothing for TorchScript to carry along
    # Adds 0, with the gradient of x. Not by an autograd.Function: torch.compile of torch 2.11 loses its gradient.
    return signs + (x - x.detach())


def binarise_stochastically(x: torch.Tensor, window: float = 1.0) -> torch.Tensor:
    """+1 with the probability `clip((x / window + 1) / 2, 0, 1)`, else -1, with the straight-through gradient.

    Examples
    --------
    >>> x = torch.zeros(10000)
    >>> bool(abs(binarise_stochastically(x).mean()) < 0.05)
    True
    >>> binarise_stochastically(torch.tensor([-0.1, 0.1]), window=0.1).tolist()
    [-1.0, 1.0]
    """
    probability = ((x.detach() / window + 1) / 2).clamp(0, 1)
    return binarise(x + (torch.where(torch.rand_like(probability) < probability, 1.0, -1.0) - x).detach())


class Sign(nn.Module):
    """The sign of its input, as a layer. Binary layers take the sign of what comes in anyway, so a network need not
    have it.

    Parameters
    ----------
    function : callable
        `binarise`, or `torch.sign`, which differs in the sign of 0.

    Examples
    --------
    >>> Sign()(torch.tensor([-0.5, 0.0])).tolist(), Sign(torch.sign)(torch.tensor([-0.5, 0.0])).tolist()
    ([-1.0, 1.0], [-1.0, 0.0])
    """

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor] = binarise) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


class BinaryLayer(nn.Module):
    """Base of binary layers: binarised weights, and latent weights that stay in [-window, window].

    The window is 1 where weights are signs, of which it changes nothing how far from 0 the latent weight is. Where they
    are drawn at random it is Glorot's coefficient for the layer, and latent weights start evenly spread over it, as in
    BinaryConnect: ones that start near the middle of a wide window are drawn by the toss of a coin, and nothing is
    learned.

    Parameters
    ----------
    shape : tuple of int
        Of the weight: outputs, inputs, and the kernel's sides where there is one.
    stochastic : bool
        Draw the weights at random while training, instead of taking the sign.

    Attributes
    ----------
    real : bool
        Whether the latent weights are used as they are: set by `use_real_weights`, for a training before the one with
        binary weights.
    """

    def __init__(self, shape: tuple[int, ...], stochastic: bool) -> None:
        super().__init__()
        self.stochastic = stochastic
        self.real = False
        self.weight = nn.Parameter(torch.empty(shape))
        if stochastic:
            fans = self.weight[0].numel() + self.weight[:, 0].numel()
            self.window = (1.5 / fans) ** 0.5
            nn.init.uniform_(self.weight, -self.window, self.window)
        else:
            self.window = 1.0
            nn.init.xavier_normal_(self.weight)

    def seen(self, x: torch.Tensor) -> torch.Tensor:
        """The values that are multiplied with the weights: the signs of `x`."""
        return binarise(x)

    def binary_weight(self) -> torch.Tensor:
        """+1 and -1, of the latent weight's shape; while weights are real, they themselves."""
        if self.real:
            return self.weight
        return (
            binarise_stochastically(self.weight, self.window)
            if self.stochastic and self.training
            else binarise(self.weight)
        )

    def clip(self) -> None:
        """Bring the latent weights back into their window, after an optimiser's step."""
        with torch.no_grad():
            self.weight.clamp_(-self.window, self.window)


class BinaryConv2d(BinaryLayer):
    """Convolution of signs with signs, without bias. Padded pixels are 0 and count nothing.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, padding : int
        As of `torch.nn.Conv2d`.
    input_step : float, optional
        Given for a first layer: its input is not binarised but put on the grid of its bytes, multiples of this step,
        which undoes the rounding of the normalisation, so that sums are exact.
    stochastic : bool
        See `BinaryLayer`.

    Examples
    --------
    >>> layer = BinaryConv2d(2, 3, 3, padding=1)
    >>> y = layer(torch.randn(1, 2, 4, 4))
    >>> y.shape, bool((y == y.round()).all()), bool(y.abs().max() <= 18)
    (torch.Size([1, 3, 4, 4]), True, True)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        padding: int = 0,
        *,
        input_step: float | None = None,
        stochastic: bool = False,
    ) -> None:
        super().__init__((out_channels, in_channels, kernel_size, kernel_size), stochastic)
        self.padding = padding
        self.input_step = input_step

    def seen(self, x: torch.Tensor) -> torch.Tensor:
        return super().seen(x) if self.input_step is None else torch.round(x / self.input_step) * self.input_step

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(self.seen(x), self.binary_weight(), padding=self.padding)


class BinaryLinear(BinaryLayer):
    """Fully connected layer of signs, with a fixed scale and a real bias: what gives the logits.

    Parameters
    ----------
    in_features, out_features : int
        As of `torch.nn.Linear`.
    stochastic : bool
        See `BinaryLayer`.

    Examples
    --------
    >>> BinaryLinear(64, 10)(torch.randn(5, 64)).shape
    torch.Size([5, 10])
    """

    def __init__(self, in_features: int, out_features: int, *, stochastic: bool = False) -> None:
        super().__init__((out_features, in_features), stochastic)
        # Sums of n random signs are of the order of sqrt(n); logits are of the order of 1.
        self.scale = in_features**-0.5
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(self.seen(x), self.binary_weight()) * self.scale + self.bias


def is_binary(model: nn.Module) -> bool:
    """Whether `model` has binary layers."""
    return any(isinstance(module, BinaryLayer) for module in model.modules())


def use_real_weights(model: nn.Module, real: bool = True) -> nn.Module:
    """`model` with the latent weights of its binary layers used as they are, or by their signs; activations stay
    binary.

    Examples
    --------
    >>> layer = BinaryLinear(4, 1)
    >>> signs = use_real_weights(layer).binary_weight() is layer.weight, use_real_weights(layer, False).binary_weight()
    >>> signs[0], signs[1].abs().tolist()
    (True, [[1.0, 1.0, 1.0, 1.0]])
    """
    for module in model.modules():
        if isinstance(module, BinaryLayer):
            module.real = real
    return model


def clip_latent_weights(model: nn.Module) -> None:
    """Clip the latent weights of every binary layer of `model`."""
    for module in model.modules():
        if isinstance(module, BinaryLayer):
            module.clip()
