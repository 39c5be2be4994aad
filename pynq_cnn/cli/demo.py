"""`demo`: classify the shipped sample of real MNIST digits on every backend that can run here."""

from __future__ import annotations

import argparse
from time import perf_counter
from typing import Any

import numpy as np

from pynq_cnn.cli.common import (
    add_json,
    add_model,
    add_timeout,
    open_all,
    print_json,
    print_not_run,
    print_table,
    working,
)
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model.output import OUTPUTS
from pynq_cnn.zoo import load_model, load_sample

SHOWN = 8
RAMP = np.array(list(" .:-=+*#%@"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add_model(parser)
    add_timeout(parser)
    add_json(parser)


def draw(digit: np.ndarray) -> list[str]:
    """A 28 x 28 digit as 10 lines of 20 characters: its middle, two pixel rows to a line, as characters are twice as
    high as wide.
    """
    middle = digit[4:24, 4:24].reshape(10, 2, 20).mean(1)
    return ["".join(row) for row in RAMP[(middle * (len(RAMP) - 1) / 255).round().astype(int)]]


def show(digits: np.ndarray, titles: list[str]) -> None:
    """Print digits side by side, four to a row."""
    for start in range(0, len(digits), 4):
        print("  ".join(title.ljust(20) for title in titles[start : start + 4]).rstrip())
        for lines in zip(*(draw(digit) for digit in digits[start : start + 4])):
            print("  ".join(lines).rstrip())


def run(args: argparse.Namespace) -> int:
    """Accuracy, speed and agreement; 1 if backends disagree."""
    network = load_model(args.model)
    images, labels = load_sample()
    if network.input_shape != (*images.shape[1:], 1):
        raise ArgumentError(f"the sample is of 28 x 28 digits, {network.name} takes {network.input_shape}")
    if network.output.kind != "softmax" or len(network.classes) != 10:
        what = f"{len(network.classes)} {OUTPUTS[network.output.kind]}"
        raise ArgumentError(f"the sample is of ten digits, {network.name} gives {what}; measure it on data of its own")
    rows: list[dict[str, Any]] = []
    results: dict[str, np.ndarray] = {}
    with open_all(network, timeout=args.timeout) as opened:
        for one in opened:
            if one.classifier is None:
                continue
            with working(f"running {one.name}"):
                one.classifier.accumulators(images[:64])
                start = perf_counter()
                results[one.name] = one.classifier.accumulators(images)
                seconds = perf_counter() - start
            right = network.answers(network.logits(results[one.name])) == labels
            rows.append(
                {
                    "backend": one.name,
                    "accuracy": float(right.mean()),
                    "images_per_second": len(images) / seconds,
                    "agrees": np.array_equal(results[one.name], results["reference"]),
                }
            )
    answers = network.answers(network.logits(results["reference"]))
    agree = all(row["agrees"] for row in rows)
    skipped = [{"backend": c.name, "why": c.why_not} for c in opened if c.classifier is None]
    if args.json:
        print_json({"model": network.name, "images": len(images), "agree": agree, "backends": rows, "skipped": skipped})
        return int(not agree)
    picks = np.linspace(0, len(images) - 1, SHOWN).astype(int)
    show(images[picks], [f"{network.classes[answers[i]]} (is {labels[i]})" for i in picks])
    print(f"\n{network.name} on {len(images)} digits of the MNIST test set; speeds are of this machine, now:\n")
    print_table(
        ("backend", "accuracy", "images/s", "same int32 results"),
        [
            (
                row["backend"],
                f"{100 * row['accuracy']:.1f} %",
                f"{row['images_per_second']:,.0f}",
                "yes" if row["agrees"] else "NO",
            )
            for row in rows
        ],
    )
    print_not_run(opened)
    return int(not agree)
