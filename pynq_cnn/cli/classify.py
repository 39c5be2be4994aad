"""`classify`: say what is on pictures."""

from __future__ import annotations

import argparse
import sys
import warnings

from pynq_cnn.cli.common import add_backend, add_json, add_model, add_timeout, open_classifier, print_json, working
from pynq_cnn.errors import ArgumentError, ImageError, ImageWarning


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="picture files")
    parser.add_argument("--top", type=int, default=3, metavar="K", help="how many classes to list (3)")
    parser.add_argument(
        "--explain", action="store_true", help="say what was done to each picture before the network saw it"
    )
    add_model(parser)
    add_backend(parser)
    add_timeout(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Classify the files in one go; 1 if one of them could not be read, which does not keep the others from an
    answer.
    """
    if args.top < 1:
        raise ArgumentError(f"--top must be at least 1, not {args.top}")
    ready, errors = {}, {}
    with open_classifier(args.model, args.backend, args.virtual, min(len(args.images), 64), args.timeout) as classifier:
        for path in dict.fromkeys(args.images):
            try:
                ready[path] = classifier.prepare(path)
            except ImageError as error:
                errors[path] = str(error)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImageWarning)  # they are printed beside their answers
            with working(f"classifying {len(ready)} pictures on {classifier.backend_name}"):
                answers = dict(zip(ready, classifier.classify(list(ready.values()))))
    if args.json:
        print_json(
            [
                {"image": path, **(answers[path].to_dict() if path in answers else {"error": errors[path]})}
                for path in args.images
            ]
        )
    for path in args.images:
        if path in errors:
            print(f"pynq-cnn: {errors[path]}", file=sys.stderr)
        elif not args.json:
            answer = answers[path]
            # Plain values have no probabilities; the label says them all.
            listed = (
                ""
                if answer.kind == "values"
                else ", ".join(f"{name} {100 * p:.1f} %" for name, p in answer.top(args.top)) + "; "
            )
            name = path.encode(errors="backslashreplace").decode()  # bytes of a file's name need not be letters
            print(f"{name}: {answer.label}  ({listed}{answer.times})")
            for text in answer.warnings:
                print(f"  warning: {text}")
            for text in answer.preparation if args.explain else ():
                print(f"  prepared: {text}")
    return int(bool(errors))
