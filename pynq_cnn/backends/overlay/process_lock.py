"""One process at a time: a lock file that the operating system forgets when its process ends."""

from __future__ import annotations

import fcntl
import io
import os
import re
import stat
from pathlib import Path

from pynq_cnn.backends.forks import renew_after_fork
from pynq_cnn.errors import DeviceError


def lock_folder() -> Path:
    """The private folder of this user's lock files: the same for every process, whatever its TMPDIR."""
    user = os.getuid()
    run = Path("/run")
    return run / "pynq_cnn" if user == 0 and run.is_dir() else Path(f"/tmp/pynq_cnn-{user}")


def _private_folder() -> Path:
    """`lock_folder()`, made if it is not there; `DeviceError` if it is not private to this user."""
    folder = lock_folder()
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = os.lstat(folder)
    except OSError as error:
        raise DeviceError(
            f"the folder of lock files, {folder}, cannot be made: {error}; make room, or remove what is there"
        ) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise DeviceError(
            f"{folder}, the folder of lock files, is not a folder that only this user can write to; remove it"
        )
    return folder


class ProcessLock:
    """Owned by one process at most; given back when it ends, however it ends. A forked child does not own it.

    Parameters
    ----------
    name : str
        Name of the locked thing, such as a device's tag.

    Examples
    --------
    >>> with ProcessLock("doctest") as lock:
    ...     lock.path.read_text() == str(os.getpid())
    True
    >>> lock.path.exists()
    False
    """

    def __init__(self, name: str) -> None:
        self.path = lock_folder() / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.lock"
        self._file: io.FileIO | None = None
        renew_after_fork(self)

    def acquire(self) -> None:
        """Take the lock; `DeviceError`, naming the owner, if another process has it."""
        while self._file is None:
            file = self._open()
            try:
                if self._lock(file):
                    self._file = file
            finally:  # whatever interrupts this: an open file would keep the lock
                if self._file is not file:
                    file.close()

    def _lock(self, file: io.FileIO) -> bool:
        """Lock the open file; False if its last owner has removed it between our opening and locking it: then it is
        nobody's lock.
        """
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DeviceError(
                f"process {_owner(file)} is using the accelerator (lock file {self.path}); close its Classifier or call"
                " pynq_cnn.release() there, shut its notebook's kernel down, or end that process"
            ) from None
        try:
            if not os.path.samestat(os.fstat(file.fileno()), os.lstat(self.path)):
                return False
        except FileNotFoundError:
            return False
        file.truncate(0)
        os.pwrite(file.fileno(), str(os.getpid()).encode(), 0)
        return True

    def _open(self) -> io.FileIO:
        _private_folder()
        try:
            return io.FileIO(
                self.path, "r+", opener=lambda path, _: os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            )
        except OSError as error:
            raise DeviceError(
                f"the accelerator's lock file {self.path} cannot be opened ({error}); remove it if nobody uses the"
                " board"
            ) from error

    def release(self) -> None:
        """Give the lock back. Does nothing if it is not held."""
        if self._file is not None:
            self.path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def renew(self) -> None:
        """In a forked child: let go of the parent's file, so that the parent's lock ends with the parent."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> ProcessLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def owner_of(name: str) -> str | None:
    """Number of the process that holds the lock called `name`; None if nobody does."""
    try:
        with io.FileIO(ProcessLock(name).path, "r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return _owner(file)
    except OSError:
        pass  # no such file: nobody has it
    return None


def _owner(file: io.FileIO) -> str:
    return os.pread(file.fileno(), 32, 0).decode(errors="replace").strip() or "unknown"
