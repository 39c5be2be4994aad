"""The engine in a Zynq's programmable logic, through the pynq library (docs/guide/driver.md).

backend       a network on the engine: what the user gets
accelerator   one bitstream on one device, and who may use it
driver        the engine's registers: start, wait, check
interrupt     the end of a run by Linux's UIO
design        what a `.hwh` says
bitstream     where the files are
loaded        what the programmable logic holds, by pynq's records
process_lock  one process at a time
library       loading pynq, and what to do where that fails

Importing this package does not import `pynq`; opening a backend does.
"""

from pynq_cnn.backends.overlay.backend import OverlayBackend

__all__ = ["OverlayBackend"]
