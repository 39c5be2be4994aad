"""An emulated PYNQ-Z2: the unmodified `pynq` library and this package's driver, on a laptop
(docs/guide/virtual-board.md).

Importing this package does not import `pynq`; making a `VirtualBoard` does.
"""

from pynq_cnn.virtual_board.board import VirtualBoard
from pynq_cnn.virtual_board.faults import Faults

__all__ = ["Faults", "VirtualBoard"]
