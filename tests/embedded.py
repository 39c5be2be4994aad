"""Helpers of the tests on an `EmbeddedBoard`."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import embedded_forks

from pynq_cnn.virtual_board.embedded import EmbeddedBoard

HWH = (Path(__file__).parent.parent / "overlays" / "pynq_cnn.hwh").read_text()
ENGINE = int(re.findall(r'BASEVALUE="(\w+)" HIGHVALUE="\w+" INSTANCE="pynq_cnn_engine_0"', HWH)[0], 16)  # address

# Programs for another process.
LOAD = "import sys, pynq; pynq.Overlay(sys.argv[1])"
FAIL_TO_LOAD = """
import sys, pynq
from pynq_cnn.virtual_board.embedded.board import EmbeddedBoard
EmbeddedBoard.of_this_process().faults.no_download = True
try:
    pynq.Overlay(sys.argv[1])
except OSError as error:
    print(error)
"""


def add_other_overlay(board: EmbeddedBoard) -> str:
    """The `.bit` of a design with another IP where the engine is, as the base overlay has its audio codec at a usual
    address.
    """
    other = HWH.replace("pynq-cnn:hls:pynq_cnn_engine", "xilinx.com:user:audio_codec_ctrl")
    return board.add_overlay("base", other.replace("pynq_cnn_engine", "audio_codec_ctrl"))


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that comes soon, on however busy a machine."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it has not come"
        time.sleep(0.001)


def command(board: EmbeddedBoard, *program: str) -> list[str]:
    """The command that runs a program as another process on the board."""
    return [sys.executable, "-W", "ignore", "-m", "pynq_cnn.virtual_board.embedded", str(board.folder), *program]


def elsewhere(board: EmbeddedBoard, *program: str, anew: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a program as another process on the board: a fork of one that has loaded pynq, or `anew` by the command."""
    if anew:
        return subprocess.run(command(board, *program), capture_output=True, text=True, timeout=120)
    return embedded_forks.run([str(board.folder), *program])


def output_of(board: EmbeddedBoard, *program: str, anew: bool = False) -> str:
    """Output of a program that runs as another process on the board, and ends well."""
    done = elsewhere(board, *program, anew=anew)
    assert done.returncode == 0, done.stderr
    return done.stdout
