"""The state of a machine, as a person who is asked for help wants to know it.

Nothing here changes anything: no bitstream is loaded, no lock is taken, nothing is written.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from pynq_cnn import __version__
from pynq_cnn.backends import host
from pynq_cnn.backends.cpu.native import load_library
from pynq_cnn.backends.kernel.native import load_engine
from pynq_cnn.backends.overlay.bitstream import find_bitfile
from pynq_cnn.backends.overlay.library import GET_XRT, SOURCE, load_pynq
from pynq_cnn.backends.sources import PACKAGE, source_folder
from pynq_cnn.compiler import ISA_VERSION, MAGIC, Hardware
from pynq_cnn.errors import PynqCnnError
from pynq_cnn.model import load_package
from pynq_cnn.zoo import MODELS

GOOD, MISSING, WRONG = "good", "missing", "wrong"
REVISION = Path("/home/xilinx/REVISION")  # PYNQ images say here what they are
BOARD_MODEL = Path("/proc/device-tree/model")
LITTLE_MEMORY = 8 << 20  # bytes; a batch of a shipped network takes up to a few MiB


@dataclass(frozen=True)
class Finding:
    """One line of a report.

    Parameters
    ----------
    what : str
        Was looked at.
    state : {"good", "missing", "wrong"}
        "missing": not here, and not needed here either.
    text : str
        The finding.
    remedy : str
        What to do, empty where nothing is.
    """

    what: str
    state: str
    text: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


def examine() -> list[Finding]:
    """Look at everything that this package needs, or could use.

    Returns
    -------
    list of Finding
        In the order in which one thing needs another.

    Examples
    --------
    >>> findings = examine()
    >>> findings[0].what, findings[0].state
    ('pynq_cnn', 'good')
    """
    return list(_findings())


def _findings() -> Iterator[Finding]:
    board = host.on_board()
    yield _package()
    yield _version(
        "Python", platform.python_version(), sys.version_info >= (3, 10), "take Python 3.10 or newer", _bits()
    )
    yield _version("NumPy", np.__version__, _number(np.__version__) >= (1, 21), "pip install 'numpy>=1.21'")
    yield _version("Pillow", PIL.__version__, _number(PIL.__version__) >= (9,), "pip install 'Pillow>=9'")
    yield _kernel()
    yield _cpu()
    yield from _models()
    yield _machine(board)
    if board:
        yield _user()
        yield _xrt()
    yield from _hardware(board)
    yield _bitstream(board)
    if board:
        yield _contiguous_memory()


def _bits() -> str:
    return f"{64 if sys.maxsize > 2**32 else 32} bits, {platform.machine()}"


def _number(version: str) -> tuple[int, ...]:
    """The leading numbers of a version."""
    parts = []
    for part in version.split("."):
        if not part.isdigit():
            break
        parts.append(int(part))
    return tuple(parts)


def _version(what: str, version: str, good: bool, remedy: str, more: str = "") -> Finding:
    text = f"{version} ({more})" if more else version
    return Finding(what, GOOD, text) if good else Finding(what, WRONG, text, remedy)


def _package() -> Finding:
    sources = source_folder()
    where = f"{PACKAGE} (the source folder)" if sources else str(PACKAGE)
    return Finding("pynq_cnn", GOOD, f"{__version__}, in {where}")


def _tried(what: str, board: bool, call: Callable[[], str]) -> Finding:
    """The text that `call` gives; where it fails, what is missing, or wrong on a board."""
    try:
        return Finding(what, GOOD, call())
    except PynqCnnError as error:
        text, _, remedy = str(error).partition("; ")
        return Finding(what, WRONG if board else MISSING, text, remedy)


def _kernel() -> Finding:
    def describe() -> str:
        run = load_engine().run(0, mem_words=0, entry=0, sections=0, images=0)
        if run.isa_version != ISA_VERSION:
            raise PynqCnnError(f"of instruction set {run.isa_version}, not {ISA_VERSION}; reinstall pynq_cnn")
        return f"the kernel, build {run.build:#010x}, instruction set {run.isa_version}"

    return _tried("compiled parts", False, describe)


def _cpu() -> Finding:
    def describe() -> str:
        library = load_library()
        chosen = library.chosen()
        others = [name for name in library.sets if name != chosen]
        return f"the cpu backend, on {chosen}" + (f" (also here: {', '.join(others)})" if others else "")

    return _tried("instruction set", False, describe)


def _models() -> Iterator[Finding]:
    found, broken = [], []
    for path in sorted(MODELS.glob("*/")):
        try:
            found.append(load_package(path).name)
        except PynqCnnError as error:
            broken.append(Finding("models", WRONG, str(error), "install pynq_cnn again"))
    if found:
        yield Finding("models", GOOD, ", ".join(found))
    elif not broken:
        yield Finding("models", WRONG, f"none in {MODELS}", "install pynq_cnn again")
    yield from broken


def _machine(board: bool) -> Finding:
    if not board:
        return Finding("board", MISSING, "this machine has no programmable logic: networks run on its CPU")
    model = _line(BOARD_MODEL).strip("\0") or os.environ.get("BOARD", "a machine with programmable logic")
    image = _line(REVISION)
    return Finding(
        "board", GOOD, f"{model}, image {image}" if image else f"{model}, image unknown ({REVISION} is not there)"
    )


def _line(path: Path) -> str:
    """The first line of a file, empty if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""


def _user() -> Finding:
    user = host.user()
    if user == 0:
        return Finding("user", GOOD, "root")
    return Finding("user", WRONG, f"user {user}, but registers need root", "be root, as Jupyter is: sudo -i")


def _xrt() -> Finding:
    folder = os.environ.get("XILINX_XRT", "")
    if not folder:
        return Finding(
            "XRT", WRONG, "its environment is not sourced (XILINX_XRT is not set)", f"{SOURCE}, then start Python anew"
        )
    if not Path(folder).is_dir():
        return Finding("XRT", WRONG, f"XILINX_XRT names {folder}, which is not there", GET_XRT)
    return Finding("XRT", GOOD, folder)


def _hardware(board: bool) -> Iterator[Finding]:
    """pynq, its device, and who has the accelerator."""

    def library() -> str:
        load_pynq("the overlay backend")
        return str(metadata.version("pynq"))

    pynq = _tried("pynq", board, library)
    yield pynq
    if pynq.state != GOOD:
        return
    devices: list[Any] = []

    def device() -> str:
        from pynq_cnn.backends.overlay.accelerator import default_device

        devices.append(default_device())
        return f"{devices[0].name} ({devices[0].tag})"

    yield _tried("device", board, device)
    if devices:
        yield _loaded(devices[0])
        yield _owner(devices[0].tag)


def _loaded(device: Any) -> Finding:
    """The design in the programmable logic. Registers are read only where pynq's record says that they are the
    engine's.
    """
    from pynq_cnn.backends.overlay.loaded import loaded_on

    found = loaded_on(device)
    try:
        bitfile = find_bitfile()
        ours = found.is_of(bitfile)
    except (PynqCnnError, OSError):
        ours = False
    if not ours:
        return Finding("loaded design", GOOD, found.bitfile or "nothing that pynq knows of")
    try:
        return Finding("loaded design", GOOD, f"{bitfile.name}: {_identity(device, bitfile)}")
    except (PynqCnnError, OSError) as error:
        return Finding(
            "loaded design", WRONG, f"{bitfile.name}, but its registers cannot be read: {error}", "be root: sudo -i"
        )


def _identity(device: Any, bitfile: Path) -> str:
    import pynq

    from pynq_cnn.backends.overlay.design import Design

    design = Design.read(bitfile.with_suffix(".hwh"))
    registers = pynq.MMIO(design.address, design.size, device=device)
    magic, version, build, geometry = (
        registers.read(design.offsets[name]) for name in ("magic", "isa_version", "build", "geometry")
    )
    if magic != MAGIC:
        return "the engine has not been used since it was loaded"
    hardware = Hardware.from_registers(geometry, 0)
    return f"{hardware.pe} x {hardware.simd} multipliers, instruction set {version}, build {build:#010x}"


def _owner(tag: str) -> Finding:
    from pynq_cnn.backends.overlay.process_lock import owner_of

    owner = owner_of(tag)
    if owner is None or owner == str(os.getpid()):
        return Finding("accelerator", GOOD, "free" if owner is None else "used by this process")
    return Finding(
        "accelerator",
        WRONG,
        f"process {owner} is using it",
        "close its Classifier or call pynq_cnn.release() there, shut its notebook's kernel down, or end that process",
    )


def _bitstream(board: bool) -> Finding:
    def describe() -> str:
        path = find_bitfile()
        try:
            from pynq_cnn.backends.overlay.design import Design

            design = Design.read(path.with_suffix(".hwh"))
        except ImportError:  # without pynq nobody here reads a .hwh
            return str(path)
        return (
            f"{path}, {path.stat().st_size:,} bytes, made for {design.megahertz:g} MHz, registers at"
            f" {design.address:#x}"
        )

    return _tried("bitstream", board, describe)


def _contiguous_memory() -> Finding:
    sizes = {}
    for line in host.memory_report().splitlines():
        name, _, rest = line.partition(":")
        if name in ("CmaFree", "CmaTotal") and rest.split()[:1] and rest.split()[0].isdigit():
            sizes[name] = int(rest.split()[0]) << 10
    if len(sizes) < 2:
        return Finding(
            "contiguous memory",
            WRONG,
            f"{host.MEMORY} says nothing of it",
            "use a PYNQ image, whose kernel sets 128 MB aside",
        )
    free, total = sizes["CmaFree"] / 2**20, sizes["CmaTotal"] / 2**20
    text = f"{free:,.0f} of {total:,.0f} MiB free"
    if sizes["CmaFree"] < LITTLE_MEMORY:
        return Finding("contiguous memory", WRONG, text, "shut other notebooks' kernels down, or restart the board")
    return Finding("contiguous memory", GOOD, text)
