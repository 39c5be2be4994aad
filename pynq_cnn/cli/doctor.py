"""`doctor`: say what of this machine works, what is missing and what to do about it."""

from __future__ import annotations

import argparse

from pynq_cnn.cli.common import add_json, print_json
from pynq_cnn.doctor import GOOD, WRONG, examine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the findings; 1 if something is wrong."""
    findings = examine()
    wrong = sum(finding.state == WRONG for finding in findings)
    if args.json:
        print_json({"wrong": wrong, "findings": [finding.to_dict() for finding in findings]})
        return int(wrong > 0)
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        mark = finding.state if finding.state == GOOD else finding.state.upper()
        print(f"{mark:<8}{finding.what:<{width}}  {finding.text}")
        if finding.remedy:
            print(f"{'':<8}{'':<{width}}  -> {finding.remedy}")
    print(f"\n{wrong} of {len(findings)} are wrong" if wrong else "\nnothing is wrong")
    return int(wrong > 0)
