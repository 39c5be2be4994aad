"""Faults of a board, to be switched on at will."""

from __future__ import annotations

from dataclasses import dataclass, field

from pynq_cnn.compiler.registers import IDENTITY
from pynq_cnn.errors import ArgumentError


@dataclass
class Faults:
    """The faults of one virtual board. Each lasts until it is switched off again.

    Parameters
    ----------
    never_done : bool
        The engine starts and never finishes.
    bus_error : bool
        The engine's next access to memory is answered with an error.
    no_memory : bool
        Every allocation of contiguous memory fails.
    no_download : bool
        Loading a bitstream fails.
    identity : dict
        Values that identity registers give instead of the engine's own, by register name.

    Examples
    --------
    >>> Faults(never_done=True).never_done, Faults().identity
    (True, {})
    """

    never_done: bool = False
    bus_error: bool = False
    no_memory: bool = False
    no_download: bool = False
    identity: dict[str, int] = field(default_factory=dict)

    def overrides(self) -> dict[str, int]:
        """The checked `identity`; `ArgumentError` for a register that is none of the identity's."""
        unknown = sorted(set(self.identity) - set(IDENTITY))
        if unknown:
            raise ArgumentError(f"faults.identity takes {', '.join(IDENTITY)}, not {unknown}")
        return dict(self.identity)
