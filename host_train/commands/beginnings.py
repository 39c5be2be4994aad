"""`beginnings`: what the beginning of the weights does to networks: the spread of the logits and the gradient of the
first layer before any step, and the loss over some steps of training.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from host_train.commands.options import add_data_dir, add_threads, set_threads


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("beginnings", help="what the beginning of the weights does", description=__doc__)
    parser.add_argument("networks", nargs="+", metavar="NETWORK", help="their names, such as nin_plain nin")
    parser.add_argument("--steps", type=int, default=100, metavar="N", help="of training (default: 100)")
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="images in a step (default: 32)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, metavar="RATE", help="(default: 0.001)")
    parser.add_argument("--size", type=int, metavar="PIXELS", help="side of the input, instead of the recipe's")
    parser.add_argument("--seed", type=int, default=0, help="of the weights (default: 0)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON with the loss of every step")
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from dataclasses import asdict

    import torch

    from host_train.data import load_dataset
    from host_train.data.resize import resize_split
    from host_train.files import write_text
    from host_train.networks.beginnings import begin, to_markdown
    from host_train.networks.initial import INITIAL
    from host_train.settings import Settings
    from host_train.training.tensors import TensorData
    from pynq_cnn.errors import ArgumentError

    set_threads(args.threads)
    for name in ("steps", "batch"):
        if getattr(args, name) < 1:
            raise ArgumentError(f"--{name} must be at least 1, not {getattr(args, name)}")
    found = []
    for network in args.networks:
        for initial in (None, *INITIAL):
            recipe = Settings(network, args.seed, size=args.size, initial=initial).resolve()
            dataset = load_dataset(recipe.dataset, args.data_dir)
            needed = args.steps * args.batch
            if needed > len(dataset.train):
                raise ArgumentError(
                    f"{args.steps} steps of {args.batch} images are more than the {len(dataset.train)} training images"
                    f" of {dataset.spec.title}, each of which is seen once; lower --steps or --batch"
                )
            some = dataset.train[:needed]
            split = resize_split(some, *recipe.size) if recipe.size is not None else some
            spec = dataset.spec
            data = TensorData.of(split, recipe.mean or spec.mean, recipe.std or spec.std)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(args.seed)
                model = recipe.build()
                rate = args.learning_rate
                found.append(begin(model, network, initial or "default", data.batches(args.batch), rate))
    if args.out is not None:
        write_text(args.out, json.dumps([asdict(one) for one in found]))
    tenth = max(1, args.steps // 10)
    print(f"{args.steps} steps of {args.batch} images by AdamW at {args.learning_rate:g}, seed {args.seed}; losses are")
    print(f"means over the first and the last {f'{tenth} steps' if tenth > 1 else 'step'}\n\n{to_markdown(found)}")
