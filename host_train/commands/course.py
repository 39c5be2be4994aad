"""`course`: a run in the files of the deep learning on FPGA course that `lenet` is from: model.pt (the weights),
traced_model.pt (TorchScript), log.txt (a line of losses an epoch) and confusion.png; with --theirs the course's
confusion matrix, or another, beside the run's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from host_train.commands.options import add_data_dir, add_threads, set_threads


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("course", help="a run in the files of the course", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="RUN", help="folder of the run, such as runs/lenet")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where files go (default: RUN/course)")
    theirs = "text file with another confusion matrix: a line a class, the counts separated by commas or blanks"
    parser.add_argument("--theirs", type=Path, metavar="FILE", help=theirs)
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    import torch

    from host_train.evaluation.beside import plot_two, read_confusion
    from host_train.evaluation.evaluate import evaluate, predict_torch
    from host_train.evaluation.plot import plot_confusion
    from host_train.export.torchscript import write_torchscript
    from host_train.files import replace_file, write_text
    from host_train.runs.beside import read_training
    from host_train.runs.run import Run

    set_threads(args.threads)
    trained, out = Run.open(args.folder, args.data_dir), args.out or args.folder / "course"
    spec = trained.dataset.spec
    theirs = None if args.theirs is None else read_confusion(args.theirs, len(spec.classes))
    history = read_training(args.folder).history
    model = trained.float_model()
    replace_file(out / "model.pt", lambda place: torch.save(model.state_dict(), place))
    write_torchscript(model, trained.input, spec.classes, out / "traced_model.pt")
    lines = [
        f"Epoch {one['epoch']}/{len(history)}, train loss: {one['train_loss']:.4f}, train accuracy:"
        f" {100 * one['train_accuracy']:.2f} %, validation loss: {one['validation_loss']:.4f}, validation accuracy:"
        f" {100 * one['validation_accuracy']:.2f} %"
        for one in history
    ]
    result = evaluate(predict_torch(model, trained.mean, trained.std), trained.dataset.test, spec.classes)
    lines.append(f"Test loss: {result.loss:.4f}, test accuracy: {100 * result.top1:.2f} %")
    write_text(out / "log.txt", "\n".join(lines))
    title = f"{trained.recipe.name}, float32"
    if theirs is None:
        plot_confusion(result, out / "confusion.png", title)
    else:
        plot_two(result, theirs, out / "confusion.png", (title, args.theirs.stem))
    print("\n".join(lines))
    print(f"written: {out}: model.pt, traced_model.pt, log.txt, confusion.png")
