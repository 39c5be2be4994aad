"""Data sets as one `.npz`: what the cache holds, and what `--data-dir` may hold."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from host_train.data.dataset import ARRAY_NAMES, Arrays
from pynq_cnn.errors import DatasetError

# The names of Keras, in its mnist.npz.
KERAS_NAMES = dict(zip(ARRAY_NAMES, ("x_train", "y_train", "x_test", "y_test")))


def read_npz(path: Path) -> Arrays | None:
    """The four arrays in `path`, or None where there is no such file.

    Raises
    ------
    DatasetError
        If it is no plain `.npz`, truncated or altered, or lacks an array.
    """
    try:
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as file:
            names = KERAS_NAMES if "x_train" in file else {name: name for name in ARRAY_NAMES}
            missing = [name for name in names.values() if name not in file]
            if missing:
                raise DatasetError(f"{path} lacks {', '.join(missing)}; it has {', '.join(file.files) or 'nothing'}")
            return {name: file[key] for name, key in names.items()}
    except DatasetError:
        raise
    except (
        Exception
    ) as error:  # NumPy and zipfile raise nearly anything for bytes that are no such file; all mean the same here
        raise DatasetError(f"{path} is no plain .npz file: {error}; get it again") from error


def write_npz(path: Path, arrays: Arrays, compressed: bool = False) -> None:
    """Write `arrays` to `path`, whole or not at all.

    The file is written beside its place and then moved there, so that another process never sees half of it, nor the
    next after an interruption.

    Raises
    ------
    DatasetError
        If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".npz", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                # NumPy's own types for it change from version to version.
                save: Any = np.savez_compressed if compressed else np.savez
                save(file, **arrays)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DatasetError(f"{path} cannot be written: {error}") from error
