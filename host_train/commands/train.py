"""`train`: train a network by its recipe, with all trainings that it is of, and evaluate it on the test set."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from host_train.commands.options import (
    add_beginning,
    add_data_dir,
    add_device,
    add_threads,
    find_device,
    say_aside,
    set_threads,
)
from pynq_cnn.table import text_table

if TYPE_CHECKING:
    from host_train.networks import Recipe
    from host_train.runs.run import Run
    from host_train.training.processes import Processes
    from host_train.training.record import EpochRecord


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("train", help="train a network", description=__doc__)
    parser.add_argument("network", help="its name; 'networks' lists them")
    data = (
        "pictures of your own instead of the network's data set: a folder with a folder of pictures for each class, or"
        " with train, val and test that hold such ones; or torchvision:NAME, one of its data sets"
    )
    parser.add_argument("--data", metavar="FOLDER", help=data)
    fit = (
        "how --data's pictures become the network's input: crop cuts the middle and scales it, digit finds one stroke"
        " on a grey picture (default: crop)"
    )
    parser.add_argument("--fit", metavar="HOW", help=fit)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the run's files go (default: runs/NETWORK)")
    add_beginning(parser, "run")
    parser.add_argument("--seed", type=int, default=0, help="determines everything random (default: 0)")
    parser.add_argument("--epochs", type=int, metavar="N", help="instead of the recipe's")
    parser.add_argument("--batch", type=int, metavar="N", help="instead of the recipe's")
    parser.add_argument("--learning-rate", type=float, metavar="RATE", help="instead of the recipe's")
    qat = (
        "of quantisation-aware training; 0 for none (default: the recipe's, in proportion where --epochs says another"
        " number)"
    )
    parser.add_argument("--qat-epochs", type=int, metavar="N", help=qat)
    parser.add_argument(
        "--stochastic",
        action="store_true",
        help="of a binary network: draw the binary weights at random while training",
    )
    parser.add_argument("--size", type=int, metavar="PIXELS", help="side of the input, instead of the recipe's")
    initial = "how weights begin: xavier, kaiming or normal (default: as PyTorch has it)"
    parser.add_argument("--initial", metavar="HOW", help=initial)
    teacher = (
        "of a network that learns from another: the folder of a run of that one, trained with the same seed (default:"
        " it is trained first, in OUT/teacher)"
    )
    parser.add_argument("--teacher", metavar="RUN", help=teacher)
    add_device(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no line per epoch")
    log = "write every epoch to a CSV file, from which other programs draw"
    parser.add_argument("--csv", type=Path, metavar="FILE", help=log)
    board = "write every epoch for TensorBoard, if it is installed (tensorboard --logdir FOLDER)"
    parser.add_argument("--tensorboard", type=Path, metavar="FOLDER", help=board)
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run, together=True)


def run(args: argparse.Namespace) -> None:
    from host_train.training.processes import together

    set_threads(args.threads)
    with together(find_device(args.device)) as (processes, device):
        if processes.first:
            _train(args, processes, device)
        else:  # the first speaks for all
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
                _train(args, processes, device)


def _train(args: argparse.Namespace, processes: Processes, device: str) -> None:
    from host_train.evaluation.evaluate import evaluate, predict_torch
    from host_train.evaluation.plot import plot_confusion
    from host_train.files import write_text
    from host_train.runs.record import RUN
    from host_train.runs.run import Run
    from host_train.runs.training import train
    from host_train.settings import Settings

    settings = Settings(
        args.network,
        args.seed,
        args.epochs,
        args.batch,
        args.learning_rate,
        args.qat_epochs,
        args.threads,
        args.stochastic,
        args.size,
        args.initial,
        args.teacher,
        args.data,
        args.fit,
        processes.count,
    )
    recipe, folder = settings.resolve(), args.out or Path("runs") / args.network
    processes.share(recipe.schedule.batch)  # before data are read
    if processes.first:
        if args.force:
            say_aside(folder, RUN)
        run = Run.create(folder, settings, args.data_dir)
    processes.wait()
    if not processes.first:
        run = Run.create(folder, settings, args.data_dir)
    print(settings.command())
    print(plan(recipe))
    images = f"{len(run.train)} images to train on, {len(run.validation)} held back"
    several = f", {processes.count} processes" if processes.count > 1 else ""
    print(f"{run.dataset.spec.title} from {run.dataset.source}: {images}; on {device}{several}")
    if settings.pictures is not None:
        print(own_pictures(run))
    report = told(args, folder) if processes.first else None
    train(run, resume=args.resume, device=device, progress=not args.quiet, report=report, processes=processes)
    if not processes.first:
        return
    spec = run.dataset.spec
    predict = predict_torch(run.float_model(), run.mean, run.std, device, title="test set", progress=not args.quiet)
    result = evaluate(predict, run.dataset.test, spec.classes)
    write_text(run.folder / "evaluation.json", json.dumps(result.to_json(), indent=1))
    plot_confusion(result, run.folder / "confusion.png", f"{run.recipe.name}, float32, {spec.title} test set")
    print(f"\nfloat32 on the test set of {spec.title}: {result}\n")
    print(f"Everything is in {run.folder}. Next: python -m host_train export {run.folder}")


def told(args: argparse.Namespace, folder: Path) -> Callable[[str, int, EpochRecord], None]:
    """The report after every epoch: a line, and the files that were asked for; these are begun at once."""
    from host_train.files import check_file
    from host_train.runs.logs import TensorBoard, write_epochs

    if args.csv:
        check_file(args.csv)
    board = TensorBoard(folder, args.tensorboard) if args.tensorboard else None

    def report(stage: str, epochs: int, record: EpochRecord) -> None:
        if not args.quiet:
            print_epoch(stage, epochs, record)
        update()

    def update() -> None:
        if args.csv:
            write_epochs(folder, args.csv)
        if board is not None:
            board.update()

    update()
    return report


def plan(recipe: Recipe) -> str:
    """The trainings of a recipe, in order, for the log."""
    taught = f"taught by {recipe.teacher}: " if recipe.teacher is not None else ""
    start = f"{recipe.start.epochs} epochs with real weights, then " if recipe.start is not None else ""
    whole = f", then {recipe.whole.epochs} on all images" if recipe.whole is not None else ""
    quantised = f", then {recipe.qat.epochs} quantisation-aware" if recipe.qat is not None else ""
    return f"{taught}{start}{recipe.schedule.epochs} epochs in floating point{whole}{quantised}"


def own_pictures(run: Run) -> str:
    """Lines on a run's own pictures: how many of each class, how they are fitted, and what to know about them."""
    dataset, frame = run.dataset, run.input
    parts = (run.train, run.validation, dataset.test)
    counts = [np.bincount(part.labels, minlength=len(dataset.spec.classes)) for part in parts]
    rows = [("class", "to train on", "held back", "for testing")]
    rows += [(name, *map(str, some)) for name, *some in zip(dataset.spec.classes, *counts)]
    fitted = f"each {frame.width} x {frame.height} {frame.color} by {frame.fit!r}, as in classifying"
    return "\n".join([text_table(rows), fitted, *(f"note: {note}" for note in dataset.notes)])


def print_epoch(stage: str, epochs: int, record: EpochRecord) -> None:
    """A line for an epoch of `epochs`, for the log."""
    took = f"  {record.seconds:.1f} s" if record.seconds is not None else ""
    if record.validation_accuracy is None:
        measured = f"accuracy in training {100 * record.train_accuracy:6.2f} %{took}"
    else:
        best = "  best so far" if record.best else ""
        measured = (
            f"validation loss {record.validation_loss:.4f}  accuracy {100 * record.validation_accuracy:6.2f}"
            f" %{took}{best}"
        )
    print(f"{stage:5} epoch {record.epoch:4}/{epochs}  loss {record.train_loss:.4f}  {measured}", flush=True)
