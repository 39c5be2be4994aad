"""Host side of pynq_cnn: data sets, networks, training, evaluation, quantisation and export.

`python -m host_train --help` lists the commands. `host_train.data` needs NumPy (and Pillow for CIFAR-10) only; everything that trains
needs PyTorch.
"""
