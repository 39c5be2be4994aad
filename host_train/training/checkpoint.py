"""States of trainings and weights in files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from host_train.files import replace_file
from host_train.reason import reason_of
from pynq_cnn.errors import ArgumentError


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state of tensors and plain values."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:  # of a path, torch reports a full disk as a RuntimeError
            torch.save(state, file)

    replace_file(path, write)


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote. It runs no code from the file; `ArgumentError` names one that cannot be read."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ArgumentError(f"{path} is not there; train first (python -m host_train train)") from None
    except Exception as error:  # a damaged file makes torch raise nearly anything; all mean the same here
        raise ArgumentError(f"{path} cannot be read: {reason_of(error)}; remove it and train again") from error


@contextmanager
def fitting(path: Path, what: str, advice: str) -> Iterator[None]:
    """A context in which weights that fail to load are those of another network: `ArgumentError` says so, with the last
    line of the reason, and gives `advice`.
    """
    try:
        yield
    except Exception as error:  # wrong names and shapes, parts that are missing, or no state at all
        reason = str(error).splitlines()[-1].strip()
        raise ArgumentError(f"{path} has not the {what} of this network: {reason}; {advice}") from error


def load_weights(model: nn.Module, path: Path) -> nn.Module:
    """`model` with the weights in `path`, in evaluation mode; `ArgumentError` if they are of another network."""
    state = load_state(path)
    with fitting(path, "weights", "train again in another folder"):
        model.load_state_dict(state)
    return model.eval()
