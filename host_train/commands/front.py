"""`front`: rate against accuracy over many compressions of a network: plot, table and CSV, for LeNet-5 beside what
others report.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("front", help="rate against accuracy over many compressions", description=__doc__)
    folders = "folders of compressions, each with its table.json, such as runs/lenet5/compressed"
    parser.add_argument("folders", type=Path, metavar="FOLDER", nargs="+", help=folders)
    parser.add_argument("--network", default="lenet5", metavar="NAME", help="whose they are (default: lenet5)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where files go (default: front/NAME)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from host_train.compression.front import PUBLISHED, plot_front, read_point, to_markdown, write_csv
    from host_train.files import write_text
    from host_train.networks import find_recipe

    name = find_recipe(args.network).name
    points = [read_point(folder) for folder in args.folders]
    if len({point.name for point in points}) < len(points):  # 0.9 of one compression, and 0.9 of another
        points = [replace(point, name=f"{at.parent.name}/{point.name}") for point, at in zip(points, args.folders)]
    out, published = args.out or Path("front") / name, PUBLISHED.get(name, ())
    plot_front(points, published, out / "front.png", f"{name}: what compression costs")
    write_csv(points, out / "front.csv")
    text = to_markdown(points)
    write_text(out / "front.md", text)
    print(text)
    for one in published:
        print(f"{one.ratio:.0f}x at {100 * one.top1:.2f} %: {one.of} [{one.source}]")
    print(f"written: {out}")
