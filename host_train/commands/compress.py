"""`compress`: Deep Compression of a trained run: prune, fine-tune, share weights, fine-tune them, quantise, Huffman-code into a package.

Prints and writes the table of what each step saves.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

from host_train.commands.prune import add_options, make_compression


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("compress", help="prune, share and code the weights of a run, and write its package", description=__doc__)
    add_options(parser)
    target = "scale what the recipe keeps, so that the package's files are RATIO times smaller than float32 weights and biases"
    parser.add_argument("--target", type=float, metavar="RATIO", help=target)
    bits = "width of a layer's codebook index, or that of all layers not named, such as fc1=3 4; instead of the recipe's"
    parser.add_argument("--bits", nargs="+", metavar="[LAYER=]N", help=bits)
    parser.add_argument("--share-epochs", type=int, metavar="N", help="of fine-tuning shared weights, instead of the recipe's")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    import torch

    from host_train.compression.share import unshared
    from host_train.compression.table import compression_table, to_json, to_markdown
    from host_train.evaluation.evaluate import evaluate, predict_integers, predict_torch
    from host_train.quantisation.golden import with_golden
    from host_train.training.checkpoint import write_text
    from pynq_cnn.errors import ArgumentError
    from pynq_cnn.model import load_package, save_package

    compression = make_compression(args)
    trained, recipe, command = compression.run, compression.recipe, _command(args, compression.run.recipe.name)
    compression.prune(args.resume)
    shared = compression.share(args.resume)
    chosen = compression.quantise(shared)
    spec, test = trained.dataset.spec, trained.dataset.test
    accuracy = {}
    for name, predict in (
        ("float32_top1", predict_torch(trained.float_model(), trained.mean, trained.std)),
        ("shared_top1", predict_torch(unshared(shared), trained.mean, trained.std)),
        ("int8_top1", predict_integers(chosen.network)),
    ):
        accuracy[name] = evaluate(predict, test, spec.classes).top1
    metadata = {
        "dataset": spec.title,
        "dataset_original": trained.dataset.original,
        "recipe": f"{trained.settings.command()} && {command}",
        "quantisation": f"shared, {chosen.label}",
        "seed": trained.settings.seed,
        "torch": torch.__version__,
        "parameters": sum(p.numel() for p in trained.float_model().parameters()),
        "compression": {"keep": dict(recipe.keep), "bits": dict(recipe.bits)},
        "accuracy": {**accuracy, "images": len(test)},
    }
    network = with_golden(replace(chosen.network, metadata=metadata), test.images)
    out = compression.folder / "package"
    save_package(network, out)
    if load_package(out) != network:
        raise ArgumentError(f"{out} does not read back as it was written; is the disk full?")
    rows = compression_table(network, out)
    table = to_markdown(rows)
    last = rows[-1]
    lines = [
        f"On the {len(test)} test images of {spec.title}: float32 {100 * accuracy['float32_top1']:.2f} %, pruned and shared "
        f"{100 * accuracy['shared_top1']:.2f} %, in integers {100 * accuracy['int8_top1']:.2f} %.",
        f"{last.dense:,} bytes of float32 weights and biases in a package of {last.stored:,}: {last.dense / last.stored:.1f}x.",
    ]
    stored = {"command": command, "accuracy": metadata["accuracy"], "layers": to_json(rows)}
    write_text(compression.folder / "table.json", json.dumps(stored, indent=1))
    write_text(compression.folder / "table.md", "\n".join([f"`{command}`", "", table, "", *lines]))
    print("\n".join([table, "", *lines, f"written: {out}"]))


def _command(args: argparse.Namespace, network: str) -> str:
    """The command line that does it again; the run is named as `train` names it."""
    words = [f"python -m host_train compress runs/{network}"]
    for name in ("keep", "bits"):
        if getattr(args, name):
            words.append(f"--{name} {' '.join(getattr(args, name))}")
    for name in ("threshold", "target", "rounds", "round_epochs", "tune_epochs", "learning_rate", "share_epochs", "threads"):
        if getattr(args, name) is not None:
            words.append(f"--{name.replace('_', '-')} {getattr(args, name):g}")
    return " ".join(words)
