"""A design by its hardware hand-off: where the engine is, which memory ports it has, what clock it is made for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pynq_cnn.errors import DeviceError

ENGINE_TYPE = "pynq-cnn:hls:pynq_cnn_engine"  # its VLNV, without the version
PORT_BITS = 64


@dataclass(frozen=True)
class Design:
    """Facts of a design that the driver needs. Made by `of` or `read`.

    Parameters
    ----------
    engine : str
        The engine's name in pynq's `ip_dict`.
    address, size : int
        First address and bytes of its registers.
    offsets : dict
        Byte offset of each of its registers, by name.
    ports : tuple of int
        Numbers of the S_AXI_HP ports that the design uses, all `PORT_BITS` wide.
    megahertz : float
        Clock of the programmable logic.
    """

    engine: str
    address: int
    size: int
    offsets: Mapping[str, int]
    ports: tuple[int, ...]
    megahertz: float

    @classmethod
    def of(cls, ip_dict: Mapping[str, Any], name: str) -> Design:
        """The design that pynq's `ip_dict` describes.

        Parameters
        ----------
        ip_dict : mapping
            Of a `pynq.Overlay`, or of a parsed `.hwh`.
        name : str
            The `.hwh` in messages.

        Raises
        ------
        DeviceError
            If it has no engine, or more than one, or one that cannot be driven.
        """
        engines = [key for key, details in ip_dict.items() if (details.get("type") or "").startswith(f"{ENGINE_TYPE}:")]
        if len(engines) != 1:
            have = ", ".join(str(details.get("type")) for details in ip_dict.values())
            raise DeviceError(
                f"{name} has {len(engines)} engines of type {ENGINE_TYPE}, and one is needed; it has {have}"
            )
        details = ip_dict[engines[0]]
        offsets = {register: entry["address_offset"] for register, entry in details.get("registers", {}).items()}
        processor = _processor(ip_dict, name)
        return cls(
            engines[0],
            details["phys_addr"],
            details["addr_range"],
            offsets,
            _ports(processor, name),
            _clock(processor, name),
        )

    @classmethod
    def read(cls, hwh: Path) -> Design:
        """The design of a `.hwh`, which pynq's parser reads; imports `pynq`. `DeviceError` as of `of`, and for a
        damaged file.
        """
        from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
        from pynqmetadata.frontends import Metadata

        try:
            ip_dict = RuntimeMetadataParser(Metadata(input=str(hwh))).ip_dict
        except Exception as error:  # the parser has no exception of its own for a damaged file
            raise DeviceError(
                f"{hwh.name} cannot be read: {type(error).__name__}: {error}; {whole(hwh.name)}"
            ) from error
        return cls.of(ip_dict, hwh.name)


def whole(name: str) -> str:
    """Remedy for a hand-off that cannot be read."""
    return f"check that {name} is whole: it is XML, and written by the build that wrote the .bit"


def _processor(ip_dict: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    for details in ip_dict.values():
        if ":processing_system7:" in (details.get("type") or ""):
            return details["parameters"]
    raise DeviceError(f"{name} has no processing_system7; it is not for a Zynq-7000 such as the PYNQ-Z2")


def _ports(processor: Mapping[str, Any], name: str) -> tuple[int, ...]:
    used = [i for i in range(4) if str(processor.get(f"PCW_USE_S_AXI_HP{i}", 0)) == "1"]
    widths = {f"S_AXI_HP{i}": int(processor.get(f"PCW_S_AXI_HP{i}_DATA_WIDTH", PORT_BITS)) for i in used}
    narrow = {port: bits for port, bits in widths.items() if bits != PORT_BITS}
    if narrow or not used:
        have = ", ".join(f"{port} of {bits} bits" for port, bits in narrow.items()) or "no S_AXI_HP port"
        raise DeviceError(
            f"{name} has {have}, but the engine's memory ports are {PORT_BITS} bits wide; rebuild the bitstream"
        )
    return tuple(used)


def _clock(processor: Mapping[str, Any], name: str) -> float:
    value = processor.get("PCW_FPGA0_PERIPHERAL_FREQMHZ")
    try:
        clock = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        clock = 0.0
    if not 0 < clock < 1000:
        raise DeviceError(
            f"{name} gives the clock as {value!r} (PCW_FPGA0_PERIPHERAL_FREQMHZ, in MHz); rebuild the bitstream"
        )
    return clock
