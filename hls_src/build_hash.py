"""Print the build hash: what the `build` register of an engine made from these sources says
(docs/contract/instruction-set.md, section 5).

It is the first 32 bits of the SHA-256 of the sources in one piece: every header, sorted by name, then `engine.cpp`.
Used by `setup.py` and the Makefile.
"""

import hashlib
from pathlib import Path


def build_hash() -> int:
    """The hash of the sources next to this file, 32 bits."""
    folder = Path(__file__).parent
    sources = [*sorted(folder.glob("*.hpp")), folder / "engine.cpp"]
    return int.from_bytes(hashlib.sha256(b"".join(path.read_bytes() for path in sources)).digest()[:4], "big")


if __name__ == "__main__":
    print(f"0x{build_hash():08x}")
