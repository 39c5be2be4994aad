"""The compression of a run, in stages that are kept in a folder and resumed.

prune/stage.json     what was asked for; command.txt: by which command
prune/round-NN/      a round of fine-tuning each: history.json; weights.pt of the latest
prune/tune/          fine-tuning after the last: weights.pt, history.json, curves.png
share/stage.json     and command.txt
share/tune/          fine-tuning of the shared weights: the same files
table.json, table.md sizes and accuracy
package/             the model package
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from host_train.compression.compact import compact
from host_train.compression.dense import dense_model
from host_train.compression.encoding import encode_layers, quantised_forms
from host_train.compression.narrow import narrow
from host_train.compression.prune import describe_kept, kept, masked, plain, prune_to, round_keep
from host_train.compression.recipe import CompressionRecipe
from host_train.compression.share import share
from host_train.compression.stages import COMMAND, STAGE, STAGES, claim, has_begun, is_done, weights_of
from host_train.compression.subject import tuning_schedule
from host_train.quantisation.choose import Candidate, choose
from host_train.runs.quantising import measured
from host_train.runs.run import Run
from host_train.training.checkpoint import load_weights
from host_train.training.curves import plot_history
from host_train.training.fit import CHECKPOINT, WEIGHTS, fit
from host_train.training.record import EpochRecord
from host_train.training.schedule import Schedule
from host_train.training.teacher import Teacher
from pynq_cnn.errors import ArgumentError

PACKAGE = "package"
SEEDS = 16  # of the stages; those below are of the run's own trainings

Report = Callable[[str, int, EpochRecord], None]


@dataclass(frozen=True, eq=False)
class Compression:
    """A run's compression.

    Parameters
    ----------
    run : Run
        Trained.
    folder : pathlib.Path
        Of the compression's files.
    recipe : CompressionRecipe
        For every layer (`CompressionRecipe.layers`).
    device : str
        torch's.
    progress : bool
        Show a bar where there is a terminal.
    report : callable, optional
        Called after every epoch with the training's name, its number of epochs and the epoch's record.
    say : callable, optional
        Called with lines about what was done.
    command : str
        The command that asked for it, written down beside its results.
    """

    run: Run
    folder: Path
    recipe: CompressionRecipe
    device: str = "cpu"
    progress: bool = True
    report: Report | None = None
    say: Callable[[str], None] = lambda line: None
    command: str = ""

    def prune(self, resume: bool = False) -> nn.Sequential:
        """Prune in rounds and fine-tune; or, with `resume`, go on with that.

        Returns
        -------
        torch.nn.Sequential
            Folded, with masks, of the best epoch of the last fine-tuning, in evaluation mode.

        Raises
        ------
        ArgumentError
            If there is such a stage and not `resume`, or it is of another recipe.
        """
        recipe, stage = self.recipe, self.folder / "prune"
        if has_begun(self.folder / "share") and not has_begun(stage):
            raise ArgumentError(
                f"{self.folder / 'share'} is of an earlier pruning; put it aside (--force), or choose another folder"
                " (--out)"
            )
        schedules = [self._schedule(recipe.round_epochs, recipe.learning_rate)] * recipe.rounds
        schedules.append(self._schedule(recipe.tune_epochs, recipe.learning_rate))
        about = {
            "keep": recipe.keep,
            "rounds": recipe.rounds,
            "round_epochs": recipe.round_epochs,
            "of": self.run.settings.command(),
        }
        if recipe.units:
            about["units"] = recipe.units
        if recipe.distillation:
            about["distillation"] = recipe.distillation
        self._claim(stage, resume, about, schedules[-1])
        self.say(
            f"pruning in rounds: {recipe.rounds} x {recipe.round_epochs} epochs, then {recipe.tune_epochs} of"
            " fine-tuning"
        )
        folders = [stage / f"round-{number + 1:02}" for number in range(recipe.rounds)] + [stage / "tune"]
        done = max((number for number, folder in enumerate(folders) if is_done(folder)), default=-1)
        model = self._narrowed()
        if done >= 0:
            load_weights(model, folders[done] / WEIGHTS)
        for number in range(done + 1, len(folders)):
            prune_to(model, round_keep(recipe.keep, min(number + 1, recipe.rounds), recipe.rounds))
            name = f"prune {number + 1}/{recipe.rounds}" if number < recipe.rounds else "tune"
            self._fit(model, folders[number], schedules[number], SEEDS + number, resume, name)
            for earlier in folders[:number]:
                (earlier / WEIGHTS).unlink(missing_ok=True)  # tens of megabytes, and nothing reads them again
            self.say(f"{name}:\n{describe_kept(model)}" if number + 1 == len(folders) else _line(name, model))
        return model.eval()

    def share(self, resume: bool = False) -> nn.Sequential:
        """Share the weights of the pruned network and fine-tune the shared values; or, with `resume`, go on with that.

        Returns
        -------
        torch.nn.Sequential
            Folded, its weights parametrised by codebooks, of the best epoch, in evaluation mode.
        """
        recipe, stage = self.recipe, self.folder / "share"
        model = self._clustered()
        schedule = self._schedule(recipe.share_epochs, recipe.share_learning_rate)
        self._claim(stage, resume, {"bits": recipe.bits}, schedule)
        self.say(f"sharing weights: {recipe.share_epochs} epochs of fine-tuning")
        if is_done(stage / "tune"):
            load_weights(model, stage / "tune" / WEIGHTS)
        else:
            self._fit(model, stage / "tune", schedule, SEEDS + recipe.rounds + 1, resume, "share")
        return model.eval()

    def shared(self) -> nn.Sequential:
        """The shared network, once `share` is done; `ArgumentError` if it is not."""
        model = load_weights(self._clustered(), weights_of(self.folder / "share"))
        assert isinstance(model, nn.Sequential)
        return model

    def commands(self) -> list[str]:
        """The command of each stage, and then this one."""
        files = {stage: self.folder / stage / COMMAND for stage in STAGES}
        # Folders from before commands were noted have the rest of it.
        lines = [
            file.read_text(encoding="utf-8").strip() if file.is_file() else f"{one} as {one}/{STAGE} says"
            for one, file in files.items()
        ]
        return list(dict.fromkeys([*lines, self.command]))

    def quantise(self, shared: nn.Sequential) -> Candidate:
        """The shared network in integers, calibrated as does best on the validation images, without the channels that
        pruning has left useless, its layers encoded.
        """
        forms = quantised_forms(shared, self.run.calibration_batches(), self.run.std, self.progress)
        best = choose(measured(self.run, forms, self.progress))
        return replace(best, network=encode_layers(compact(best.network)))

    def _clustered(self) -> nn.Sequential:
        """The pruned network, its weights shared as they are."""
        pruned = load_weights(self._narrowed(), weights_of(self.folder / "prune"))
        assert isinstance(pruned, nn.Sequential)
        return share(plain(pruned), self.recipe.bits, self.run.std)

    def _narrowed(self) -> nn.Sequential:
        """The trained network with the units that are left, and masks that keep everything."""
        return masked(narrow(dense_model(self.run), self.recipe.units))

    def _schedule(self, epochs: int, learning_rate: float) -> Schedule:
        own = {"epochs": epochs, "learning_rate": learning_rate, "distillation": self.recipe.distillation}
        return replace(tuning_schedule(self.run), **own)  # type: ignore[arg-type]

    def _claim(self, stage: Path, resume: bool, asked: dict[str, Any], schedule: Schedule) -> None:
        claim(stage, {**asked, "schedule": repr(schedule), "seed": self.run.settings.seed}, self.command, resume)

    def _fit(
        self, model: nn.Sequential, folder: Path, schedule: Schedule, number: int, resume: bool, name: str
    ) -> None:
        run = self.run
        history = fit(
            model.to(self.device),
            run.tensors(run.train, self.device),
            run.tensors(run.validation, self.device),
            schedule,
            folder,
            teacher=Teacher.of(run.float_model(), run.mean, run.std, self.device) if schedule.distillation else None,
            seed=run.settings.seed + number * 2**32,
            resume=resume,
            progress=self.progress,
            report=None if self.report is None else partial(self.report, name, schedule.epochs),
        )
        plot_history(history, folder / "curves.png", f"{run.recipe.name} on {run.dataset.spec.title}: {name}")
        (folder / CHECKPOINT).unlink()  # the weights of the best epoch are there: it is done (`is_done`)
        model.cpu()


def _line(name: str, model: nn.Sequential) -> str:
    return f"{name}: {sum(left for left, _ in kept(model).values()):,} weights kept"
