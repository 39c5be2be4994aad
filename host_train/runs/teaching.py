"""The teacher of a run: a run of its own, in the folder of the one that learns, or wherever it was trained before."""

from __future__ import annotations

from pathlib import Path

from host_train.data import find_entry
from host_train.networks import find_recipe
from host_train.runs.record import RUN, data_digest, read_record, write_record
from host_train.runs.run import Run
from host_train.settings import Settings
from host_train.training.teacher import Teacher
from pynq_cnn.errors import ArgumentError

FOLDER = "teacher"


def teacher_run(run: Run) -> Run | None:
    """The run of `run`'s teacher, trained or not, on the same division of the training images; None if it has none.

    Raises
    ------
    ArgumentError
        If the folder given for it is of another network, or of a training that has seen images that are held back here.
    """
    name = run.recipe.teacher
    if name is None:
        return None
    own, other = run.dataset.spec.shape[:2], find_recipe(name).size or find_entry(run.recipe.dataset).spec.shape[:2]
    if own != other:
        sides = [" x ".join(map(str, one)) for one in (own, other)]
        raise ArgumentError(f"{run.recipe.name} takes images of {sides[0]}, but its teacher {name} of {sides[1]}")
    given = run.settings.teacher
    if given is not None:
        stored = read_record(Path(given))
        settings = stored.settings
        if settings.recipe != name:
            raise ArgumentError(
                f"--teacher {given} is a run of {settings.recipe}, but {run.recipe.name} needs one of {name}"
            )
        if settings.seed != run.settings.seed or stored.data != data_digest(run.dataset):
            raise ArgumentError(
                f"--teacher {given} was trained with seed {settings.seed} on other images than this run's seed"
                f" {run.settings.seed} leaves to train on; train {name} with that seed on the same data"
            )
        return Run(
            Path(given),
            settings,
            settings.resolve(len(run.dataset.spec.classes)),
            run.dataset,
            run.train,
            run.validation,
        )
    asked = run.settings.epochs
    epochs = None
    if asked is not None:  # in proportion, as quantisation-aware training
        epochs = max(1, round(find_recipe(name).schedule.epochs * asked / find_recipe(run.recipe.name).schedule.epochs))
    like = run.settings
    settings = Settings(name, like.seed, epochs=epochs, threads=like.threads, pictures=like.pictures, fit=like.fit)
    folder = run.folder / FOLDER
    made = Run(
        folder, settings, settings.resolve(len(run.dataset.spec.classes)), run.dataset, run.train, run.validation
    )
    if not (folder / RUN).is_file():
        write_record(folder / RUN, settings, run.dataset, made.recipe)
    return made


def teacher_of(run: Run, device: str) -> Teacher | None:
    """The trained teacher of `run`, on `device`; None if it has none; `ArgumentError` if its training has not ended."""
    made = teacher_run(run)
    return None if made is None else Teacher.of(made.float_model(), made.mean, made.std, device)
