"""This machine, by Linux: whether it is a board, whose this process is, and what memory there is."""

from __future__ import annotations

import os
from pathlib import Path

FPGA_MANAGER = Path("/sys/class/fpga_manager/fpga0")  # Linux has it where there is programmable logic that it can load
MEMORY = Path("/proc/meminfo")


def on_board() -> bool:
    """Whether this machine has programmable logic: without, an answer from the CPU is what everybody expects."""
    return FPGA_MANAGER.exists()


def user() -> int:
    """Number of the user whose rights this process has; 0 is root."""
    return os.geteuid()


def memory_report() -> str:
    """The text of /proc/meminfo, empty where there is none."""
    try:
        return MEMORY.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
