"""Options that several commands have."""

from __future__ import annotations

import argparse
from pathlib import Path

from pynq_cnn.errors import ArgumentError


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """`--data-dir`."""
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="FOLDER",
        help="folder with the data set's files; without it: the cache, then the packages that carry the data, then torchvision's download",
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """`--threads`."""
    parser.add_argument("--threads", type=int, metavar="N", help="threads of PyTorch (default: its own)")


def add_device(parser: argparse.ArgumentParser) -> None:
    """`--device`."""
    parser.add_argument("--device", default="cpu", help="of PyTorch, for example cuda (default: cpu)")


def check_device(device: str) -> None:
    """`ArgumentError` if PyTorch cannot use `--device`."""
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ArgumentError(f"--device {device} cannot be used: {str(error).splitlines()[0]}") from error


def set_threads(count: int | None) -> None:
    """Apply `--threads`."""
    if count is not None:
        import torch

        if count < 1:
            raise ArgumentError(f"--threads must be at least 1, not {count}")
        torch.set_num_threads(count)
