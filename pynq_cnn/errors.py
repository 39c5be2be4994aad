"""The exceptions and warnings of pynq_cnn.

Everything the package raises on purpose derives from `PynqCnnError`; the message names the offending value and says
what to do next. Where the package goes on, but the user should know something, it warns with a category below
`PynqCnnWarning`.
"""

from __future__ import annotations


class PynqCnnError(Exception):
    """Base of every error that pynq_cnn raises on purpose."""


class ArgumentError(PynqCnnError, ValueError):
    """An argument of a call is unusable: wrong type, shape, range or name."""


class ImageError(PynqCnnError):
    """A picture cannot be read or cannot be made into the network's input."""


class NetworkError(PynqCnnError):
    """A network breaks the arithmetic contract: shapes that do not chain, weights out of range, possible overflow.

    Parameters
    ----------
    message : str
        The fault, and what to do next.
    layer : str, optional
        Name of the layer that it is about, where it is about one and that is known.
    """

    def __init__(self, message: str, layer: str | None = None) -> None:
        super().__init__(message)
        self.layer = layer


class ModelPackageError(NetworkError):
    """A model package on disk is missing something, altered or malformed; names the file and the field."""


class CompileError(PynqCnnError):
    """A valid network does not fit the accelerator; names the layer and the limit."""


class BackendError(PynqCnnError):
    """A backend is not available here, or was used after `close()`; says what is missing."""


class DeviceError(BackendError):
    """The accelerator (real or virtual) failed: timeout, bus error, wrong identity, out of contiguous memory."""


class DatasetError(PynqCnnError):
    """A data set cannot be found or read; lists every way to get it."""


class PynqCnnWarning(UserWarning):
    """Base of every warning of pynq_cnn."""


class ImageWarning(PynqCnnWarning):
    """A picture was classified, but the answer may be wrong: it is not like what the network knows, or something was
    assumed of it.
    """


class BoardWarning(PynqCnnWarning):
    """Something about the board that the user should know, though the answer is right: a CPU answer on a board, an
    overlay replaced.
    """
