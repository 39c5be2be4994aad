"""The stages of a compression in its folder: what each was asked for, by which command, and how far it has come."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from host_train.compression.recipe import CompressionRecipe
from host_train.files import write_text
from host_train.runs.run import Run
from host_train.training.fit import CHECKPOINT, WEIGHTS
from pynq_cnn.errors import ArgumentError

STAGE = "stage.json"
COMMAND = "command.txt"
STAGES = ("prune", "share")


def has_begun(stage: Path) -> bool:
    """Whether a stage has been asked for, and has come as far as a checkpoint."""
    return (stage / STAGE).exists() and any(True for file in (CHECKPOINT, WEIGHTS) for _ in stage.glob(f"*/{file}"))


def is_done(folder: Path) -> bool:
    """Whether a fine-tuning has ended: it writes its weights, and removes the checkpoint last."""
    return (folder / WEIGHTS).exists() and not (folder / CHECKPOINT).exists()


def read_stage(stage: Path) -> dict[str, Any]:
    """The options that a stage was asked for; `ArgumentError` if that is missing or damaged."""
    path = stage / STAGE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError(f"it holds a {type(found).__name__}")
        return found
    except FileNotFoundError:
        raise ArgumentError(f"{path} is not there; first: python -m host_train {stage.name} RUN") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ArgumentError(f"{path} cannot be read: {error}; remove {stage} and compress again") from error


def weights_of(stage: Path) -> Path:
    """The file of a stage's fine-tuned weights; `ArgumentError` if the stage has not ended."""
    path = stage / "tune" / WEIGHTS
    if not path.is_file():
        again = f"python -m host_train {stage.name} RUN --resume, with the same options"
        raise ArgumentError(f"{path} is not there, that stage has not ended; go on with it: {again}")
    return path


def claim(stage: Path, settings: dict[str, Any], command: str, resume: bool) -> None:
    """Write down what a stage is of, or check that what is there, if it has come as far as a checkpoint, is of the
    same.
    """
    path = stage / STAGE
    settings = json.loads(json.dumps(settings))
    if not has_begun(stage):
        if command:
            write_text(stage / COMMAND, command)
        write_text(path, json.dumps(settings, indent=1))
        return
    if not resume:
        raise ArgumentError(
            f"{stage} is of an earlier compression; go on with it (--resume), put it aside (--force), or choose"
            " another folder (--out)"
        )
    found = read_stage(stage)
    if found != settings:
        names = [name for name in settings if found.get(name) != settings[name]]
        raise ArgumentError(
            f"{stage} has another {' and '.join(names) or 'stage'}; give the same options, put it aside (--force),"
            " or choose another folder (--out)"
        )


def as_made(run: Run, folder: Path, recipe: CompressionRecipe, stage: str) -> CompressionRecipe:
    """`recipe`, with what the stages in `folder` were asked for.

    Parameters
    ----------
    run : Run
        Whose compression it must be.
    folder : pathlib.Path
        Of the compression.
    recipe : CompressionRecipe
        Says the rest.
    stage : {"prune", "share"}
        The last that counts.

    Raises
    ------
    ArgumentError
        If a stage is missing, damaged, or of another run.
    """
    pruned = read_stage(folder / "prune")
    if pruned.get("of") != run.settings.command():
        raise ArgumentError(
            f"{folder / 'prune'} is of another run, {pruned.get('of')!r}; choose another folder (--out)"
        )
    made = {name: pruned.get(name) for name in ("keep", "rounds")}
    made.update({name: pruned[name] for name in ("units", "distillation") if name in pruned})
    if stage == "share":
        made["bits"] = read_stage(folder / "share").get("bits")
    try:
        return replace(recipe, **made)  # type: ignore[arg-type]
    except (AttributeError, ValueError) as error:
        raise ArgumentError(
            f"{STAGE} of {folder} cannot be read: {error}; remove the folder and compress again"
        ) from error
