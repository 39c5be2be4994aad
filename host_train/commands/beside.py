"""`beside`: trainings beside each other: accuracy and loss over the epochs as a plot, what each reached as a table, all
epochs as CSV.

Runs that differ in their seeds alone are one line, with its spread.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("beside", help="plot trainings beside each other", description=__doc__)
    parser.add_argument(
        "folders", type=Path, metavar="RUN", nargs="+", help="folders of runs, trained at least in part"
    )
    parser.add_argument("--title", default="trainings beside each other", help="of the plot")
    parser.add_argument("--out", type=Path, metavar="FOLDER", default=Path("beside"), help="where to (default: beside)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from host_train.files import write_text
    from host_train.runs.beside import grouped, plot_beside, read_training, to_markdown, write_csv

    groups = grouped([read_training(folder) for folder in args.folders])
    plot_beside(groups, args.out / "beside.png", args.title)
    write_csv(groups, args.out / "beside.csv")
    text = to_markdown(groups)
    write_text(args.out / "beside.md", text)
    print(f"{text}\nwritten: {args.out}")
