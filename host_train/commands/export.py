"""`export`: put a trained run in integers and write its model package, or the same as .mat or text; or the float model
as TorchScript.

The ways to quantise to int8 (calibration without further training, by three methods, and quantisation-aware training)
are compared on the validation images; the best is exported, and only then measured on the test set. A binary network
has one way, which is exact. Of several formats, all hold the same integers. What is in integers already, a shipped
network or a model package, is written as it is.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from host_train.commands.model import WHAT, find_model
from host_train.commands.options import add_data_dir, add_min_agreement, add_threads, set_threads
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import Network

if TYPE_CHECKING:
    from host_train.runs.run import Run

DEFAULT_OUT = {"npy": "package", "mat": "network.mat", "txt": "txt", "torchscript": "model.pt"}
TORCHSCRIPT = "torchscript"


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("export", help="write a run or a network for other tools", description=__doc__)
    parser.add_argument("model", help=WHAT)
    form = f"{', '.join(DEFAULT_OUT)}; or several, separated by commas (default: npy, a model package)"
    parser.add_argument("--format", default="npy", metavar="FORMAT", help=form)
    places = ", ".join(DEFAULT_OUT.values())
    out = (
        f"what to write, or of several formats the folder for them (default, by format: {places}; in RUN, or in"
        " exports/NETWORK)"
    )
    parser.add_argument("--out", type=Path, metavar="PATH", help=out)
    how = "of a run: max, percentile, mse or qat (default: auto, the best of them on the validation images)"
    parser.add_argument("--quantise", metavar="HOW", help=how)
    add_min_agreement(parser)
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from host_train.export.formats import write_checked
    from host_train.tracing.fidelity import check_min_agreement

    set_threads(args.threads)
    check_min_agreement(args.min_agreement)
    formats = _formats(args.format)
    model = find_model(args.model, args.data_dir)
    places = _places(args.model, model, formats, args.out)
    if isinstance(model, Network):
        if TORCHSCRIPT in formats:
            raise ArgumentError(
                f"{args.model} is in integers, and TorchScript is of the model in floating point, which cannot be had"
                " from them; give the folder of the run that it was made of"
            )
        if args.quantise is not None:
            raise ArgumentError(f"{args.model} is in integers already; remove --quantise {args.quantise}")
        network = model
        stated = network.metadata.get("accuracy", {}).get("integer_top1")
        reached = f"; its package states {100 * stated:.2f} % on its test set" if isinstance(stated, float) else ""
        print(f"{network.name} is in integers already, and is written as it is{reached}")
    else:
        if formats == [TORCHSCRIPT] and args.quantise is not None:
            raise ArgumentError(f"TorchScript is of the model in floating point; remove --quantise {args.quantise}")
        if formats != [TORCHSCRIPT]:
            network = _quantised(model, args.quantise or "auto", args.min_agreement)
        if TORCHSCRIPT in formats:
            _write_torchscript(model, places[TORCHSCRIPT])
    for form in formats:
        if form != TORCHSCRIPT:
            write_checked(network, places[form], form)
            print(f"written: {places[form]}")


def _formats(words: str) -> list[str]:
    formats = list(dict.fromkeys(words.split(",")))
    unknown = next((form for form in formats if form not in DEFAULT_OUT), None)
    if unknown is not None:
        raise ArgumentError(f"--format must be of {', '.join(DEFAULT_OUT)}, separated by commas, not {unknown!r}")
    return formats


def _places(word: str, model: Run | Network, formats: list[str], out: Path | None) -> dict[str, Path]:
    """Where each format goes; refused, before minutes of measuring, where that would take something else's place."""
    from host_train.export.txt import TEXT
    from host_train.training.checkpoint import check_file
    from pynq_cnn.model.package.folder import check_replaceable

    own = Path("exports") / re.sub(r"[^\w.-]", "_", model.name) if isinstance(model, Network) else Path(word)
    places = {form: (out or own) / DEFAULT_OUT[form] for form in formats}
    if out is not None and len(formats) == 1:
        places = {formats[0]: out}
    for form, place in places.items():
        if form in ("mat", TORCHSCRIPT):
            check_file(place)
        else:
            check_replaceable(place, TEXT if form == "txt" else ".npy")
    return places


def _write_torchscript(run: Run, out: Path) -> None:
    from host_train.export.torchscript import write_torchscript

    write_torchscript(run.float_model(), run.input, run.dataset.spec.classes, out)
    print(f"written: {out}, in floating point, for images normalised with mean {run.mean} and std {run.std}")


def _quantised(run: Run, how: str, min_agreement: float) -> Network:
    """The run in integers, as does best on the validation images, with what it reaches on the test set."""
    from host_train.quantisation.choose import choose
    from host_train.quantisation.golden import with_golden
    from host_train.runs.quantising import candidates as candidates_of
    from host_train.tracing.compare import compare_with_model
    from host_train.tracing.fidelity import partings_of

    candidates = candidates_of(run, how)
    chosen = choose([one for one in candidates if how in ("auto", one.label)])
    print(f"in integers on the {len(run.validation)} validation images:")
    for one in candidates:
        print(
            f"  {one.label:11} {100 * one.top1:6.2f} %  loss {one.loss:.4f}{'  <- exported' if one is chosen else ''}"
        )
    model, test = run.float_model(), run.dataset.test
    measured = compare_with_model(chosen.network, model, test)
    measured.check(min_agreement, lambda: partings_of(model, chosen.network, test.images))
    print(f"on the {len(test)} test images of {run.dataset.spec.title}: {measured}")
    return with_golden(replace(chosen.network, metadata=run.metadata(chosen.label, measured.accuracy)), test.images)
