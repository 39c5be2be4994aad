"""`profile`: parameters, multiply-accumulates and memory of the activations, layer by layer; several networks are
compared.
"""

from __future__ import annotations

import argparse
import json


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("profile", help="what networks cost, layer by layer", description=__doc__)
    parser.add_argument(
        "networks",
        nargs="+",
        metavar="NETWORK",
        help="its name; 'networks' lists them. For example: profile nin_one nin",
    )
    parser.add_argument("--json", action="store_true", help="print JSON: a list, one object a network")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from host_train.data import find_entry
    from host_train.networks import find_recipe
    from host_train.networks.profile import compare, profile

    profiles = []
    for name in args.networks:
        recipe = find_recipe(name)
        height, width, channels = find_entry(recipe.dataset).spec.shape
        profiles.append(profile(recipe.build(), name, (channels, *(recipe.size or (height, width)))))
    if args.json:
        print(json.dumps([one.to_json() for one in profiles]))
        return
    print("\n\n".join(map(str, profiles)))
    if len(profiles) > 1:
        print(f"\n{compare(profiles)}")
