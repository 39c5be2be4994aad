"""The closer of the two virtual boards: pynq's own `EmbeddedDevice`, on files that stand for a board's.

Importing this package does not import `pynq`; making an `EmbeddedBoard` does.
"""

from pynq_cnn.virtual_board.embedded.board import EmbeddedBoard

__all__ = ["EmbeddedBoard"]
