"""The host's share of a batch: an estimate by rules of thumb, of which none was measured.

The engine's own cycles are in `pynq_cnn.compiler.estimate`.
"""

from __future__ import annotations

from dataclasses import dataclass

# Of Python on the board's Cortex-A9, on the careful side of what is known of pynq's MMIO and of its buffers.
REGISTER_ACCESS = 20e-6  # seconds
REGISTER_ACCESSES = 4  # of a run: entry or images, start, status, and the answer to the interrupt
MAINTENANCE = 30e-6  # seconds of a cache call, two of which a run has
PACKED = 200e6  # bytes a second


@dataclass(frozen=True)
class Throughput:
    """Images a second, engine and host together.

    Parameters
    ----------
    images : int
        Of a batch.
    engine, host : float
        Seconds that each takes for it.

    Examples
    --------
    >>> one = Throughput(64, engine=0.002, host=0.001)
    >>> round(one.steady), round(one.alone)
    (32000, 21333)
    """

    images: int
    engine: float
    host: float

    @property
    def steady(self) -> float:
        """Batch after batch: while the engine works on one slot, the host fills and empties the other."""
        return self.images / max(self.engine, self.host)

    @property
    def alone(self) -> float:
        """Of one batch alone."""
        return self.images / (self.engine + self.host)


def host_seconds(octets: int) -> float:
    """Seconds of the host for a batch of which it copies so many bytes, images in and results out."""
    return REGISTER_ACCESSES * REGISTER_ACCESS + 2 * MAINTENANCE + octets / PACKED
