"""The kinds of layers in quantisation: each answers in its own file the questions of `rules`.

conv2d, dense, scale                 sums of weighted bytes
avgpool                              sums of bytes
relu, hardtanh, bytes                make bytes of sums
maxpool, select, flatten             bytes of others
add, concat                          several tensors
norm, dropped                        what `fold` turns into others, or removes
binary                               layers of bits
sums                                 what conv2d, dense and scale have in common
"""

from host_train.quantisation.layers import (  # noqa: F401  # each registers its kind, whichever module of here is imported
    add,
    avgpool,
    binary,
    bytes,
    concat,
    conv2d,
    dense,
    dropped,
    flatten,
    hardtanh,
    maxpool,
    norm,
    relu,
    scale,
    select,
)
