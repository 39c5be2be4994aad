"""The engine's registers by name, in the order of its top function (docs/contract/instruction-set.md, section 5).

The one list for the driver, the compiled kernel and the virtual board. Offsets are nobody's business here: they are in
the `.hwh`, whose generator in `overlays/` has a list of its own, since it stands for Vivado.
"""

from __future__ import annotations

POINTERS = (
    "weights",
    "fm_in",
    "fm_out",
)  # the address of the Program, once for each port, in the order of S_AXI_HP0..2
SCALARS = ("mem_words", "program", "instructions", "images")
IDENTITY = ("magic", "isa_version", "geometry", "buffers", "build")
OUTPUTS = ("status", "failed_at", *IDENTITY)

# A pointer is 64 bits, and takes two registers.
INPUTS = (*(f"{name}_{half}" for name in POINTERS for half in (1, 2)), *SCALARS)
REGISTERS = ("CTRL", *INPUTS, *OUTPUTS)

STATUS = {
    1: "unknown opcode",
    2: "field out of range",
    3: "tile does not fit the on-chip buffers",
    4: "address outside the Program",
}


def pointer_inputs(address: int) -> dict[str, int]:
    """The registers that point all ports at the byte `address`.

    Examples
    --------
    >>> pointer_inputs(0x1_2000_0000)["weights_1"], pointer_inputs(0x1_2000_0000)["fm_out_2"]
    (536870912, 1)
    """
    return {f"{name}_{half}": address >> (32 * (half - 1)) & 0xFFFFFFFF for name in POINTERS for half in (1, 2)}
