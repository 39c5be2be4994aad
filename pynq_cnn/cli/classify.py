"""`classify`: say what is on pictures."""

from __future__ import annotations

import argparse

from pynq_cnn.cli.common import add_backend, add_json, add_model, open_classifier, print_json
from pynq_cnn.errors import ArgumentError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="picture files")
    parser.add_argument("--top", type=int, default=3, metavar="K", help="how many classes to list (3)")
    add_model(parser)
    add_backend(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    """Classify the files in one go."""
    if args.top < 1:
        raise ArgumentError(f"--top must be at least 1, not {args.top}")
    with open_classifier(args.model, args.backend, args.virtual, batch=min(len(args.images), 64)) as classifier:
        answers = classifier.classify(list(args.images))
    if args.json:
        print_json([{"image": path, **answer.to_dict()} for path, answer in zip(args.images, answers)])
        return
    for path, answer in zip(args.images, answers):
        listed = ", ".join(f"{name} {100 * p:.1f} %" for name, p in answer.top(args.top))
        print(f"{path}: {answer.label}  ({listed}; {answer.backend}, {1000 * answer.seconds:.1f} ms)")
