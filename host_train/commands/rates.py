"""`rates`: a network's weights and feature maps at few bits, in space and in frequency: bits, errors and accuracy, as
tables, plots and numbers.

Weights are kept as packages keep them (`export --storage frequency`), headers included; feature maps are transformed,
quantised and transformed back between layers.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from host_train.commands.model import WHAT, as_taken, find_data, find_model
from host_train.commands.options import add_data_dir, add_threads, set_threads

TITLES = {"weights": "Weights", "maps": "Feature maps"}
USUAL = {"of": "both", "rates": "1,2,3,4,6,8", "images": None, "training": 256, "dataset": None}


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("rates", help="weights and feature maps at few bits", description=__doc__)
    parser.add_argument("model", help=WHAT)
    parser.add_argument(
        "--rates", default=USUAL["rates"], metavar="BITS", help="bits per value, separated by commas (1,2,3,4,6,8)"
    )
    parser.add_argument("--of", choices=("weights", "maps", "both"), default=USUAL["of"], help="what is kept (both)")
    parser.add_argument("--images", type=int, metavar="N", help="of the test set, from the first (default: all)")
    parser.add_argument(
        "--training",
        type=int,
        default=USUAL["training"],
        metavar="N",
        help="training images that steps are chosen on (256)",
    )
    parser.add_argument("--dataset", metavar="NAME", help="the data set, where the package does not say it")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where files go (default: rates/NETWORK)")
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from host_train.files import write_text
    from host_train.spectrum.activations import compare_maps
    from host_train.spectrum.bits import check_rates
    from host_train.spectrum.numbers import save_records
    from host_train.spectrum.plots import plot_rates
    from host_train.spectrum.rates import compare_weights, to_markdown
    from pynq_cnn.errors import ArgumentError
    from pynq_cnn.model import Network

    set_threads(args.threads)
    try:
        rates = [int(rate) for rate in args.rates.split(",")]
    except ValueError:
        raise ArgumentError(f"--rates must be whole numbers separated by commas, not {args.rates!r}") from None
    check_rates(rates)
    network = find_model(args.model, args.data_dir)
    if not isinstance(network, Network):
        raise ArgumentError(f"{args.model} is a run in floating point; export it, and give its package")
    dataset = find_data(args.model, network, args.dataset, args.data_dir)
    for name, count, most in (
        ("--images", args.images, len(dataset.test)),
        ("--training", args.training, len(dataset.train)),
    ):
        if count is not None and not 1 <= count <= most:
            raise ArgumentError(f"{name} must be from 1 to {most}, not {count}")
    test, _, _ = as_taken(dataset.test[: args.images or len(dataset.test)], dataset, network)
    training, _, _ = as_taken(dataset.train[: args.training], dataset, network)
    out = args.out or Path("rates") / network.name
    title = f"{network.name}, the first {len(test)} test images of {dataset.spec.title}"
    text = [f"`{_command(args)}`: {title}"]
    for of, compare in (("weights", compare_weights), ("maps", compare_maps)):
        if args.of not in (of, "both"):
            continue
        points = compare(network, training.images, test, rates)
        save_records(points, out / of)
        plot_rates(points, out / f"{of}.png", f"{title}: {TITLES[of].lower()} at few bits")
        text.append(
            f"{TITLES[of]}, top-1 and, in brackets, squared error of the logits, both in %:\n\n{to_markdown(points)}"
        )
    write_text(out / "rates.md", "\n\n".join(text) + "\n")
    print("\n\n".join(text))
    print(f"written: {out}")


def _command(args: argparse.Namespace) -> str:
    """The command line that does it again."""
    words = ["rates", args.model]
    for name, usual in USUAL.items():
        if getattr(args, name) != usual:
            words += [f"--{name}", str(getattr(args, name))]
    return f"python -m host_train {shlex.join(words)}"
