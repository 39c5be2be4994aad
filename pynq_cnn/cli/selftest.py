"""`selftest`: run a network's golden vectors on every backend that can run here."""

from __future__ import annotations

import argparse

from pynq_cnn.cli.common import add_json, add_model, open_all, print_json
from pynq_cnn.errors import PynqCnnError
from pynq_cnn.zoo import load_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add_model(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Compare int32 accumulators; 1 on any difference, and when a device that is there fails."""
    network = load_model(args.model)
    if network.golden is None:
        raise PynqCnnError(f"{network.name} has no golden vectors; export it again with host_train")
    report = []
    with open_all(network, batch=16) as candidates:  # smaller than the vectors are many: batches are tested too
        for candidate in candidates:
            if candidate.classifier is None:
                result = "failed" if candidate.broken else "skipped"
                report.append({"backend": candidate.name, "result": result, "why": candidate.why_not})
                continue
            try:
                accumulators = candidate.classifier.accumulators(network.golden.images)
            except PynqCnnError as error:
                report.append({"backend": candidate.name, "result": "failed", "why": str(error)})
                continue
            wrong = int((accumulators != network.golden.accumulators).any(axis=1).sum())
            report.append(
                {"backend": candidate.name, "result": "failed" if wrong else "passed", "why": f"{wrong} images differ" if wrong else ""}
            )
    failed = any(row["result"] == "failed" for row in report)
    if args.json:
        print_json({"model": network.name, "images": len(network.golden.images), "passed": not failed, "backends": report})
    else:
        print(f"{network.name}: {len(network.golden.images)} golden images, int32 results compared")
        for row in report:
            print(f"  {row['backend']:<24} {row['result']}" + (f": {row['why']}" if row["why"] else ""))
    return int(failed)
