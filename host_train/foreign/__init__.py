"""Networks in the files of other tools.

bnn_pynq         networks of BNN-PYNQ
bnn_pynq_files   their files, as arrays
"""

from host_train.foreign.bnn_pynq import from_bnn_pynq

__all__ = ["from_bnn_pynq"]
