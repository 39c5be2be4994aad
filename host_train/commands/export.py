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

TORCHSCRIPT = "torchscript"
FLOATS = ("float-mat", "float-txt")  # weights and constants as they were trained
REAL = (TORCHSCRIPT, *FLOATS)  # in floating point, of runs alone
DEFAULT_OUT = {
    "npy": "package",
    "mat": "network.mat",
    "txt": "txt",
    TORCHSCRIPT: "model.pt",
    "float-mat": "float.mat",
    "float-txt": "float-txt",
}
TITLES = {TORCHSCRIPT: "TorchScript"}


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
    storage = (
        "frequency keeps weights as coefficients of their kernels' Fourier transform, where that is better than"
        " quantised in space; which layer gets how many bytes, the slope of the error decides (default: as they are)"
    )
    parser.add_argument("--storage", metavar="FORM", help=storage)
    rate = "bits per weight of --storage, headers included (default: 4)"
    parser.add_argument("--rate", type=float, metavar="BITS", help=rate)
    parser.add_argument("--dataset", metavar="NAME", help="for --storage of a package that does not say it")
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
    if args.storage not in (None, "frequency"):
        raise ArgumentError(f"--storage must be frequency, not {args.storage!r}")
    if args.storage is None and (args.rate is not None or args.dataset is not None):
        raise ArgumentError("--rate and --dataset are of --storage frequency; give that too, or remove them")
    if args.storage is not None and all(form in REAL for form in formats):
        what = TITLES.get(formats[0], formats[0])
        raise ArgumentError(f"--storage is of weights in integers, and {what} has none; give another --format")
    model = find_model(args.model, args.data_dir)
    places = _places(args.model, model, formats, args.out)
    if isinstance(model, Network):
        real = [form for form in formats if form in REAL]
        if real:
            raise ArgumentError(
                f"{args.model} is in integers, and {TITLES.get(real[0], real[0])} is of the model in floating point,"
                " which cannot be had from them; give the folder of the run that it was made of"
            )
        if args.quantise is not None:
            raise ArgumentError(f"{args.model} is in integers already; remove --quantise {args.quantise}")
        network = model
        stated = network.metadata.get("accuracy", {}).get("integer_top1")
        reached = f"; its package states {100 * stated:.2f} % on its test set" if isinstance(stated, float) else ""
        print(f"{network.name} is in integers already, and is written as it is{reached}")
    else:
        only_real = all(form in REAL for form in formats)
        if only_real and args.quantise is not None:
            what = TITLES.get(formats[0], formats[0])
            raise ArgumentError(f"{what} is of the model in floating point; remove --quantise {args.quantise}")
        if not only_real:
            network = _quantised(model, args.quantise or "auto", args.min_agreement)
        if TORCHSCRIPT in formats:
            _write_torchscript(model, places[TORCHSCRIPT])
        _write_floats(model, {form: places[form] for form in FLOATS if form in formats})
    if args.storage is not None:
        network = _in_frequency(args, network)
    for form in formats:
        if form not in REAL:
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
    from host_train.files import check_file
    from pynq_cnn.model.package.folder import check_replaceable

    own = Path("exports") / re.sub(r"[^\w.-]", "_", model.name) if isinstance(model, Network) else Path(word)
    places = {form: (out or own) / DEFAULT_OUT[form] for form in formats}
    if out is not None and len(formats) == 1:
        places = {formats[0]: out}
    for form, place in places.items():
        if form in ("mat", "float-mat", TORCHSCRIPT):
            check_file(place)
        elif form != "float-txt":
            check_replaceable(place, TEXT if form == "txt" else ".npy")
    return places


def _write_floats(run: Run, places: dict[str, Path]) -> None:
    """Weights and constants of the trained network, in the formats asked for."""
    from host_train.export.floats import arrays_of, write_floats_mat, write_floats_txt

    arrays = arrays_of(run.float_model()) if places else {}
    for form, place in places.items():
        (write_floats_mat if form == "float-mat" else write_floats_txt)(arrays, place)
        print(f"written: {place}: {len(arrays)} arrays of the trained network in floating point")


def _write_torchscript(run: Run, out: Path) -> None:
    from host_train.export.torchscript import write_torchscript

    write_torchscript(run.float_model(), run.input, run.dataset.spec.classes, out)
    print(f"written: {out}, in floating point, for images normalised with mean {run.mean} and std {run.std}")


def _in_frequency(args: argparse.Namespace, network: Network) -> Network:
    """`network` with its weights in frequency, and what that costs on the test set."""
    from host_train.commands.model import as_taken, find_data
    from host_train.evaluation.evaluate import evaluate, predict_integers
    from host_train.quantisation.golden import with_golden
    from host_train.spectrum.storage import IMAGES, in_frequency

    rate = 4.0 if args.rate is None else args.rate
    if not 0 < rate < float("inf"):
        raise ArgumentError(f"--rate must be a number of bits above 0, not {rate}")
    dataset = find_data(args.model, network, args.dataset, args.data_dir)
    test, classes, _ = as_taken(dataset.test, dataset, network)
    some, _, _ = as_taken(dataset.train[:IMAGES], dataset, network)
    print(f"weights of {network.name} within {rate:g} bits each, headers included:")
    small = in_frequency(network, some.images, rate, say=print)
    before, after = (evaluate(predict_integers(one), test, classes) for one in (network, small))
    agreement = after.agreement(before)
    print(
        f"on the {len(test)} test images of {dataset.spec.title}: {100 * after.top1:.2f} %, as it was"
        f" {100 * before.top1:.2f} %; the same class for {round(agreement * len(test))} of them"
    )
    if after.top1 < before.top1 and agreement < args.min_agreement:
        raise ArgumentError(
            f"within {rate:g} bits a weight it answers as before on only {100 * agreement:.1f} % of them, less than the"
            f" {100 * args.min_agreement:g} % asked for; give more bits (--rate), or take it with --min-agreement 0"
        )
    accuracy = {**network.metadata.get("accuracy", {}), "integer_top1": after.top1, "images": len(test)}
    accuracy |= {"before_storage_top1": before.top1, "agreement_with_it": agreement}
    storage = {"form": "frequency", "rate": rate}
    return with_golden(
        replace(small, metadata={**network.metadata, "storage": storage, "accuracy": accuracy}), test.images
    )


def _quantised(run: Run, how: str, min_agreement: float) -> Network:
    """The run in integers, as does best on the validation images, with what it reaches on the test set."""
    from host_train.quantisation.choose import choose
    from host_train.quantisation.golden import with_golden
    from host_train.runs.quantising import candidates as candidates_of
    from host_train.tracing.compare import compare_with_model
    from host_train.tracing.fidelity import partings_of

    candidates = candidates_of(run, how)
    chosen = choose([one for one in candidates if how in ("auto", one.label)])
    seen = ", also trained on" if run.recipe.whole is not None else ""
    print(f"in integers on the {len(run.validation)} validation images{seen}:")
    for one in candidates:
        print(
            f"  {one.label:11} {100 * one.top1:6.2f} %  loss {one.loss:.4f}{'  <- exported' if one is chosen else ''}"
        )
    model, test = run.float_model(), run.dataset.test
    measured = compare_with_model(chosen.network, model, test)
    measured.check(min_agreement, lambda: partings_of(model, chosen.network, test.images))
    print(f"on the {len(test)} test images of {run.dataset.spec.title}: {measured}")
    return with_golden(replace(chosen.network, metadata=run.metadata(chosen.label, measured.accuracy)), test.images)
