"""`huffman`: quantise the shared weights of a run and Huffman-code them into a package.

Prints and writes the table of what each step saved.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from host_train.commands.compression import add_places, make_compression
from host_train.commands.options import add_data_dir, add_min_agreement, add_threads

if TYPE_CHECKING:
    from torch import nn

    from host_train.compression.pipeline import Compression


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "huffman", help="code the shared weights of a run, and write its package", description=__doc__
    )
    add_places(parser)
    add_min_agreement(parser)
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from host_train.tracing.fidelity import check_min_agreement

    check_min_agreement(args.min_agreement)
    compression = make_compression(args, after="share")
    write(compression, compression.shared(), " && ".join(compression.commands()), args.min_agreement)


def write(compression: Compression, shared: nn.Sequential, command: str, min_agreement: float) -> None:
    """Quantise, encode and measure the shared network; write its package and the table.

    Parameters
    ----------
    compression : Compression
        Of the run.
    shared : torch.nn.Sequential
        From its stage `share`.
    command : str
        The command that makes it again, from the trained run.
    min_agreement : float
        Least agreement of the integers with the shared network.
    """
    from host_train.compression.dense import dense_model, layer_sizes
    from host_train.compression.pipeline import PACKAGE
    from host_train.compression.share import unshared
    from host_train.compression.table import compression_table, folder_line, to_json, to_markdown
    from host_train.evaluation.evaluate import evaluate, predict_torch
    from host_train.export.formats import write_checked
    from host_train.files import write_text
    from host_train.quantisation.golden import with_golden
    from host_train.tracing.compare import compare_with_model
    from host_train.tracing.fidelity import partings_of

    trained, recipe = compression.run, compression.recipe
    chosen = compression.quantise(shared)
    spec, test = trained.dataset.spec, trained.dataset.test
    progress = compression.progress
    dense = evaluate(
        predict_torch(trained.float_model(), trained.mean, trained.std, progress=progress), test, spec.classes
    )
    plain = unshared(shared)
    measured = compare_with_model(chosen.network, plain, test, progress)
    measured.check(min_agreement, lambda: partings_of(plain, chosen.network, test.images))
    accuracy = {
        "float32_top1": dense.top1,  # before pruning; the integers agree with what came out of `share`
        "shared_top1": measured.real.top1,
        "integer_top1": measured.integer.top1,
        "validation_top1": chosen.top1,  # in integers on the images held back, which a choice may be made by
        "agreement": measured.agreement,
    }
    kept = {"keep": dict(recipe.keep), "bits": dict(recipe.bits)}
    if recipe.units:
        kept = {"units": dict(recipe.units), **kept}
    metadata = trained.metadata(f"shared, {chosen.label}", accuracy, after=command, compression=kept)
    network = with_golden(replace(chosen.network, metadata=metadata), test.images)
    out = compression.folder / PACKAGE
    write_checked(network, out)
    rows = compression_table(network, out, layer_sizes(dense_model(trained)))
    table = to_markdown(rows)
    last = rows[-1]
    lines = [
        (
            f"On the {len(test)} test images of {spec.title}: float32 {100 * accuracy['float32_top1']:.2f} %, pruned"
            f" and shared {100 * accuracy['shared_top1']:.2f} %, in integers {100 * accuracy['integer_top1']:.2f} %."
        ),
        (
            f"{last.dense:,} bytes of float32 weights and biases in a package of {last.stored:,}:"
            f" {last.dense / last.stored:.1f}x."
        ),
        folder_line(last, out),
    ]
    stored = {"command": command, "accuracy": metadata["accuracy"], "layers": to_json(rows)}
    write_text(compression.folder / "table.json", json.dumps(stored, indent=1))
    write_text(compression.folder / "table.md", "\n".join([f"`{command}`", "", table, "", *lines]))
    print("\n".join([table, "", *lines, f"written: {out}"]))
    lost = accuracy["float32_top1"] - accuracy["integer_top1"]
    if lost > 1 - min_agreement:
        advice = "keep more (--keep), share less (--bits) or fine-tune longer (--tune-epochs, --share-epochs)"
        print(f"host_train: {100 * lost:.2f} points of accuracy are lost to compression; {advice}", file=sys.stderr)
