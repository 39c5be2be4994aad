"""`convert`: a model of your own, from a Python file, to a model package; calibrated and measured on a data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from host_train.commands.options import add_data_dir, add_threads, set_threads


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("convert", help="write the model package of a PyTorch model of your own", description=__doc__)
    parser.add_argument("model", metavar="FILE:NAME", help="a Python file and the function or class in it that makes the model")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="its weights, from torch.save(model.state_dict(), FILE)")
    parser.add_argument("--dataset", required=True, metavar="NAME", help="what it was trained on: mnist, fashion_mnist, cifar10")
    parser.add_argument("--mean", type=float, nargs="+", metavar="M", help="of the normalisation, per channel (default: the data set's)")
    parser.add_argument("--std", type=float, nargs="+", metavar="S", help="of the normalisation, per channel (default: the data set's)")
    parser.add_argument("--method", default="auto", help="how activations are scaled: auto (default), max, percentile or mse")
    parser.add_argument("--shared", action="store_true", help="for pruned and weight-shared models: one scale a layer, encoded weights")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder of the package; its name is the network's")
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from host_train import from_torch
    from host_train.data import load_dataset
    from host_train.data.dataset import COLORS
    from host_train.evaluation.compare import compare
    from host_train.tracing.files import load_model, load_weights
    from pynq_cnn.model import InputSpec, save_package

    set_threads(args.threads)
    model = load_model(args.model)
    if args.weights is not None:
        for note in load_weights(model, args.weights):
            print(note)
    dataset = load_dataset(args.dataset, args.data_dir)
    about, test = dataset.spec, dataset.test
    mean, std = (tuple(given or own) for given, own in ((args.mean, about.mean), (args.std, about.std)))
    fit, invert = ("digit", "auto") if args.dataset == "mnist" else ("crop", "never")
    spec = InputSpec(*about.shape, COLORS[about.shape[2]], mean, std, fit, invert)
    metadata = {"dataset": about.title, "dataset_original": dataset.original}
    options = {"spec": spec, "classes": about.classes, "method": args.method, "shared": args.shared}
    network = from_torch(model, dataset.train.images, name=args.out.name, metadata=metadata, **options)
    conversion = network.metadata["conversion"]
    print(
        f"on {conversion['images']} training images: the integers choose the model's class for {100 * conversion['agreement']:.2f} %, mean "
        f"error of the logits {100 * conversion['mean_error']:.2f} % of their deviation ({conversion['method']})"
    )
    measured = compare(network, model, test)
    accuracy = {**measured.accuracy, "images": len(test)}
    save_package(replace(network, metadata={**network.metadata, "accuracy": accuracy}), args.out)
    print(f"on the {len(test)} test images of {about.title}: {measured}\nwritten: {args.out}")
