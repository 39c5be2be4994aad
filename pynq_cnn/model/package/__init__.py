"""Model packages on disk: `manifest.json` and `.npy` arrays (docs/contract/model-package.md).

forms     how each kind of layer is written
frequency weights as coefficients of their kernels
folder    a package takes the place of an earlier one, whole, and of nothing else
save      Network -> package
load      package -> Network, checked
sizes     what each layer takes on disk
"""

from pynq_cnn.model.package.load import load_package
from pynq_cnn.model.package.save import save_package
from pynq_cnn.model.package.sizes import StoredBytes, stored_bytes

__all__ = ["StoredBytes", "load_package", "save_package", "stored_bytes"]
