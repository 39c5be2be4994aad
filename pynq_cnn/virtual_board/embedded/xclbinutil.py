"""XRT's `xclbinutil`, as far as pynq runs it: an xclbin file with metadata and memories. A script that runs by
itself.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

MAGIC = b"xclbin2\0"
KINDS = {"EMBEDDED_METADATA": 2, "MEM_TOPOLOGY": 6}
MEMORY_TYPES = {"MEM_DDR3": 0, "MEM_DDR4": 1}
HEADER_BYTES, SECTION_BYTES = 456, 40  # of XRT's xclbin.h: struct axlf without its sections, and axlf_section_header


def memory_topology(description: dict[str, dict]) -> bytes:
    """struct mem_topology of XRT's xclbin.h.

    Parameters
    ----------
    description : dict
        The JSON of a MEM_TOPOLOGY section.
    """
    memories = description["mem_topology"]["m_mem_data"]
    packed = struct.pack("<i4x", len(memories))
    for memory in memories:
        kind, tag = MEMORY_TYPES[memory["m_type"]], memory["m_tag"].encode("ascii")
        packed += struct.pack("<BB6xQQ16s", kind, memory["m_used"], memory["m_sizeKB"], memory["m_base_address"], tag)
    return packed


def xclbin(sections: dict[str, bytes]) -> bytes:
    """struct axlf of XRT's xclbin.h.

    Parameters
    ----------
    sections : dict
        Contents, by the names in `KINDS`.
    """
    headers, contents = b"", b""
    start = HEADER_BYTES + SECTION_BYTES * len(sections)
    for name, data in sections.items():
        headers += struct.pack("<I16s4xQQ", KINDS[name], name[:15].encode("ascii"), start + len(contents), len(data))
        contents += data + b"\0" * (-len(data) % 8)
    length = start + len(contents)
    header = struct.pack("<8s288xQ", MAGIC, 0) + struct.pack("<Q136xI4x", length, len(sections))
    return header + headers + contents


def main(arguments: Sequence[str]) -> int:
    """Run it with the command line of pynq; returns the exit code."""
    sections: dict[str, bytes] = {}
    output = None
    remaining = list(arguments)
    while remaining:
        option = remaining.pop(0)
        if option.startswith("--add-section="):
            name, form, file = option.partition("=")[2].split(":", 2)
            data = Path(file).read_bytes()
            sections[name] = memory_topology(json.loads(data)) if (name, form) == ("MEM_TOPOLOGY", "JSON") else data
        elif option == "--output":
            output = remaining.pop(0)
        elif option != "--skip-bank-grouping":
            print(f"ERROR: the virtual board's xclbinutil knows no {option}")
            return 1
    if output is None:
        print("ERROR: no --output")
        return 1
    Path(output).write_bytes(xclbin(sections))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
