"""Bitstreams with the description of a design in place of its configuration, in the form that pynq and Linux expect."""

from __future__ import annotations

import errno
import json
import struct
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

SYNC = 0xAA99_5566
# The beginning of a 7 series bitstream (UG470): pads, detection of the bus width, pads, the word the device waits for.
PREAMBLE = struct.pack(">13I", *[0xFFFF_FFFF] * 8, 0x0000_00BB, 0x1122_0044, 0xFFFF_FFFF, 0xFFFF_FFFF, SYNC)
PART = "7z020clg400"


@dataclass(frozen=True)
class Block:
    """Something of a design that has registers.

    Parameters
    ----------
    name, type : str
        As in pynq's `ip_dict`.
    address, nbytes : int
        Where its registers are.
    registers : dict
        Byte offsets, by name.
    interrupts : list of [int, int]
        Interrupt controllers, by their addresses, and lines there that its interrupt is wired to.
    """

    name: str
    type: str
    address: int
    nbytes: int
    registers: dict[str, int]
    interrupts: list[list[int]] = field(default_factory=list)


def write_bitfile(path: Path, blocks: list[Block]) -> None:
    """Write a `.bit` file: its header, then the design.

    Parameters
    ----------
    path : Path
        Where to; ends with `.bit`.
    blocks : list of Block
        The design.
    """
    design = json.dumps([asdict(block) for block in blocks]).encode("ascii")
    data = PREAMBLE + design + b" " * (-len(design) % 4)
    fields = {
        "a": f"{path.stem};UserID=0XFFFFFFFF;Version=virtual board of pynq_cnn, no bitstream",
        "b": PART,
        "c": "2026/01/01",
        "d": "00:00:00",
    }
    header = struct.pack(">H", 9) + bytes.fromhex("0ff00ff00ff00ff000") + struct.pack(">H", 1)
    for key, text in fields.items():
        value = text.encode("ascii") + b"\0"
        header += key.encode("ascii") + struct.pack(">H", len(value)) + value
    path.write_bytes(header + b"e" + struct.pack(">I", len(data)) + data)


def read_binfile(data: bytes) -> list[Block]:
    """The design in a `.bin`, the form with swapped bytes that the processor configures the device from.

    Parameters
    ----------
    data : bytes
        The whole file.

    Raises
    ------
    OSError
        If a Zynq-7020 would refuse it, or if it is not one of `write_bitfile`'s.

    Examples
    --------
    >>> read_binfile(b"no bitstream")
    Traceback (most recent call last):
        ...
    OSError: [Errno 22] Invalid argument: no sync word in swapped order
    """
    if len(data) % 4:
        raise OSError(errno.EINVAL, "Invalid argument: a bitstream is made of whole words")
    _, found, design = bytes(np.frombuffer(data, "<u4").byteswap()).partition(PREAMBLE[-4:])
    if not found:
        raise OSError(errno.EINVAL, "Invalid argument: no sync word in swapped order")
    try:
        return [Block(**block) for block in json.loads(design)]
    except (ValueError, TypeError) as error:
        raise OSError(
            errno.EINVAL, "Invalid argument: the virtual board loads only bitstreams that it has written"
        ) from error
