"""Options that several commands have."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from host_train.reason import reason_of
from pynq_cnn.checks import integer
from pynq_cnn.errors import ArgumentError

AUTO = "auto"


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """`--data-dir`."""
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="FOLDER",
        help=(
            "folder with the data set's files; without it: the cache, then the packages that carry the data, then"
            " torchvision's download"
        ),
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """`--threads`."""
    parser.add_argument("--threads", type=int, metavar="N", help="threads of PyTorch (default: its own)")


def add_min_agreement(parser: argparse.ArgumentParser) -> None:
    """`--min-agreement`."""
    least = (
        "least part of the images on which integers and PyTorch must answer alike for a package to be written; 0"
        " writes any"
    )
    parser.add_argument("--min-agreement", type=float, default=0.95, metavar="PART", help=f"{least} (default: 0.95)")


def add_device(parser: argparse.ArgumentParser) -> None:
    """`--device`."""
    choices = "cpu, cuda, cuda:1 and so on, or mps (default: auto, the first of cuda, mps and cpu that is there)"
    parser.add_argument("--device", default=AUTO, metavar="DEVICE", help=f"of PyTorch: {choices}")


def add_beginning(parser: argparse.ArgumentParser, what: str) -> None:
    """`--resume` and `--force`: what becomes of what is there from an earlier command."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--resume", action="store_true", help=f"go on with an interrupted {what}; it ends as it would have without"
    )
    add_force(either)


def add_force(parser: argparse._ActionsContainer) -> None:
    """`--force`."""
    parser.add_argument("--force", action="store_true", help="begin anew; what is there is put aside, as FOLDER.1")


def say_aside(folder: Path, mark: str) -> None:
    """Do as `--force` says, where the folder has the file `mark`, and say it."""
    from host_train.files import put_aside

    aside = put_aside(folder, mark)
    if aside is not None:
        print(f"{folder} was there already and is now {aside}")


def find_device(device: str) -> str:
    """The device that `--device` names, of `auto` the one to take here; `ArgumentError` if PyTorch cannot use it."""
    import torch

    if device == AUTO:
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", device):
        raise ArgumentError(f"--device {device} cannot be used; it must be auto, cpu, cuda, cuda:N or mps")
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ArgumentError(f"--device {device} cannot be used: {reason_of(error)}") from error
    return device


def set_threads(count: int | None) -> None:
    """Apply `--threads`."""
    if count is not None:
        import torch

        torch.set_num_threads(integer("--threads", count, 1))
