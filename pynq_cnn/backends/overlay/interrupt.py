"""The engine's interrupt, through Linux's UIO: a thread sleeps until the engine is done. Importing this module imports
`pynq`.

pynq's own `Interrupt` belongs to the event loop that was current when the first one was made, and to pynq's active
device; this one is a file that any thread can wait for. The design has an AXI interrupt controller between the engine
and the processor, as pynq expects it (PG099: registers of the controller).
"""

from __future__ import annotations

import select
from typing import Any

import pynq
import pynq.interrupt

AP_DONE = 1  # bit 0 of the engine's IP_IER and IP_ISR
ENABLE, ACKNOWLEDGE, MASTER = 0x08, 0x0C, 0x1C  # registers of the controller: IER, IAR, MER
UNMASK = b"\x01\x00\x00\x00"


class EngineInterrupt:
    """Made by `of`.

    Parameters
    ----------
    path : str
        The UIO device of the processor's interrupt line.
    controller : pynq.MMIO
        The AXI interrupt controller.
    line : int
        The engine's line there.
    engine
        Has `get_register(name)` and `set_register(name, value)`.
    """

    def __init__(self, path: str, controller: pynq.MMIO, line: int, engine: Any) -> None:
        self._uio = open(path, "r+b", buffering=0)  # noqa: SIM115  # closed with this object
        self._controller, self._mask, self._engine = controller, 1 << line, engine
        controller.write(ENABLE, self._mask)
        controller.write(MASTER, 3)
        engine.set_register("IP_IER", AP_DONE)
        engine.set_register("GIER", 1)

    @classmethod
    def of(cls, overlay: pynq.Overlay, name: str, engine: Any) -> EngineInterrupt | None:
        """The interrupt of the IP `name`; None where the `.hwh` connects none, or Linux does not hand it out.

        Parameters
        ----------
        overlay : pynq.Overlay
            Loaded.
        name : str
            Of the engine in its `ip_dict`.
        engine
            The engine's driver.
        """
        for pin in overlay.ip_dict[name].get("interrupts", {}).values():
            controller = overlay.interrupt_controllers.get(pin["controller"], {})
            if controller.get("parent") != "" or "raw_irq" not in controller:  # not straight to the processor
                continue
            try:
                path = pynq.interrupt.get_uio_irq(controller["raw_irq"])
            except OSError:
                path = None
            if path is not None:
                mmio = pynq.MMIO(overlay.ip_dict[pin["controller"]]["phys_addr"], 32, device=overlay.device)
                return cls(path, mmio, pin["index"], engine)
        return None

    def arm(self) -> None:
        """Before a run: take back what an earlier run left, and let the next one through."""
        if self._engine.get_register("IP_ISR") & AP_DONE:
            self._engine.set_register("IP_ISR", AP_DONE)  # toggles
        self._controller.write(ACKNOWLEDGE, self._mask)
        self._uio.write(UNMASK)

    def wait(self, seconds: float) -> bool:
        """Sleep until it comes, or for so long at most; whether it came."""
        came = bool(select.select([self._uio], [], [], max(seconds, 0.0))[0])
        if came:
            self._uio.read(4)
        return came
