"""Running another program with a deadline."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pynq_cnn.errors import DatasetError


def run_within(command: Sequence[str], seconds: float, folder: Path) -> str:
    """Run `command` in `folder` and return what it printed.

    It gets no standard input, and at the deadline it is ended with all that it started: nothing here can wait for ever.

    Raises
    ------
    DatasetError
        If it is not there, fails, or does not finish in `seconds`; tells the last line it wrote.
    """
    shown = " ".join(command[:3])
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise DatasetError(f"{command[0]} cannot be started: {error.strerror}") from error
    try:
        out, err = process.communicate(timeout=seconds)
    except BaseException as error:  # the deadline, or the user's Ctrl-C: neither leaves anything running
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise DatasetError(f"'{shown}' did not finish in {seconds:g} s") from None
        raise
    if process.returncode:
        lines = [line.strip() for line in (err or out).splitlines() if line.strip()]
        # Python's last line is the exception; npm's tells where its log is, so there the last line before that is
        # wanted.
        telling = [
            line
            for line in lines
            if "complete log of this run" not in line.lower() and not line.endswith("-debug-0.log")
        ]
        raise DatasetError(f"'{shown}' failed ({process.returncode}): {telling[-1] if telling else 'no message'}")
    return out
