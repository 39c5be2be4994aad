"""The epochs of a run for other programs: as a CSV file, and for TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from host_train.files import write_csv
from host_train.runs.run import STAGES
from host_train.training.fit import HISTORY
from host_train.training.record import EpochRecord
from pynq_cnn.errors import ArgumentError

COLUMNS = ("training", *(field.name for field in fields(EpochRecord)))
CURVES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate")


def epochs_of(folder: Path) -> Iterator[dict[str, Any]]:
    """Every epoch of every training of a run so far, with the training's name; its teacher's first."""
    for prefix, place in (("teacher/", folder / "teacher"), ("", folder)):
        for stage in STAGES:
            path = place / stage / HISTORY
            if path.is_file():
                for record in json.loads(path.read_text(encoding="utf-8")):
                    yield {"training": prefix + stage, **record}


def write_epochs(folder: Path, path: Path) -> None:
    """Write the epochs of the run in `folder` as a CSV file, a line each, replacing what is there."""
    write_csv(path, COLUMNS, [[epoch.get(column, "") for column in COLUMNS] for epoch in epochs_of(folder)])


class TensorBoard:
    """Writes the epochs of a run for TensorBoard, in a folder of its training each; `ArgumentError` without it.

    Parameters
    ----------
    folder : pathlib.Path
        The run.
    where : pathlib.Path
        TensorBoard's folder.
    """

    def __init__(self, folder: Path, where: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ArgumentError(
                "--tensorboard needs TensorBoard, which is not installed: pip install tensorboard; or take --csv"
            ) from None
        self.folder, self.where, self.make = folder, where, SummaryWriter
        self.written: dict[str, int] = {}  # the last epoch of each training

    def update(self) -> None:
        """Write the epochs that are new, of a resumed run those before too."""
        new: dict[str, list[dict[str, Any]]] = {}
        for record in epochs_of(self.folder):
            if record["epoch"] > self.written.get(record["training"], 0):
                new.setdefault(record["training"], []).append(record)
        for training, records in new.items():
            with self.make(str(self.where / training), purge_step=records[0]["epoch"]) as writer:
                for record in records:
                    for curve in CURVES:
                        if record.get(curve) is not None:
                            writer.add_scalar(curve, record[curve], record["epoch"])
            self.written[training] = records[-1]["epoch"]
