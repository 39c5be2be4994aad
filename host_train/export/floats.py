"""A trained model's weights and constants in floating point, as they are: batch norm's scale, offset, mean and variance
too, in one `.mat` file or a folder of text.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import nn

from host_train.export.mat import as_variables
from host_train.export.txt import TEXT
from host_train.files import replace_file
from host_train.layers.binary import BinaryLayer
from pynq_cnn.errors import ArgumentError

LIST = f"arrays{TEXT}"


def arrays_of(model: nn.Module) -> dict[str, np.ndarray]:
    """Every parameter and constant by its name in the model, such as `norm1.running_var`; of batch norm `eps` too; of a
    binary layer also `binary`, the signs that it multiplies with beside the real weights that they are of.

    Counters of batches are left out.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    >>> {name: array.shape for name, array in arrays_of(model).items()}  # doctest: +NORMALIZE_WHITESPACE
    {'0.weight': (3, 2), '0.bias': (3,), '1.weight': (3,), '1.bias': (3,), '1.running_mean': (3,),
     '1.running_var': (3,), '1.eps': (1,)}
    """
    found = {
        name: value.detach().cpu().numpy()
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    for name, layer in model.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            found[f"{name}.eps"] = np.array([layer.eps], np.float64)
        if isinstance(layer, BinaryLayer):
            found[f"{name}.binary"] = layer.binary_weight().detach().cpu().numpy()
    order = {name: place for place, (name, _) in enumerate(model.named_modules())}
    return dict(sorted(found.items(), key=lambda item: order[item[0].rpartition(".")[0]]))


def write_floats_mat(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Write arrays as a MATLAB file (version 5), a variable each: `norm1_running_var` of `norm1.running_var`.

    Those of one dimension are rows, 1 x n. `scipy.io.loadmat(path)["conv1_weight"]` is the array.

    Raises
    ------
    ModelPackageError
        If a name is too long for MATLAB, or two are the same to it.
    """
    from scipy.io import savemat

    named = as_variables({name if not name[0].isdigit() else f"layer.{name}": one for name, one in arrays.items()})
    replace_file(path, lambda place: savemat(place, named, oned_as="row", appendmat=False))


def write_floats_txt(arrays: Mapping[str, np.ndarray], folder: str | os.PathLike[str]) -> None:
    """Write arrays as text, a file each, and `arrays.txt` that lists them with their types and shapes.

    A file has a line `# float32 64 3 3 3`, then the numbers, the last dimension along a line:
    `numpy.loadtxt(file).reshape(64, 3, 3, 3)` is the array, bit for bit once it is float32 again.

    Raises
    ------
    ArgumentError
        If the folder holds other files than such an export has.
    """
    place = Path(folder)
    names = {f"{name}{TEXT}" for name in arrays} | {LIST}
    if place.exists():
        strange = [entry.name for entry in place.iterdir()] if place.is_dir() else [place.name]
        strange = [name for name in strange if name not in names]
        if strange:
            raise ArgumentError(f"{place} holds {sorted(strange)[0]}, of no such export; choose another folder")
    place.mkdir(parents=True, exist_ok=True)
    listed = []
    for name, array in arrays.items():
        about = " ".join([array.dtype.name, *map(str, array.shape)])
        lines = array.reshape(-1, array.shape[-1]) if array.ndim else array.reshape(1, 1)
        replace_file(place / f"{name}{TEXT}", lambda file, a=lines, h=about: np.savetxt(file, a, fmt="%.17g", header=h))  # type: ignore[misc]
        listed.append(f"{name}{TEXT} {about}")
    text = "\n".join(listed) + "\n"
    replace_file(place / LIST, lambda file: file.write_text(text, encoding="utf-8"))
