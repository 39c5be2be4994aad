"""The kinds of layers in quantisation: each answers in its own file the questions of `rules`.

conv2d, dense, relu, maxpool, avgpool, flatten   what `fold` leaves
norm, dropped                                    what it folds away
binary                                           layers of bits
sums                                             Conv2d and Linear have this in common
"""

from host_train.quantisation.layers import (  # noqa: F401  # each registers its kind, whichever module of here is imported
    avgpool,
    binary,
    conv2d,
    dense,
    dropped,
    flatten,
    maxpool,
    norm,
    relu,
)
