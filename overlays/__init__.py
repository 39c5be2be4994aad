"""The bitstream (`pynq_cnn.bit`) and its hardware hand-off (`pynq_cnn.hwh`): data, found by
`pynq_cnn.backends.overlay`.
"""
