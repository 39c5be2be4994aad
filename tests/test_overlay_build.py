"""The build of the bitstream, as far as it can be followed without Vitis and Vivado: stand-ins note what they are told
to do.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from csynth import csynth, pipelines
from virtual import ROOT, script

make_hwh = script("overlays/make_hwh.py")
LOOP = next(iter(pipelines()))
SLACKS = "STATS.WNS 0.7 STATS.WHS 0.05 STATS.TPWS 3.75"

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not (shutil.which("make") and shutil.which("tclsh")), reason="needs make and tclsh"),
]

# Answers of the tools that the scripts go on with. Everything else is noted and gives its last argument back.
STAND_IN = """
set log [open $::env(STAND_IN_LOG) a]
proc unknown {args} { puts $::log $args; return [lindex $args end] }
proc get_ipdefs {pattern} { return [string map {* 9.9} $pattern] }
proc get_board_parts {args} { return "" }
proc version {args} { return 2099.1 }
proc get_property {name object} { return [dict get {PROGRESS 100% STATUS done SLACKS} $name] }
proc launch_runs {args} {
    foreach {folder file} {runs/impl_1 wrapper.bit gen/sources_1/bd/pynq_cnn/hw_handoff .hwh} {
        file mkdir vivado/pynq_cnn.$folder
        close [open vivado/pynq_cnn.$folder/[expr {$file eq ".hwh" ? "pynq_cnn.hwh" : "pynq_cnn_$file"}] w]
    }
}
proc csynth_design {} {
    puts $::log csynth_design
    file mkdir engine/solution/syn/report
    file copy -force $::env(STAND_IN_REPORT) engine/solution/syn/report/csynth.xml
}
proc export_design {args} {
    if {[info exists ::env(STAND_IN_OLD)]} { error "bad lexical cast" }
    puts $::log [list export_design {*}$args]
    file mkdir engine/solution/impl/ip
    close [open engine/solution/impl/ip/component.xml w]
}
source [lindex $argv end]
"""


def build(
    tmp_path: Path, tools: tuple[str, ...], slacks: str = "", report: str = "", **variables: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """`make bitstream` in a copy, where only `tools` are installed; what it said, and what the tools were told.

    `slacks` replaces some of Vivado's, and `report` the one of Vitis HLS, with which nothing is wrong.
    """
    shutil.copytree(ROOT / "hls_src", tmp_path / "hls_src", ignore=shutil.ignore_patterns("build", "host"))
    (tmp_path / "overlays").mkdir()
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "stand_in.tcl").write_text(STAND_IN.replace("SLACKS", f"{SLACKS} {slacks}"))
    (tmp_path / "csynth.xml").write_text(report or csynth())
    for tool in tools:
        (programs / tool).write_text(f'#!/bin/sh\nexec tclsh "{programs}/stand_in.tcl" "$@"\n')
        (programs / tool).chmod(0o755)
    for tool in ("make", "tclsh", "sh", "mkdir"):
        found = shutil.which(tool)
        assert found is not None
        (programs / tool).symlink_to(found)
    log = tmp_path / "log"
    log.touch()
    environment = {"PATH": str(programs), "STAND_IN_LOG": str(log), "PYTHON": sys.executable, **variables}
    environment["STAND_IN_REPORT"] = str(tmp_path / "csynth.xml")
    done = subprocess.run(
        ["make", "-C", "hls_src", "bitstream"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    return done, log.read_text().splitlines()


def test_without_the_tools_it_says_what_to_source(tmp_path: Path) -> None:
    done, _ = build(tmp_path, ())
    assert done.returncode != 0 and "neither vitis_hls nor vitis-run is on the PATH" in done.stderr


def test_without_vivado_it_says_so(tmp_path: Path) -> None:
    done, log = build(tmp_path, ("vitis_hls",))
    assert done.returncode != 0 and "vivado is not on the PATH" in done.stderr
    assert any(line.startswith("export_design") for line in log)


@pytest.mark.parametrize("hls", ["vitis_hls", "vitis-run"])
def test_writes_the_overlay_and_what_built_it(tmp_path: Path, hls: str) -> None:
    done, log = build(tmp_path, (hls, "vivado"))
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "overlays").iterdir()) == [
        "pynq_cnn.bit",
        "pynq_cnn.hwh",
        "pynq_cnn.md",
    ]
    build_hash = f"0x{script('hls_src/build_hash.py').build_hash():08x}"
    note = (tmp_path / "overlays" / "pynq_cnn.md").read_text()
    assert build_hash in note and "2099.1" in note and "0.7 ns" in note
    assert any(re.search(rf"add_files.*-DPCNN_BUILD={build_hash}u.*engine\.cpp", line) for line in log)
    vendor, library, _, version = make_hwh.ENGINE_VLNV.split(":")
    exported = next(line for line in log if line.startswith("export_design"))
    assert f"-vendor {vendor} -library {library} -version {version}" in exported


@pytest.mark.parametrize("name, what", [("WNS", "setup"), ("WHS", "hold"), ("TPWS", "pulse width")])
def test_a_design_that_misses_its_clock_is_not_delivered(tmp_path: Path, name: str, what: str) -> None:
    done, _ = build(tmp_path, ("vitis_hls", "vivado"), slacks=f"STATS.{name} -0.3")
    assert done.returncode != 0 and f"misses 100 MHz by 0.3 ns of {what} ({name})" in done.stderr
    assert not list((tmp_path / "overlays").iterdir())


def test_a_slack_that_vivado_does_not_tell_is_not_taken_for_none(tmp_path: Path) -> None:
    done, _ = build(tmp_path, ("vitis_hls", "vivado"), slacks="STATS.WHS {}")
    assert done.returncode != 0 and "does not tell the hold slack" in done.stderr
    assert not list((tmp_path / "overlays").iterdir())


@pytest.mark.parametrize(
    "report, message",
    [
        (csynth(intervals={LOOP: "2"}), f"loop {LOOP} in {pipelines()[LOOP]}_Pipeline_{LOOP} has an II of 2"),
        (csynth(used={"DSP": 318}), "318 DSP, and the limit is 212"),
    ],
)
def test_an_engine_that_is_not_as_it_was_meant_is_not_packed(tmp_path: Path, report: str, message: str) -> None:
    done, log = build(tmp_path, ("vitis_hls", "vivado"), report=report)
    assert done.returncode != 0 and message in done.stderr
    assert not any(line.startswith("export_design") for line in log)
    assert not list((tmp_path / "overlays").iterdir())


def test_the_limits_can_be_set(tmp_path: Path) -> None:
    done, _ = build(tmp_path, ("vitis_hls", "vivado"), report=csynth(used={"LUT": 50_000}), LIMITS="LUT 51000")
    assert done.returncode == 0, done.stderr


def test_a_tool_that_cannot_pack_on_dates_after_2021_is_explained(tmp_path: Path) -> None:
    done, _ = build(tmp_path, ("vitis_hls", "vivado"), STAND_IN_OLD="1")
    assert done.returncode != 0 and "bad lexical cast" in done.stderr and "answer record 76960" in done.stderr


def test_the_memory_of_the_board_is_given_where_vivado_does_not_know_the_board(tmp_path: Path) -> None:
    _, log = build(tmp_path, ("vitis_hls", "vivado"))
    settings = next(line for line in log if line.startswith("set_property -dict") and line.endswith(make_hwh.PS))
    assert "CONFIG.PCW_UIPARAM_DDR_PARTNO {MT41J256M16 RE-125}" in settings
    assert "CONFIG.PCW_UIPARAM_DDR_BUS_WIDTH {16 Bit}" in settings
    assert make_hwh.DDR_BYTES == 256 * 2**20 * 16 // 8  # 256 M words of 16 bits


def test_vivado_is_told_the_design_that_the_generated_hand_off_describes(tmp_path: Path) -> None:
    done, log = build(tmp_path, ("vitis_hls", "vivado"))
    assert done.returncode == 0, done.stderr
    calls = [line.split() for line in log]

    cells = {call[-1]: call[4].rpartition(":")[0] for call in calls if call[0] == "create_bd_cell"}
    hardware = {
        make_hwh.PS: "xilinx.com:ip:processing_system7",
        make_hwh.ENGINE: make_hwh.ENGINE_VLNV.rpartition(":")[0],
    }
    bridges = {name: "xilinx.com:ip:smartconnect" for name in make_hwh.BRIDGES}
    assert cells == {**hardware, **bridges, make_hwh.RESET: "xilinx.com:ip:proc_sys_reset"}

    buses = {tuple(call[1:]) for call in calls if call[0] == "connect_bd_intf_net"}
    assert buses == {("/".join(bus.master), "/".join(bus.slave)) for bus in make_hwh.BUSES}

    wires = {tuple(call[1:]) for call in calls if call[0] == "connect_bd_net"}
    assert wires == {("/".join(wire.driver), "/".join(load)) for wire in make_hwh.WIRES for load in wire.loads}

    settings = next(line for line in log if line.startswith("set_property -dict") and line.endswith(make_hwh.PS))
    given = dict(re.findall(r"CONFIG\.(\w+) (\w+)", settings))
    expected = {name: str(value) for name, value in make_hwh.ps_parameters().items()}
    assert given["PCW_S_AXI_HP0_DATA_WIDTH"] == "64"
    assert [given[f"PCW_USE_S_AXI_HP{i}"] for i in range(4)] == ["1", "0", "0", "0"]
    assert given["PCW_FPGA0_PERIPHERAL_FREQMHZ"] == "100"
    assert {name: value for name, value in given.items() if name in expected} == {
        name: expected[name] for name in given if name in expected
    }

    address = next(call for call in calls if call[0] == "assign_bd_address" and "-offset" in call)
    assert int(address[address.index("-offset") + 1], 16) == make_hwh.BASE
    assert address[address.index("-range") + 1] == f"{make_hwh.RANGE >> 10}K"
    assert f"{make_hwh.ENGINE}/s_axi_control/Reg" in address
