"""The spellings of `#pragma HLS` that Vitis HLS 2022.1 accepts, and those only.

Source: Vitis High-Level Synthesis User Guide (UG1399) 2022.1, chapter "HLS Pragmas". ALIAS is on its own page from
2022.2 on; AMD's Vitis-HLS-Introductory-Examples spell it as here. A misspelt pragma is only a warning of Vitis HLS,
and the design another one.
"""

from __future__ import annotations

from dataclasses import dataclass

from .source import Pragma


@dataclass(frozen=True)
class Form:
    """Options (with their values, where only some are allowed) and bare words of one pragma."""

    options: dict[str, tuple[str, ...]]
    words: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


ANY: tuple[str, ...] = ()
PARTS = ("cyclic", "block", "complete")
SWITCH = ("true", "false")
PROTOCOLS = (
    "ap_none",
    "ap_stable",
    "ap_vld",
    "ap_ack",
    "ap_hs",
    "ap_ovld",
    "ap_fifo",
    "ap_memory",
    "bram",
    "axis",
    "s_axilite",
    "m_axi",
    "ap_ctrl_chain",
    "ap_ctrl_hs",
    "ap_ctrl_none",
)
RAMS = ("fifo", "ram_1p", "ram_1wnr", "ram_2p", "ram_s2p", "ram_t2p", "rom_1p", "rom_2p", "rom_np")
OPERATIONS = (
    *("mul", "add", "sub", "fadd", "fsub", "fdiv", "fexp", "flog", "fmul", "fsqrt", "frsqrt", "frecip"),
    *(
        "dadd",
        "dsub",
        "ddiv",
        "dexp",
        "dlog",
        "dmul",
        "dsqrt",
        "drsqrt",
        "drecip",
        "hadd",
        "hsub",
        "hdiv",
        "hmul",
        "hsqrt",
    ),
)

GRAMMAR = {
    "aggregate": Form({"variable": ANY, "compact": ("bit", "byte", "none", "auto")}, (), ("variable",)),
    "alias": Form({"ports": ANY, "distance": ANY, "offset": ANY}, (), ("ports",)),
    "allocation": Form({"instances": ANY, "limit": ANY, "type": ("function", "operation")}, ("function", "operation")),
    "array_partition": Form(
        {"variable": ANY, "type": PARTS, "factor": ANY, "dim": ANY, "off": SWITCH}, PARTS, ("variable",)
    ),
    "array_reshape": Form(
        {"variable": ANY, "type": PARTS, "factor": ANY, "dim": ANY, "off": SWITCH}, (*PARTS, "object"), ("variable",)
    ),
    "bind_op": Form(
        {
            "variable": ANY,
            "op": OPERATIONS,
            "impl": ("dsp", "fabric", "meddsp", "fulldsp", "maxdsp", "primitivedsp", "auto", "none"),
            "latency": ANY,
        },
        (),
        ("variable", "op"),
    ),
    "bind_storage": Form(
        {
            "variable": ANY,
            "type": RAMS,
            "impl": ("bram", "bram_ecc", "lutram", "uram", "uram_ecc", "srl", "memory", "auto"),
            "latency": ANY,
        },
        (),
        ("variable", "type"),
    ),
    "dataflow": Form({}, ("disable_start_propagation",)),
    "dependence": Form(
        {
            "variable": ANY,
            "class": ("array", "pointer"),
            "type": ("intra", "inter"),
            "direction": ("raw", "war", "waw"),
            "distance": ANY,
            "dependent": SWITCH,
        },
        ("array", "pointer", "intra", "inter", "raw", "war", "waw", *SWITCH),
    ),
    "disaggregate": Form({"variable": ANY}, (), ("variable",)),
    "expression_balance": Form({}, ("off",)),
    "function_instantiate": Form({"variable": ANY}, (), ("variable",)),
    "inline": Form({}, ("off", "recursive")),
    "interface": Form(
        {
            "mode": PROTOCOLS,
            "port": ANY,
            "bundle": ANY,
            "register": ANY,
            "register_mode": ("both", "forward", "reverse", "off"),
            "depth": ANY,
            "offset": ANY,
            "latency": ANY,
            "clock": ANY,
            "name": ANY,
            "num_read_outstanding": ANY,
            "num_write_outstanding": ANY,
            "max_read_burst_length": ANY,
            "max_write_burst_length": ANY,
            "max_widen_bitwidth": ANY,
            "storage_type": RAMS,
            "storage_impl": ("auto", "bram", "uram"),
            "interrupt": ANY,
        },
        (*PROTOCOLS, "register"),
        ("port",),
    ),
    "latency": Form({"min": ANY, "max": ANY}),
    "loop_flatten": Form({}, ("off",)),
    "loop_merge": Form({}, ("force",)),
    "loop_tripcount": Form({"min": ANY, "max": ANY, "avg": ANY}, (), ("max",)),
    "occurrence": Form({"cycle": ANY, "off": SWITCH}),
    "performance": Form({"target_ti": ANY, "unit": ANY, "assume_ti": ANY, "scope": ANY}),
    "pipeline": Form({"ii": ANY, "style": ("stp", "frp", "flp")}, ("rewind", "off")),
    "protocol": Form({"mode": ("floating", "fixed")}, ("floating", "fixed")),
    "reset": Form({"variable": ANY}, ("off",), ("variable",)),
    "stable": Form({"variable": ANY}, (), ("variable",)),
    "stream": Form(
        {"variable": ANY, "type": ("fifo", "pipo", "shared", "unsync"), "depth": ANY}, ("off",), ("variable",)
    ),
    "top": Form({"name": ANY}),
    "unroll": Form({"factor": ANY, "off": SWITCH}, ("skip_exit_check", "region", "off")),
}
NUMBERS = ("ii", "factor", "dim", "min", "max", "avg", "latency", "depth", "distance", "limit")


def misspelt(pragma: Pragma) -> str:
    """The fault of a pragma, "" if none."""
    form = GRAMMAR.get(pragma.kind)
    if form is None:
        return f"Vitis HLS 2022.1 has no `#pragma HLS {pragma.kind.upper()}`"
    for name, value in pragma.options.items():
        if name not in form.options:
            return f"{pragma.kind.upper()} has no option `{name}`"
        allowed = form.options[name]
        if allowed and value.lower() not in allowed:
            return f"{pragma.kind.upper()}: `{name}` is one of {', '.join(allowed)}, not `{value}`"
        if not value:
            return f"{pragma.kind.upper()}: `{name}` has no value"
    for word in pragma.words:
        if word not in form.words:
            return f"{pragma.kind.upper()} has no `{word}`"
    for name in form.needs:
        if name not in pragma.options:
            return f"{pragma.kind.upper()} needs `{name}`"
    if pragma.kind == "interface" and "mode" not in pragma.options and not set(pragma.words) & set(PROTOCOLS):
        return "INTERFACE names no protocol"
    return ""
