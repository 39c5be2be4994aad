"""A Network in one `.mat` file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from host_train.export.container import entries_of, pack, unpack
from host_train.files import replace_file
from pynq_cnn.errors import ModelPackageError
from pynq_cnn.model import Network

LONGEST_NAME = 63  # of a MATLAB variable


def _variable(name: str) -> str:
    """A MATLAB variable's name."""
    return re.sub(r"\W", "_", name)


def as_variables(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays by the names of MATLAB variables; `ModelPackageError` if one is too long, or two are the same."""
    variables: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        variable = _variable(name)
        if variable in variables or len(variable) > LONGEST_NAME:
            fault = (
                f"is longer than the {LONGEST_NAME} letters of MATLAB"
                if variable not in variables
                else "would be there twice"
            )
            raise ModelPackageError(
                f"{name} makes the MATLAB variable {variable}, which {fault}; give the layer another name, or write"
                " text"
            )
        variables[variable] = array
    return variables


def write_mat(network: Network, path: str | os.PathLike[str]) -> None:
    """Write `network` as a MATLAB file (version 5).

    Parameters
    ----------
    network : Network
        The network to write.
    path : path
        Of the file, replaced if it is there. It has one variable for each array of the model package,
        `layer_conv1_weight` for `layer.conv1.weight`, in the package's types (words of bits as uint64) and shapes, but
        that MATLAB knows no arrays of one dimension: they are rows, 1 x n, a single number too. And `manifest`, a text.

    Raises
    ------
    ModelPackageError
        If a name is too long for MATLAB, which knows 63 letters, or two differ in nothing that it tells apart. No name
        is cut.
    ArgumentError
        If a folder is there.
    """
    from scipy.io import savemat

    manifest, arrays = unpack(network)
    named = {"manifest": manifest, **as_variables(arrays)}
    replace_file(Path(path), lambda temporary: savemat(temporary, named, oned_as="row", appendmat=False))


def read_mat(path: str | os.PathLike[str]) -> Network:
    """The network that `write_mat` wrote; `ModelPackageError` if the file is not such."""
    from scipy.io import loadmat

    if not Path(path).is_file():
        raise ModelPackageError(f"{path} is not there; write it with host_train export --format mat")
    try:
        variables = loadmat(path, appendmat=False)
    except Exception as error:  # a damaged file makes scipy raise nearly anything
        raise ModelPackageError(f"{path} is no MATLAB file that can be read: {error}") from error
    texts = np.ravel(variables.get("manifest", [])).tolist()
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ModelPackageError(f"{path} has no text 'manifest'; write it with host_train export --format mat")
    manifest = "".join(texts)
    names = [str(entry["file"]).removesuffix(".npy") for entry in entries_of(manifest, str(path))]
    return pack(
        manifest, {name: variables[_variable(name)] for name in names if _variable(name) in variables}, str(path)
    )
