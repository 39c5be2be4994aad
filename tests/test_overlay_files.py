"""The hardware hand-off that is in the repository, and what it was made from."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys

import pytest
from virtual import NO_PYNQ, ROOT, script

HWH = ROOT / "overlays" / "pynq_cnn.hwh"
make_hwh = script("overlays/make_hwh.py")

by_vivado = pytest.mark.skipif(
    make_hwh.MADE_BY not in HWH.read_text(encoding="utf-8"), reason="the hand-off was made by Vivado"
)


@by_vivado
def test_committed_file_is_what_the_generator_gives() -> None:
    assert HWH.read_text(encoding="utf-8") == make_hwh.make(), "run python overlays/make_hwh.py"


@by_vivado
def test_file_says_that_vivado_did_not_make_it() -> None:
    assert "NOT MADE BY VIVADO" in HWH.read_text(encoding="utf-8")


def test_generator_has_the_arguments_of_the_top_function() -> None:
    header = (ROOT / "hls_src" / "engine.hpp").read_text(encoding="utf-8")
    signature = re.search(r"void pynq_cnn_engine\(([^)]*)\)", header)
    assert signature is not None
    arguments = [re.findall(r"(\*?)(\w+)$", argument.strip())[0] for argument in signature[1].split(",")]
    pointers = [name for star, name in arguments if star]
    assert tuple(pointers) == make_hwh.POINTERS + make_hwh.OUTPUTS
    assert tuple(name for star, name in arguments if not star) == make_hwh.SCALARS


def test_registers_are_aligned_and_apart() -> None:
    offsets = [register.offset for register in make_hwh.registers()]
    assert (
        offsets == sorted(set(offsets)) and all(offset % 4 == 0 for offset in offsets) and offsets[-1] < make_hwh.RANGE
    )


def test_pynq_reads_it() -> None:
    pytest.importorskip("pynq", reason=NO_PYNQ)
    from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
    from pynqmetadata.frontends import Metadata

    from pynq_cnn.compiler.registers import REGISTERS

    parser = RuntimeMetadataParser(Metadata(input=str(HWH)))
    engines = [details for details in parser.ip_dict.values() if details["type"] == make_hwh.ENGINE_VLNV]
    assert len(engines) == 1
    engine = engines[0]
    assert set(REGISTERS) <= set(engine["registers"])
    assert engine["addr_range"] > max(details["address_offset"] for details in engine["registers"].values())
    parameters = parser.ip_dict[parser.ps_name]["parameters"]
    assert [parameters[f"PCW_USE_S_AXI_HP{i}"] for i in range(4)] == ["1", "0", "0", "0"], "one port"
    assert parameters["PCW_S_AXI_HP0_DATA_WIDTH"] == "64"
    assert parser.clock_dict[0]["enable"] == 1 and float(parameters["PCW_FPGA0_PERIPHERAL_FREQMHZ"]) == 100
    if make_hwh.MADE_BY in HWH.read_text(encoding="utf-8"):
        assert (engine["phys_addr"], engine["addr_range"]) == (0x70000000, 0x10000)
        read = {name: details["address_offset"] for name, details in engine["registers"].items()}
        assert read == {register.name: register.offset for register in make_hwh.registers()}


def test_build_hash_is_that_of_the_sources() -> None:
    folder = ROOT / "hls_src"
    sources = b"".join(path.read_bytes() for path in [*sorted(folder.glob("*.hpp")), folder / "engine.cpp"])
    expected = "0x" + hashlib.sha256(sources).hexdigest()[:8]
    printed = subprocess.run(
        [sys.executable, str(folder / "build_hash.py")], capture_output=True, text=True, check=True
    ).stdout
    assert printed == expected + "\n"
