"""One process at a time: a lock file that the kernel forgets when its process ends."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from pathlib import Path

from pynq_cnn.errors import DeviceError


class ProcessLock:
    """Owned by one process at most; given back when it ends, however it ends.

    Parameters
    ----------
    name : str
        What is locked, such as a device's tag.

    Examples
    --------
    >>> with ProcessLock("doctest") as lock:
    ...     lock.path.read_text() == str(os.getpid())
    True
    >>> lock.path.exists()
    False
    """

    def __init__(self, name: str) -> None:
        self.path = Path(tempfile.gettempdir()) / f"pynq_cnn-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.lock"
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock; `DeviceError`, naming the owner, if another process has it."""
        while self._file is None:
            try:
                file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError as error:
                raise DeviceError(
                    f"the accelerator's lock file cannot be opened ({error}); be root, or remove it if nobody uses the board"
                ) from error
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                owner = os.pread(file, 32, 0).decode(errors="replace").strip() or "unknown"
                os.close(file)
                raise DeviceError(
                    f"process {owner} is using the accelerator (lock file {self.path}); "
                    "close its Classifier, shut its notebook's kernel down, or end that process"
                ) from None
            # The last owner may have removed the file between our opening and locking it: then it is nobody's lock.
            try:
                ours = os.path.samestat(os.fstat(file), os.stat(self.path))
            except FileNotFoundError:
                ours = False
            if ours:
                os.ftruncate(file, 0)
                os.pwrite(file, str(os.getpid()).encode(), 0)
                self._file = file
            else:
                os.close(file)

    def release(self) -> None:
        """Give the lock back. Does nothing if it is not held."""
        if self._file is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None

    def __enter__(self) -> ProcessLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
