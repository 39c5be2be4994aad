"""`evaluate`: measure a trained run in floating point, or a model package in integers: accuracy, per class,
confusion matrix, loss; over a data set, or over a folder of image files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from host_train.commands.options import add_data_dir, add_device, add_threads, find_device, set_threads


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("evaluate", help="measure a run or a model package", description=__doc__)
    parser.add_argument("model", help="folder of a run or of a model package, or the name of a shipped model")
    parser.add_argument("--split", choices=("test", "train"), help="part of the data set (default: test)")
    parser.add_argument("--dataset", metavar="NAME", help="the data set, where the package does not say it")
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="instead of a data set: image files named like 00042_7.png or 00042_ankle-boot.png, with the class behind the last underscore",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a picture of the confusion matrix, such as confusion.png")
    add_device(parser)
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from host_train.data import DATASETS, Dataset, load_dataset
    from host_train.data.resize import resize_split
    from host_train.evaluation.evaluate import evaluate, predict_integers, predict_torch
    from host_train.evaluation.folder import read_folder
    from host_train.evaluation.match import match_classes, match_colours
    from host_train.evaluation.plot import check_picture, plot_confusion
    from host_train.run import RUN, Run
    from pynq_cnn.errors import ArgumentError
    from pynq_cnn.zoo import load_model

    set_threads(args.threads)
    device = find_device(args.device)  # of a run; integers are computed by NumPy
    if args.plot:
        check_picture(args.plot)
    if args.images and (args.split or args.dataset):
        raise ArgumentError("--images takes the place of a data set; leave --split and --dataset away")
    folder, part = Path(args.model), args.split or "test"
    dataset: Dataset | None = None
    notes: list[str] = []
    if (folder / RUN).is_file():
        if args.dataset:
            raise ArgumentError(f"{folder} is a run, which is evaluated on its own data set; leave --dataset {args.dataset} away")
        trained = Run.open(folder, args.data_dir)
        dataset, spec, classes = trained.dataset, trained.input, trained.dataset.spec.classes
        predict, what = predict_torch(trained.float_model(), trained.mean, trained.std, device), f"{trained.recipe.name}, float32"
    else:
        network = load_model(args.model)
        spec, classes = network.input, network.classes
        predict, what = predict_integers(network), f"{network.name}, integers"
        if not args.images:
            title = network.metadata.get("dataset")
            name = args.dataset or next((name for name, entry in DATASETS.items() if entry.spec.title == title), None)
            if name is None:
                raise ArgumentError(f"{args.model} says that its data set is {title!r}; name one of {', '.join(DATASETS)} by --dataset")
            dataset = load_dataset(name, args.data_dir)
            if title and title != dataset.spec.title:
                notes.append(f"the package says that its data set is {title!r}, not {dataset.spec.title!r}")
    if args.images:
        split, where = read_folder(args.images, spec, classes), f"images in {args.images}"
        about: dict[str, str | bool] = {"model": what, "folder": str(args.images)}
    else:
        assert dataset is not None
        split, where = resize_split(getattr(dataset, part), spec.height, spec.width), f"{part} set of {dataset.spec.title}"
        split, classes, named = match_classes(match_colours(split, spec), dataset.spec.classes, classes)
        notes += named
        about = {"model": what, "dataset": dataset.spec.title, "split": part, "original": dataset.original}
    note = "; ".join(notes)
    result = evaluate(predict, split, classes)
    if args.plot:
        plot_confusion(result, args.plot, f"{what}, {where}")
    if args.json:
        print(json.dumps({**about, **({"note": note} if note else {}), **result.to_json()}))
    else:
        print(f"{what}, {where}{f' ({note})' if note else ''}\n{result}")
