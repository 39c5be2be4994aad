"""Images to calibrate with, in the forms in which people have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import InputSpec
from pynq_cnn.model.colors import PLAIN

# What images of so many channels are taken for. Two or four may be anything, so that no picture is taken for them.
TAKEN_FOR = {1: "L", 2: PLAIN, 3: "RGB", 4: PLAIN}

SLACK = 0.1  # how far interpolation may overshoot 0 and 1

ACCEPTED = (
    "images as uint8 (NumPy [n, height, width, channels], tensors [n, channels, height, width]), as normalised float"
    " [n, channels, height, width], or an iterable of batches of either, such as a DataLoader"
)


def _batches(data: Any) -> Iterator[Any]:
    """The images of each batch, without labels."""
    if isinstance(data, (torch.Tensor, np.ndarray)):
        yield _plain(data)
        return
    if isinstance(data, (str, bytes, dict)) or not isinstance(data, Iterable):
        raise ArgumentError(f"calibration_data must be {ACCEPTED}; not {data!r:.60}")
    for batch in data:
        images = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
        if not isinstance(images, (torch.Tensor, np.ndarray)):
            raise ArgumentError(f"calibration_data must be {ACCEPTED}; it holds a {type(images).__name__}")
        yield _plain(images)


def _plain(images: torch.Tensor | np.ndarray) -> torch.Tensor | np.ndarray:
    """Sparse and quantised tensors as plain ones, which can be cut and permuted."""
    if not isinstance(images, torch.Tensor):
        return images
    dense = images if images.layout == torch.strided else images.to_dense()
    return dense.dequantize() if dense.is_quantized else dense


def channels_last(images: torch.Tensor | np.ndarray, spec: InputSpec | None) -> bool:
    """Whether uint8 images of four dimensions have their channels last: as NumPy's have, unless only the other place
    holds as many as the network takes, or 1 to 4 where that is not known.
    """
    counts = TAKEN_FOR if spec is None else (spec.channels,)
    first, last = images.shape[1] in counts, images.shape[3] in counts
    return last and (isinstance(images, np.ndarray) or not first)


def _planar(images: torch.Tensor | np.ndarray, spec: InputSpec | None) -> torch.Tensor:
    """[n, channels, height, width], uint8 or float32, on the CPU."""
    if isinstance(images, np.ndarray):
        if images.dtype != np.uint8 and images.dtype.kind != "f":
            raise ArgumentError(f"calibration images must be uint8 or normalised float, not {images.dtype}")
        # A copy, which may be written to.
        tensor = torch.from_numpy(images.astype(np.uint8 if images.dtype == np.uint8 else np.float32))
    else:
        tensor = images.detach().cpu()
    if tensor.dtype == torch.uint8:
        if tensor.ndim == 3:
            tensor = tensor[:, None]
        elif tensor.ndim == 4 and channels_last(images, spec):
            tensor = tensor.permute(0, 3, 1, 2)
    elif tensor.is_floating_point():
        tensor = tensor.float()
    else:
        raise ArgumentError(f"calibration images must be uint8 or normalised float, not {tensor.dtype}")
    shape = tuple(images.shape)
    if tensor.ndim != 4:
        raise ArgumentError(
            f"a calibration batch must be [n, channels, height, width], not {shape}; make batches with a DataLoader"
        )
    if spec is None and tensor.shape[1] not in TAKEN_FOR:
        raise ArgumentError(
            f"calibration images must have 1 to 4 channels, not the {tensor.shape[1]} of a batch {shape}; give an"
            " InputSpec for more, of color 'plain'"
        )
    return tensor


def batches_of(data: Any, spec: InputSpec) -> Iterator[torch.Tensor]:
    """The model's inputs, float32 [n, channels, height, width], of each batch of images in the forms of `ACCEPTED`."""
    for batch in _batches(data):
        planar = _planar(batch, spec)
        _check_size(planar, spec)
        yield normalise(planar, spec) if planar.dtype == torch.uint8 else planar


def _check_size(planar: torch.Tensor, spec: InputSpec) -> None:
    expected = (spec.channels, spec.height, spec.width)
    if tuple(planar.shape[1:]) != expected:
        raise ArgumentError(
            f"calibration images must be {expected} (channels, height, width), not {tuple(planar.shape[1:])}"
        )


def _per_channel(name: str, values: float | Sequence[float] | None, default: float, channels: int) -> tuple[float, ...]:
    try:
        given = np.asarray(default if values is None else values, np.float64)
    except (TypeError, ValueError):
        given = np.empty(0)
    if given.ndim > 1 or given.size not in (1, channels):
        several = f" or {channels}, one per channel" if channels > 1 else ""
        raise ArgumentError(f"{name} must be one number{several}, not {values!r:.60}")
    return tuple(given.ravel().tolist() * (channels // given.size))


def _constants(spec: InputSpec) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and std, to compute with on [n, channels, height, width]."""
    mean, std = (torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1) for values in (spec.mean, spec.std))
    return mean, std


def normalise(planar: torch.Tensor, spec: InputSpec) -> torch.Tensor:
    """The model's inputs float32 [n, channels, height, width] of images uint8 of that shape."""
    mean, std = _constants(spec)
    return (planar.float() / 255 - mean) / std


def read_calibration(
    data: Any,
    spec: InputSpec | None,
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
    most: int,
) -> tuple[InputSpec, np.ndarray, torch.Tensor]:
    """The first `most` images, as the bytes that the engine sees and as the model's inputs.

    Parameters
    ----------
    data : tensor, array or iterable
        See `ACCEPTED`; batches may be tuples whose first item is the images.
    spec : InputSpec, optional
        The network's input. Without it, the size is that of the images: 1 channel is grey, 3 are RGB, 2 and 4 are
        plain.
    mean, std : float or sequence of float, optional
        Per channel, where there is no `spec`: 0 and 1 if not given, for inputs in 0..1.
    most : int
        How many to read.

    Returns
    -------
    spec : InputSpec
        Complete.
    images : numpy.ndarray
        uint8 [n, height, width, channels].
    inputs : torch.Tensor
        float32 [n, channels, height, width], normalised.

    Raises
    ------
    ArgumentError
        For another type, shape or dtype, no images, values that are not finite, and floats that `mean` and `std` do not
        bring to 0..1.

    Examples
    --------
    >>> spec, images, inputs = read_calibration(np.full((2, 4, 5), 255, np.uint8), None, 0.5, 0.25, most=10)
    >>> spec.shape, images.shape, inputs.unique().tolist()
    ((4, 5, 1), (2, 4, 5, 1), [2.0])
    """
    if spec is not None and (mean is not None or std is not None):
        raise ArgumentError("give mean and std in the InputSpec, not beside it")
    images, inputs, count = [], [], 0
    for batch in _batches(data):
        if not batch.ndim:
            raise ArgumentError(f"calibration_data must be {ACCEPTED}; it holds a single number")
        planar = _planar(batch[: most - count], spec)
        if spec is None:
            channels, height, width = planar.shape[1:]
            means, stds = _per_channel("mean", mean, 0.0, channels), _per_channel("std", std, 1.0, channels)
            spec = InputSpec(height, width, channels, TAKEN_FOR[channels], means, stds)
        _check_size(planar, spec)
        if planar.dtype == torch.uint8:
            octets, normalised = planar, normalise(planar, spec)
        else:
            centre, spread = _constants(spec)
            real, normalised = planar * spread + centre, planar
            if not torch.isfinite(real).all():
                raise ArgumentError("calibration images hold NaN or infinity")
            if len(real) and (real.min() < -SLACK or real.max() > 1 + SLACK):
                raise ArgumentError(
                    f"calibration images times std {spec.std} plus mean {spec.mean} go from {real.min():.3g} to"
                    f" {real.max():.3g}, not from 0 to 1; give the mean and std that they were normalised with"
                )
            octets = (real * 255).round().clamp(0, 255).to(torch.uint8)
        images.append(octets.permute(0, 2, 3, 1).numpy())
        inputs.append(normalised)
        count += len(planar)
        if count >= most:
            break
    if spec is None or not count:
        raise ArgumentError(f"there are no images to calibrate with; calibration_data must be {ACCEPTED}")
    # Images that were [height, width, channels] keep that order in memory, over which `view` fails in models that work
    # otherwise.
    planar = torch.cat(inputs).clone(memory_format=torch.contiguous_format)
    return spec, np.ascontiguousarray(np.concatenate(images)), planar
