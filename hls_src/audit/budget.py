"""The device, the limits of this project, and what is known to be wrong today."""

from __future__ import annotations

DEVICE_NAME = "xc7z020"
DEVICE = {"DSP": 220, "BRAM36": 140, "LUT": 53_200, "FF": 106_400}  # DS190, table 1
# Room to place and route, and for what counting misses.
LIMIT = {"DSP": 212, "BRAM36": 136, "LUT": 47_000, "FF": 85_000}

# Faults that the audit may find without failing: the beginning of each message, and why it is still there. One that
# is not found any more fails the audit, so that it is taken off this list.
KNOWN: dict[str, str] = {}


def synthesis_limits() -> str:
    """The limits by the names of Vitis HLS's reports, for the Makefile.

    >>> synthesis_limits()
    'DSP 212 BRAM_18K 272 LUT 47000 FF 85000'
    """
    names = {**LIMIT, "BRAM_18K": 2 * LIMIT["BRAM36"]}
    return " ".join(f"{name} {names[name]}" for name in ("DSP", "BRAM_18K", "LUT", "FF"))
