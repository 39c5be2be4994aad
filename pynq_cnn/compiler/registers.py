"""The engine's registers by name, in the order of its top function (docs/contract/instruction-set.md, section 7).

The one list for the driver, the compiled kernel and the virtual board. Offsets are nobody's business here: they are in
the `.hwh`, whose generator in `overlays/` has a list of its own, since it stands for Vivado.
"""

from __future__ import annotations

POINTER = "memory"  # the address of the Program
SCALARS = ("mem_words", "entry", "sections", "images")
IDENTITY = ("magic", "isa_version", "geometry", "buffers", "build")
OUTPUTS = ("status", "failed_at", *IDENTITY)

# A pointer is 64 bits, and takes two registers.
INPUTS = (f"{POINTER}_1", f"{POINTER}_2", *SCALARS)
REGISTERS = ("CTRL", *INPUTS, *OUTPUTS)

STATUS = {
    1: "unknown opcode",
    2: "field out of range",
    4: "address outside the Program",
}


def pointer_inputs(address: int) -> dict[str, int]:
    """The registers that point the engine at the byte `address`.

    Examples
    --------
    >>> pointer_inputs(0x1_2000_0000)
    {'memory_1': 536870912, 'memory_2': 1}
    """
    return {f"{POINTER}_{half}": address >> (32 * (half - 1)) & 0xFFFFFFFF for half in (1, 2)}
