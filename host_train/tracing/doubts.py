"""Reasons to doubt what is measured on calibration images: they do not look like images that a network was
trained on.
"""

from __future__ import annotations

import numpy as np

from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import InputSpec
from pynq_cnn.model.output import answers

# Neighbouring pixels correlate by 0.3 to 0.95 in single images of MNIST, Fashion-MNIST and CIFAR-10, and by 0.7 and
# more in eight of them; in so many pairs of noise by 0.11 at most.
NOISE, PAIRS = 0.15, 500
# By the data sets' own mean and standard deviation, eight of their images are at most 0.5 off and have 0.7 to 1.3 of
# the deviation; MNIST by those of ImageNet, which people do use, is 1.6 off.
FAR, FLAT, STEEP = 2.0, 0.1, 10.0
DARK = 0.02  # of a mean above this, images have pixels below: those in 0..1 that were not normalised have none
LOOKED_AT = 128  # images, spread over all
FEW = 16  # of fewer images, agreement says little, and one answer for all may be chance


def neighbours(octets: np.ndarray) -> tuple[float, float]:
    """Correlation of pixels with those below and beside them, of uint8 [n, height, width, channels]; 1 where nothing
    varies.

    Examples
    --------
    >>> noise = np.random.default_rng(0).integers(0, 256, (9, 20, 20, 1), np.uint8)
    >>> max(map(abs, neighbours(noise))) < 0.1
    True
    """
    values = octets.astype(np.float32)
    values -= values.mean((1, 2), keepdims=True)

    def correlation(a: np.ndarray, b: np.ndarray) -> float:
        spread = float(np.sqrt((a * a).sum(dtype=np.float64) * (b * b).sum(dtype=np.float64)))
        return float((a * b).sum(dtype=np.float64)) / spread if spread else 1.0

    return correlation(values[:, 1:], values[:, :-1]), correlation(values[:, :, 1:], values[:, :, :-1])


def check_images(octets: np.ndarray) -> None:
    """`ArgumentError` if every pixel of uint8 [n, height, width, channels] is the same: that tells nothing of
    activations.
    """
    if octets[..., 0].size > 1 and (octets == octets[:1, :1, :1]).all():
        raise ArgumentError(
            f"all calibration images are of one colour, {octets[0, 0, 0].tolist()}, which says nothing of how large"
            " activations become; give training images, and the mean and std that they were normalised with"
        )


def doubts(octets: np.ndarray, spec: InputSpec, logits: np.ndarray, kind: str) -> list[str]:
    """Reasons to doubt that the calibration images are like those that the network was trained on.

    Parameters
    ----------
    octets : numpy.ndarray
        uint8 [n, height, width, channels].
    spec : InputSpec
        With the normalisation that was stated; mean 0 and std 1 state none.
    logits : numpy.ndarray
        [n, outputs], the model's.
    kind : str
        Of output.

    Returns
    -------
    list of str
        Sentences; empty as a rule.
    """
    found = []
    if len(octets) < FEW:
        found.append(
            f"there are only {len(octets)} calibration images, few to tell how large activations become; give a few"
            " hundred"
        )
    some = octets[np.unique(np.linspace(0, len(octets) - 1, LOOKED_AT).astype(int))]
    flat = int((some == some[:, :1, :1]).all((1, 2, 3)).sum()) if some[0, ..., 0].size > 1 else 0
    if flat > len(some) / 2:
        found.append(
            f"{flat} of {len(some)} calibration images that were looked at are of one colour each, which says little of"
            " how large activations become on others; give training images"
        )
    pairs = some[:, 1:].size + some[:, :, 1:].size
    if pairs >= PAIRS and max(map(abs, neighbours(some))) < NOISE:
        found.append(
            "the calibration images look like noise (neighbouring pixels have nothing in common), so how large"
            " activations become on real images is not known; give training images"
        )
    if any(spec.mean) or any(one != 1 for one in spec.std):
        values = some.reshape(-1, spec.channels) / 255
        off = np.abs(values.mean(0) - spec.mean) / spec.std
        ratio = values.std(0) / spec.std
        if off.max() > FAR or ratio.min() < FLAT or ratio.max() > STEEP:
            found.append(
                f"the calibration images have mean {_numbers(values.mean(0))} and standard deviation"
                f" {_numbers(values.std(0))}, far from the normalisation that was given, mean {_numbers(spec.mean)} and"
                f" std {_numbers(spec.std)}; both are of images in 0..1"
            )
        if min(spec.mean) > DARK and (values.min(0) > np.asarray(spec.mean) - 1 / 255).all():
            found.append(
                f"no pixel of the calibration images is below the mean that was given, {_numbers(spec.mean)}, as if"
                " they were not normalised; give them as the model gets them, (image - mean) / std"
            )
    said = answers(logits, kind) if kind != "values" else np.empty(0)
    if len(said) >= FEW and (said == said[:1]).all():
        found.append(
            f"the model gives the same answer for all {len(said)} calibration images, so how others come out in"
            " integers is not known; give images of every class, in random order and normalised as in training"
        )
    return found


def _numbers(values: object) -> str:
    return " ".join(f"{value:.4g}" for value in np.atleast_1d(np.asarray(values, np.float64)))
