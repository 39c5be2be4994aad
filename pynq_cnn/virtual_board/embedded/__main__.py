"""Runs a Python program as another process on an `EmbeddedBoard` that is open:

python -m pynq_cnn.virtual_board.embedded FOLDER [options] SCRIPT | -m MODULE | -c CODE [arguments ...]
"""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from pynq_cnn.virtual_board.embedded.board import EmbeddedBoard
from pynq_cnn.virtual_board.embedded.memory import SharedMemory
from pynq_cnn.virtual_board.embedded.package_side import lend
from pynq_cnn.virtual_board.embedded.pynq_side import XRT_STATES, hide_xrt


def main(arguments: Sequence[str]) -> None:
    """Run the program that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m pynq_cnn.virtual_board.embedded", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("folder", type=Path, help="the board's folder")
    parser.add_argument(
        "--xrt", choices=[*XRT_STATES, "missing"], default="sourced", help="what the process has of XRT"
    )
    parser.add_argument("--no-root", action="store_true", help="the process is not root's")
    parser.add_argument("--no-bitstream", action="store_true", help="the package's own bitstream has not been built")
    parser.add_argument("-m", action="store_true", dest="module", help="PROGRAM is a module")
    parser.add_argument("-c", action="store_true", dest="code", help="PROGRAM is Python code")
    parser.add_argument("program", metavar="PROGRAM")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    if options.xrt == "missing":
        hide_xrt(options.folder)
        memory = SharedMemory(options.folder, (options.folder / "cache").stat().st_size)
        lend(ExitStack(), options.folder, memory, not options.no_root, not options.no_bitstream)
    else:
        EmbeddedBoard.join(
            options.folder, xrt=options.xrt, root=not options.no_root, bitstream=not options.no_bitstream
        )
    sys.argv = [options.program, *options.arguments]
    if options.code:
        exec(compile(options.program, "<string>", "exec"), {"__name__": "__main__"})
    elif options.module:
        runpy.run_module(options.program, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(options.program, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
