"""The CONV instruction as a NumPy record (docs/contract/instruction-set.md, section 2)."""

from __future__ import annotations

import numpy as np

OPCODE_CONV = 1
FLAG_OUTPUT_INT32 = 1
FLAG_PAD_VECTOR = 2
MAX_KERNEL = 11
MAX_PAD_VECTORS = 16
INSTRUCTION_WORDS = 8

CONV = np.dtype(
    [(name, "u1") for name in ("opcode", "flags", "kernel_h", "kernel_w", "stride_h", "stride_w", "pad_h", "pad_w")]
    + [(name, "<u2") for name in ("in_h", "in_w", "in_c", "out_c", "out_h", "out_w")]
    + [("pool_size", "u1"), ("pool_stride", "u1")]
    + [(name, "<u2") for name in ("groups_per_pass", "tile_images", "tile_rows", "chunks", "reserved0")]
    + [
        (name, "<u4")
        for name in (
            "in_addr",
            "out_addr",
            "weight_addr",
            "param_addr",
            "pad_addr",
            "in_stride",
            "out_stride",
            "reserved1",
        )
    ]
)


def encode(**values: int) -> np.ndarray:
    """One CONV instruction as uint64 [8]; fields that are not named are 0.

    Raises
    ------
    OverflowError
        If a value does not fit its field: a bug in the compiler, which checks every limit before.

    Examples
    --------
    >>> [hex(word) for word in encode(kernel_h=3, in_h=28).tolist()[:2]]
    ['0x30001', '0x1c']
    """
    record = np.zeros(1, CONV)
    record["opcode"] = OPCODE_CONV
    for name, value in values.items():
        limit = np.iinfo(CONV[name]).max
        if not 0 <= value <= limit:
            raise OverflowError(f"{name} = {value} does not fit its field (0 to {limit})")
        record[name] = value
    return record.view("<u8").reshape(-1)
