"""`selftest`: run a network's golden vectors on every backend that can run here."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pynq_cnn.cli.common import EXECUTIONS, Opened, add_json, add_model, add_timeout, open_all, print_json, working
from pynq_cnn.errors import ArgumentError, PynqCnnError
from pynq_cnn.model import Golden
from pynq_cnn.zoo import load_model, percent, stated_agreement

LOW = 0.95  # agreement below which a package is worth a look


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    require = (
        f"fail if one of these did not run: {', '.join(EXECUTIONS)} (virtual: the overlay on the virtual board); may be"
        " given again"
    )
    parser.add_argument("--require", action="append", default=[], metavar="NAME[,NAME...]", help=require)
    add_model(parser)
    add_timeout(parser)
    add_json(parser)


def required(words: Sequence[str]) -> set[str]:
    """The executions that `--require` names, as `Opened.name` has them; `ArgumentError` for a name that is
    none.
    """
    names = [name.strip() for word in words for name in word.split(",")]
    for name in names:
        if name not in EXECUTIONS:
            raise ArgumentError(f"--require must be of {', '.join(EXECUTIONS)}, not {name!r}")
    return {EXECUTIONS[name] for name in names}


def check(one: Opened, golden: Golden) -> tuple[str, str]:
    """`passed`, `failed` or `skipped`, and why."""
    if one.classifier is None:
        return "failed" if one.broken else "skipped", one.why_not
    try:
        with working(f"testing {one.name}"):
            accumulators = one.classifier.accumulators(golden.images)
    except PynqCnnError as error:
        return "failed", str(error)
    wrong = int((accumulators != golden.accumulators).any(axis=1).sum())
    return ("failed", f"{wrong} images differ") if wrong else ("passed", "")


def run(args: argparse.Namespace) -> int:
    """Compare int32 accumulators; 1 on any difference, when a device that is there fails, and when one that is required
    did not run.
    """
    wanted = required(args.require)
    network = load_model(args.model)
    if network.golden is None:
        raise PynqCnnError(f"{network.name} has no golden vectors; export it again with host_train")
    with open_all(network, 16, args.timeout) as opened:  # smaller than the vectors are many: batches are tested too
        report = [(one.name, *check(one, network.golden)) for one in opened]
    missing = [name for name, result, _ in report if result == "skipped" and name in wanted]
    failed = bool(missing) or any(result == "failed" for _, result, _ in report)
    agreement = stated_agreement(network.metadata)
    conversion = network.metadata.get("conversion")
    doubts = conversion.get("doubts") if isinstance(conversion, dict) else None
    doubts = [str(doubt) for doubt in doubts] if isinstance(doubts, list) else []
    if args.json:
        print_json(
            {
                "model": network.name,
                "images": len(network.golden.images),
                "agreement": agreement,
                "doubts": doubts,
                "passed": not failed,
                "missing": missing,
                "backends": [{"backend": name, "result": result, "why": why} for name, result, why in report],
            }
        )
        return int(failed)
    print(f"{network.name}: {len(network.golden.images)} golden images, int32 results compared")
    for name, result, why in report:
        shown = f"{result}, but required" if name in missing else result
        print(f"  {name:<24} {shown}" + (f": {why}" if why else ""))
    low = "; that is low, convert it again" if agreement is not None and agreement < LOW else ""
    print(
        f"  agreement with the model that the integers were made from, as the package states: {percent(agreement)}{low}"
    )
    for doubt in doubts:
        print(f"  stated with a doubt: {doubt}")
    return int(failed)
