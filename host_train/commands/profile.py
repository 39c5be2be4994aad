"""`profile`: parameters, multiply-accumulates and memory of the activations, layer by layer; several networks are
compared. With --training, memory and speed of a step of training too.
"""

from __future__ import annotations

import argparse
import json

from host_train.commands.options import add_device, add_threads, find_device, set_threads


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("profile", help="what networks cost, layer by layer", description=__doc__)
    parser.add_argument(
        "networks",
        nargs="+",
        metavar="NETWORK",
        help="its name; 'networks' lists them. For example: profile nin_one nin --size 224 --training",
    )
    parser.add_argument("--size", type=int, metavar="PIXELS", help="side of the input, instead of the recipe's")
    parser.add_argument("--training", action="store_true", help="measure steps of training, which takes a while")
    parser.add_argument("--batch", type=int, metavar="N", help="images in a step of --training (default: the recipe's)")
    parser.add_argument("--json", action="store_true", help="print JSON: a list, one object a network")
    add_device(parser)
    add_threads(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from host_train.data import find_entry
    from host_train.networks.profile import comparison, profile
    from host_train.networks.step import compare_steps, step_cost
    from host_train.settings import Settings
    from pynq_cnn.errors import ArgumentError

    set_threads(args.threads)
    if args.batch is not None and not args.training:
        raise ArgumentError(f"--batch {args.batch} is of --training; give that too")
    device = find_device(args.device) if args.training else "cpu"
    profiles, steps = [], []
    for name in args.networks:
        recipe = Settings(name, size=args.size).resolve()
        height, width, channels = find_entry(recipe.dataset).spec.shape
        shape = (channels, *(recipe.size or (height, width)))
        profiles.append(profile(recipe.build(), name, shape))
        if args.training:
            batch = recipe.schedule.batch if args.batch is None else args.batch
            steps.append(step_cost(recipe.build(), name, shape, batch, device))
    if args.json:
        told = [{"step": one.to_json()} for one in steps] or [{} for _ in profiles]
        print(json.dumps([{**one.to_json(), **more} for one, more in zip(profiles, told)]))
        return
    print("\n\n".join(map(str, profiles)))
    if len(profiles) > 1:
        print(f"\n{comparison(profiles)}")
    if steps:
        print(
            f"\nA step of training in float32 on {device}, bytes kept until its backward pass:\n{compare_steps(steps)}"
        )
