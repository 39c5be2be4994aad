"""Memory of the process: how the C library's allocator keeps it."""

from __future__ import annotations

import ctypes

# From <malloc.h>.
M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_MAX = -4


def keep_freed_memory() -> None:
    """Have the allocator keep freed memory for the next tensor, where it is glibc's; elsewhere nothing happens.

    glibc gives blocks of megabytes back to the system when they are freed. Training frees and asks for tensors of that
    size in every step, and each time every page is faulted in and zeroed again: 10 to 50 % of the time of a
    training on a CPU.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or none to be found under that handle
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, -1)
    mallopt(M_TOP_PAD, 1 << 26)
