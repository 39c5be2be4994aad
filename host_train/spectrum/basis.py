"""The 2-D FFT of real planes as an orthonormal real basis.

The FFT of h x w real numbers is h x w complex ones, of which F[-u, -v] is the conjugate of F[u, v]: half of them say
nothing new. Kept here are one of each such pair, as real and imaginary part times sqrt(2), and those that are their own
partner, which are real. That makes h x w real numbers again, and an orthonormal transform: errors in coefficients are
errors in weights of the same square sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pynq_cnn.model.frequency import places


@dataclass(frozen=True)
class RealFourier:
    """The transform for planes of one size.

    Parameters
    ----------
    height, width : int
        Of the planes.

    Examples
    --------
    >>> basis = RealFourier(3, 4)
    >>> planes = np.random.default_rng(0).normal(size=(5, 3, 4))
    >>> coefficients = basis.forward(planes)
    >>> coefficients.shape, bool(np.allclose(basis.inverse(coefficients), planes))
    ((5, 12), True)
    >>> bool(np.allclose((coefficients**2).sum(), (planes**2).sum()))
    True
    """

    height: int
    width: int

    def _places(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Flat indices of the coefficients that are their own partner, of one of each pair, and of the other."""
        return places(self.height, self.width)

    @property
    def frequencies(self) -> np.ndarray:
        """Which coefficient of the FFT each real number belongs to: flat index [height * width]."""
        single, pairs, _ = self._places()
        return np.concatenate([single, pairs, pairs])

    def as_map(self, values: np.ndarray) -> np.ndarray:
        """One value of each real number as a map over the frequencies, at a conjugate pair the mean of its two: the sum
        stays.

        Parameters
        ----------
        values : numpy.ndarray
            Real [height * width], in the order of `forward`.

        Returns
        -------
        numpy.ndarray
            float64 [height, width], frequency 0 at [0, 0].

        Examples
        --------
        >>> RealFourier(1, 3).as_map(np.array([5, 2, 1])).tolist()
        [[5.0, 1.5, 1.5]]
        """
        single, pairs, partner = self._places()
        real, imaginary = np.split(values[len(single) :], 2)
        flat = np.empty(self.height * self.width)
        flat[single] = values[: len(single)]
        flat[pairs] = flat[partner] = (real + imaginary) / 2
        return flat.reshape(self.height, self.width)

    def forward(self, planes: np.ndarray) -> np.ndarray:
        """float64 [n, height * width] of [n, height, width]."""
        flat = np.fft.fft2(planes, norm="ortho").reshape(len(planes), -1)
        single, pairs, _ = self._places()
        root = np.sqrt(2)
        return np.concatenate([flat[:, single].real, flat[:, pairs].real * root, flat[:, pairs].imag * root], axis=1)

    def inverse(self, coefficients: np.ndarray) -> np.ndarray:
        """float64 [n, height, width] of [n, height * width]."""
        single, pairs, partner = self._places()
        real, imaginary = np.split(coefficients[:, len(single) :] / np.sqrt(2), 2, axis=1)
        flat = np.zeros((len(coefficients), self.height * self.width), complex)
        flat[:, single] = coefficients[:, : len(single)]
        flat[:, pairs] = real + 1j * imaginary
        flat[:, partner] = real - 1j * imaginary
        return np.fft.ifft2(flat.reshape(-1, self.height, self.width), norm="ortho").real
