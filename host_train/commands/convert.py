"""`convert`: a network of your own to a model package: from a Python file or an ONNX file, calibrated and
measured on a data set, or from a parameter folder of BNN-PYNQ."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from host_train.commands.options import add_data_dir, add_min_agreement, add_threads, set_threads

if TYPE_CHECKING:
    from torch import nn

    from host_train.data import Dataset
    from pynq_cnn.model import Network

FINE_TUNE_BATCH = 64
KINDS = "softmax, sigmoid (one logit, two classes), independent (probabilities) or values"


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "convert", help="write the model package of a network of your own", description=__doc__
    )
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="FILE:NAME, a Python file and the function or class in it that makes the model; or an ONNX file",
    )
    folder = "instead: a folder of parameters, such as bnn/params/cifar10/cnvW1A1; --dataset is then only to measure on"
    parser.add_argument("--bnn-pynq", type=Path, metavar="FOLDER", help=folder)
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="its weights, from torch.save(model.state_dict(), FILE)"
    )
    parser.add_argument("--dataset", metavar="NAME", help="what it was trained on: mnist, fashion_mnist, cifar10")
    parser.add_argument(
        "--mean", type=float, nargs="+", metavar="M", help="of the normalisation, per channel (default: the data set's)"
    )
    parser.add_argument(
        "--std", type=float, nargs="+", metavar="S", help="of the normalisation, per channel (default: the data set's)"
    )
    output = (
        f"what the outputs say: {KINDS}; default: by a softmax or sigmoid at the end, else softmax of two or more"
        " outputs"
    )
    parser.add_argument("--output", metavar="KIND", help=output)
    classes = (
        "names of the outputs, of sigmoid two, first for a probability near 0 (default: the data set's, where it has as"
        " many)"
    )
    parser.add_argument("--classes", nargs="+", metavar="NAME", help=classes)
    parser.add_argument(
        "--method", default="auto", help="how activations are scaled: auto (default), max, percentile or mse"
    )
    parser.add_argument(
        "--fine-tune",
        type=int,
        default=0,
        metavar="EPOCHS",
        help="train on the integers' grids, on the training images, to answer as the model does (default: 0)",
    )
    parser.add_argument(
        "--shared", action="store_true", help="for pruned and weight-shared models: one scale a layer, encoded weights"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="folder of the package; its name is the network's"
    )
    add_min_agreement(parser)
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run)


# Options that say nothing where all is in the files of BNN-PYNQ, and their defaults.
NEEDLESS = {
    "weights": None,
    "mean": None,
    "std": None,
    "output": None,
    "classes": None,
    "method": "auto",
    "shared": False,
    "fine_tune": 0,
}


def run(args: argparse.Namespace) -> None:
    from pynq_cnn.errors import ArgumentError

    if (args.model is None) == (args.bnn_pynq is None):
        raise ArgumentError(
            "give one of the two: a model, as FILE:NAME or FILE.onnx, or a folder of parameters, as --bnn-pynq FOLDER"
        )
    if args.bnn_pynq is not None:
        _convert_bnn_pynq(args)
    elif args.dataset is None:
        raise ArgumentError("give the data set that the model was trained on, to calibrate with: --dataset NAME")
    else:
        _convert_model(args)


def _convert_bnn_pynq(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from host_train import from_bnn_pynq
    from host_train.data import load_dataset
    from pynq_cnn.errors import ArgumentError
    from pynq_cnn.model import save_package

    given = [f"--{name}" for name, default in NEEDLESS.items() if getattr(args, name) != default]
    if given:
        raise ArgumentError(f"the files of --bnn-pynq say all of the network; remove {', '.join(given)}")
    dataset = load_dataset(args.dataset, args.data_dir) if args.dataset else None
    network = from_bnn_pynq(args.bnn_pynq, name=args.out.name, images=None if dataset is None else dataset.train.images)
    if dataset is not None:
        from host_train.evaluation.evaluate import evaluate, predict_integers
        from host_train.evaluation.match import match_classes

        test, classes, notes = match_classes(dataset.test, dataset.spec.classes, network.classes)
        top1 = evaluate(predict_integers(network), test, classes).top1
        about = {"dataset": dataset.spec.title, "dataset_original": dataset.original}
        accuracy = {"integer_top1": top1, "images": len(test)}
        network = replace(network, metadata={**network.metadata, **about, "accuracy": accuracy})
        for note in notes:
            print(note)
        print(f"on the {len(test)} test images of {dataset.spec.title}: {100 * top1:.2f} %")
    save_package(network, args.out)
    print(f"{network!r}\nwritten: {args.out}")


def _convert_model(args: argparse.Namespace) -> None:
    import warnings
    from dataclasses import replace

    from host_train import from_torch
    from host_train.data import load_dataset
    from host_train.data.dataset import COLORS
    from host_train.tracing.model_file import load_model
    from host_train.tracing.weight_file import load_weights
    from pynq_cnn.errors import ArgumentError
    from pynq_cnn.model import InputSpec, save_package
    from pynq_cnn.table import text_table

    set_threads(args.threads)
    dataset = load_dataset(args.dataset, args.data_dir)
    about = dataset.spec
    if args.model.endswith(".onnx"):
        from host_train.foreign.onnx_file import load_onnx

        if args.weights is not None:
            raise ArgumentError("an ONNX file has its weights; remove --weights")
        model = load_onnx(args.model, (about.shape[2], *about.shape[:2]))
    else:
        model = load_model(args.model)
    if args.weights is not None:
        for note in load_weights(model, args.weights):
            print(note)
    mean, std = (tuple(given or own) for given, own in ((args.mean, about.mean), (args.std, about.std)))
    fit = "digit" if args.dataset == "mnist" else "crop"
    invert = "auto" if about.shape[2] == 1 else "never"  # MNIST and Fashion-MNIST are negatives of what was on white
    spec = InputSpec(*about.shape, COLORS[about.shape[2]], mean, std, fit, invert)
    metadata = {"dataset": about.title, "dataset_original": dataset.original}
    options = {
        "spec": spec,
        "method": args.method,
        "shared": args.shared,
        **_training(args.fine_tune, dataset.train.images),
        "min_agreement": args.min_agreement,
        "output": args.output,
    }
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        network = from_torch(
            model, dataset.train.images, name=args.out.name, metadata=metadata, classes=args.classes, **options
        )
    for warning in told:
        print(f"host_train: {warning.message}", file=sys.stderr)
    if args.classes is None and network.output.kind in ("softmax", "independent"):
        if network.output.outputs == len(about.classes):
            network = replace(network, classes=about.classes)
        elif network.output.kind == "softmax":
            raise ArgumentError(
                f"{args.model} has {network.output.outputs} outputs, but {about.title} has {len(about.classes)}"
                " classes; name its own by --classes, or say by --output what else they are"
            )
    conversion = network.metadata["conversion"]
    print(
        f"on {conversion['images']} training images: {network.output.kind}, agreement of the integers with the model"
        f" {100 * conversion['agreement']:.2f} %, mean error of the logits {100 * conversion['mean_error']:.2f} % of"
        f" their deviation ({conversion['method']})"
    )
    if conversion["signal_to_noise"]:
        print(text_table([("layer", "signal to noise, dB"), *_decibels(conversion["signal_to_noise"])]))
    accuracy, line = _measure(network, model, dataset, args.min_agreement)
    save_package(replace(network, metadata={**network.metadata, "accuracy": accuracy}), args.out)
    print(f"on the {len(dataset.test)} test images of {about.title}: {line}\nwritten: {args.out}")


def _training(epochs: int, images: np.ndarray) -> dict[str, Any]:
    """Options of `from_torch` for so many epochs of fine-tuning on uint8 images [n, height, width, channels]."""
    from pynq_cnn.checks import integer

    if not integer("--fine-tune", epochs, 0):
        return {}
    order = np.random.default_rng(0).permutation(len(images))  # data sets may be sorted by class
    batches = [images[part] for part in np.array_split(order, -(-len(images) // FINE_TUNE_BATCH))]
    return {"fine_tune": batches, "fine_tune_epochs": epochs}


def _decibels(found: dict[str, float]) -> list[tuple[str, str]]:
    """Each layer's signal to noise, for a table."""
    return [(name, f"{decibels:.1f}") for name, decibels in found.items()]


def _measure(
    network: Network, model: nn.Module, dataset: Dataset, min_agreement: float
) -> tuple[dict[str, float], str]:
    """Measures on the test images for the package, and a line for people: accuracy where they have the network's
    classes.
    """
    import torch

    from host_train.evaluation.evaluate import predict_torch
    from host_train.evaluation.match import match_classes
    from host_train.tracing.compare import compare_with_model
    from host_train.tracing.fidelity import Fidelity, check_agreement, partings_of
    from host_train.tracing.trace import trace
    from pynq_cnn.backends.select import on_cpu

    test, spec, kind = dataset.test, network.input, network.output.kind
    layers = trace(model, torch.zeros(2, spec.channels, spec.height, spec.width)).layers
    images = {"images": len(test)}
    if kind == "softmax" and len(network.classes) == len(dataset.spec.classes):
        measured = compare_with_model(network, model, match_classes(test, dataset.spec.classes, network.classes)[0])
        measured.check(min_agreement, lambda: partings_of(layers, network, test.images))
        return {**measured.accuracy, **images}, str(measured)
    real = predict_torch(layers, spec.mean, spec.std)(test.images)
    logits = network.logits(on_cpu(network, threads=torch.get_num_threads()).run(test.images))
    reached = Fidelity.of(logits, real, kind).agreement
    check_agreement(
        reached, min_agreement, f"the {len(test)} test images", kind, lambda: partings_of(layers, network, test.images)
    )
    return {"agreement": reached, **images}, f"agreement of the integers with the model {100 * reached:.2f} %"
