"""`evaluate`: measure a trained run in floating point, or a model package in integers: accuracy, per class,
confusion matrix, loss, time; over a data set, or over a folder of image files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from host_train.commands.model import WHAT, find_data, find_model
from host_train.commands.options import add_data_dir, add_device, add_threads, find_device, set_threads


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("evaluate", help="measure a run or a model package", description=__doc__)
    parser.add_argument("model", help=WHAT)
    parser.add_argument("--split", choices=("test", "train"), help="part of the data set (default: test)")
    parser.add_argument("--dataset", metavar="NAME", help="the data set, where the package does not say it")
    images = (
        "instead of a data set: image files named like 00042_7.png or 7_00042.png, or in folders named by their class"
    )
    parser.add_argument("--images", type=Path, metavar="FOLDER", help=images)
    naming = (
        "where the labels of --images are: folders, index_label or label_index (default: auto, which the names decide)"
    )
    parser.add_argument("--naming", metavar="HOW", help=naming)
    parser.add_argument(
        "--wrong", type=Path, metavar="FILE", help="write a list of the images that were mistaken, such as wrong.csv"
    )
    sheet = "write a picture of the mistaken images, each with what it is and what it was taken for, such as wrong.png"
    parser.add_argument("--sheet", type=Path, metavar="FILE", help=sheet)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="write a picture of the confusion matrix, such as confusion.png"
    )
    add_device(parser)
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from host_train.data import Dataset
    from host_train.data.resize import resize_split
    from host_train.evaluation.evaluate import evaluate, predict_integers, predict_torch
    from host_train.evaluation.folder import read_folder
    from host_train.evaluation.labels import NAMINGS
    from host_train.evaluation.match import match_classes, match_colours
    from host_train.evaluation.plot import check_picture, plot_confusion
    from host_train.evaluation.sheet import write_sheet
    from host_train.evaluation.wrong import write_wrong
    from host_train.files import check_file
    from pynq_cnn.errors import ArgumentError
    from pynq_cnn.model import Network

    set_threads(args.threads)
    device = find_device(args.device)  # of a run; integers are computed by NumPy
    for picture in (args.plot, args.sheet):
        if picture:
            check_picture(picture)
    if args.wrong:
        check_file(args.wrong)
    if args.images and (args.split or args.dataset):
        raise ArgumentError("--images takes the place of a data set; remove --split and --dataset")
    if args.naming and not args.images:
        raise ArgumentError(f"--naming {args.naming} is of the files of --images; give their folder")
    part = args.split or "test"
    dataset: Dataset | None = None
    notes: list[str] = []
    model = find_model(args.model, args.data_dir)
    if isinstance(model, Network):
        spec, classes, what = model.input, model.classes, f"{model.name}, integers"
        predict = predict_integers(model, title=what)
        if not args.images:
            title = model.metadata.get("dataset")
            dataset = find_data(args.model, model, args.dataset, args.data_dir)
            if title and title != dataset.spec.title:
                notes.append(f"the package says that its data set is {title!r}, not {dataset.spec.title!r}")
    else:
        if args.dataset:
            raise ArgumentError(
                f"{args.model} is a run, which is evaluated on its own data set; remove --dataset {args.dataset}"
            )
        dataset, spec, classes, what = (
            model.dataset,
            model.input,
            model.dataset.spec.classes,
            f"{model.recipe.name}, float32",
        )
        predict = predict_torch(model.float_model(), model.mean, model.std, device, title=what)
    about: dict[str, str | bool] = {"model": what}
    if args.images:
        files = read_folder(args.images, spec, classes, args.naming or "auto")
        split, names = files.split, [str(path) for path in files.files]
        shown = [path.relative_to(args.images).as_posix() for path in files.files]
        where = (
            f"images in {args.images}, whose {NAMINGS[files.naming]} ({files.naming}):"
            f" {files.files[0].relative_to(args.images)} is "
        )
        where += classes[split.labels[0]]
        notes += files.notes
        about |= {"folder": str(args.images), "naming": files.naming}
    else:
        assert dataset is not None
        split, where = (
            resize_split(getattr(dataset, part), spec.height, spec.width),
            f"{part} set of {dataset.spec.title}",
        )
        split, classes, named = match_classes(match_colours(split, spec), dataset.spec.classes, classes)
        names = list(dataset.names.get(part, ())) or [str(number) for number in range(len(split))]
        shown = names
        notes += named
        about |= {"dataset": dataset.spec.title, "split": part, "original": dataset.original}
    note = "; ".join(notes)
    result = evaluate(predict, split, classes)
    milliseconds = 1000 * result.seconds / result.images
    if args.plot:
        plot_confusion(result, args.plot, f"{what}, {where}")
    if args.sheet:
        write_sheet(result, split, shown, args.sheet, f"{what}, {where}", spec.color)
    wrong = write_wrong(result, split.labels, names, args.wrong) if args.wrong else 0
    if args.json:
        told = {**about, **({"note": note} if note else {}), **result.to_json(), "seconds": result.seconds}
        print(json.dumps({**told, "milliseconds_per_image": milliseconds}))
        return
    print(f"{what}, {where}{f' ({note})' if note else ''}\n{result}\n")
    print(f"{result.seconds:.2f} s, {milliseconds:.3g} ms an image")
    if args.wrong:
        print(f"{wrong} mistaken images: {args.wrong}")
    if args.sheet:
        print(f"pictures of them: {args.sheet}")
