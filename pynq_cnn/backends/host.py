"""Whether this machine is a board."""

from __future__ import annotations

from pathlib import Path

FPGA_MANAGER = Path("/sys/class/fpga_manager/fpga0")  # Linux has it where there is programmable logic that it can load


def on_board() -> bool:
    """Whether this machine has programmable logic: without, an answer from the CPU is what everybody expects."""
    return FPGA_MANAGER.exists()
