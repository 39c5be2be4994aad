"""The pynq library: loading it, and what to do where that fails."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np

from pynq_cnn.backends.host import on_board
from pynq_cnn.errors import BackendError

INSTALL = "pip install 'pynq_cnn[board]'"
OTHER_PYTHON = f"it is not for Python 3.13 and newer: take Python 3.10 to 3.12, and there {INSTALL}"
GET_PYNQ = INSTALL if sys.version_info < (3, 13) else OTHER_PYTHON
SOURCE = "source /etc/profile.d/pynq_venv.sh; source /etc/profile.d/xrt_setup.sh"
GET_XRT = f"on a board the image brings it: source the environment first ({SOURCE}), then start Python anew"


def load_pynq(who: str) -> ModuleType:
    """The `pynq` module.

    Parameters
    ----------
    who : str
        Needs it, for the message.

    Raises
    ------
    BackendError
        If it cannot be imported, with the remedy: another one on a board than elsewhere; and if it is not for the NumPy
        that is there.
    """
    try:
        import pynq
        from pynq.buffer import PynqBuffer
    except (
        Exception
    ) as error:  # a pynq whose XRT is missing fails with an ImportError, an OSError or others, by its version
        remedy = GET_XRT if on_board() else GET_PYNQ
        raise BackendError(f"{who} needs the pynq library ({type(error).__name__}: {error}); {remedy}") from error
    if not has_device(PynqBuffer, np.ndarray):
        raise BackendError(
            f"{who} needs the buffers of the pynq library, which it cannot make with NumPy {np.__version__}; "
            "pip install 'numpy<2'"
        )
    return pynq


def has_device(buffer: type, array: type) -> bool:
    """Whether buffers can note their device, as pynq's do: arrays of NumPy 2 have a `device` that cannot be set.

    Examples
    --------
    >>> class Array2:
    ...     device = property(lambda self: "cpu")
    >>> class Array1: ...
    >>> has_device(type("Buffer", (Array2,), {}), Array2), has_device(type("Buffer", (Array1,), {}), Array1)
    (False, True)
    >>> has_device(type("Buffer", (Array2,), {"device": None}), Array2)
    True
    """
    return not hasattr(array, "device") or any(
        "device" in vars(kind) for kind in buffer.__mro__ if kind not in array.__mro__
    )
