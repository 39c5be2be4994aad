"""`export`: put a trained run in integers and write its model package, or the same as .mat or text; or the float model as TorchScript.

The ways to quantise to int8 (calibration without further training, by three methods, and quantisation-aware training) are compared on the
validation images; the best is exported, and only then measured on the test set. A binary network has one way, which is exact.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from host_train.commands.options import add_data_dir, add_min_agreement, add_threads, set_threads

DEFAULT_OUT = {"npy": "package", "mat": "network.mat", "txt": "txt", "torchscript": "model.pt"}


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("export", help="put a run in integers and write its model package", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="RUN", help="folder of the run, such as runs/lenet")
    parser.add_argument("--format", choices=DEFAULT_OUT, default="npy", help="npy: a model package (default); or for other tools")
    places = ", ".join(DEFAULT_OUT.values())
    parser.add_argument("--out", type=Path, metavar="PATH", help=f"what to write (default, by format: {places} in RUN)")
    how = "max, percentile, mse or qat (default: auto, the best of them on the validation images)"
    parser.add_argument("--quantise", default="auto", metavar="HOW", help=how)
    add_min_agreement(parser)
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from host_train.evaluation.compare import compare
    from host_train.export.containers import TEXT, write_checked
    from host_train.export.torchscript import write_torchscript
    from host_train.quantisation.choose import choose
    from host_train.quantisation.golden import with_golden
    from host_train.run import Run
    from host_train.tracing.fidelity import check_min_agreement, partings_of
    from host_train.training.checkpoint import check_file
    from pynq_cnn.errors import ArgumentError
    from pynq_cnn.model.package.folder import check_replaceable

    set_threads(args.threads)
    check_min_agreement(args.min_agreement)
    out = args.out or args.folder / DEFAULT_OUT[args.format]
    # Before minutes of measuring.
    if args.format in ("mat", "torchscript"):
        check_file(out)
    else:
        check_replaceable(out, TEXT if args.format == "txt" else ".npy")
    run = Run.open(args.folder, args.data_dir)
    if args.format == "torchscript":
        if args.quantise != "auto":
            raise ArgumentError(f"TorchScript is of the model in floating point; leave --quantise {args.quantise} away")
        write_torchscript(run.float_model(), run.input, run.dataset.spec.classes, out)
        print(f"written: {out}, in floating point, for images normalised with mean {run.mean} and std {run.std}")
        return
    candidates = run.candidates(args.quantise)
    chosen = choose([one for one in candidates if args.quantise in ("auto", one.label)])
    print(f"in integers on the {len(run.validation)} validation images:")
    for one in candidates:
        print(f"  {one.label:11} {100 * one.top1:6.2f} %  loss {one.loss:.4f}{'  <- exported' if one is chosen else ''}")
    spec, test = run.dataset.spec, run.dataset.test
    model = run.float_model()
    measured = compare(chosen.network, model, test)
    measured.check(args.min_agreement, lambda: partings_of(model, chosen.network, test.images))
    metadata = run.metadata(chosen.label, measured.accuracy)
    network = with_golden(replace(chosen.network, metadata=metadata), test.images)
    write_checked(network, out, args.format)
    print(f"on the {len(test)} test images of {spec.title}: {measured}\nwritten: {out}")
