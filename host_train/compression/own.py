"""Deep Compression of a network of one's own, in memory: pruned in rounds, its weights shared, each fine-tuned.

The steps are those of `host_train.compression.pipeline`, which keeps them in the folder of a run and goes on with them.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from host_train.compression.prune import masked, plain, prune_to, round_keep, weighted_layers
from host_train.compression.recipe import CompressionRecipe, for_layers
from host_train.compression.share import share
from host_train.compression.subject import Subject
from host_train.training.fit import fit
from host_train.training.record import EpochRecord
from pynq_cnn.errors import ArgumentError

Report = Callable[[str, EpochRecord], None]


def prune_in_rounds(
    subject: Subject, recipe: CompressionRecipe, *, progress: bool = True, report: Report | None = None
) -> nn.Module:
    """Prune a copy of the network in rounds, and fine-tune it after each, and longer after the last.

    Parameters
    ----------
    subject : Subject
        The network with its data; `train` is needed.
    recipe : CompressionRecipe
        Its `keep`, `rounds`, `round_epochs`, `tune_epochs` and `learning_rate`. A layer that `keep` does not name keeps
        all its weights.
    progress : bool
        Show bars where there is a terminal.
    report : callable, optional
        Called after every epoch, with the name of the step.

    Returns
    -------
    torch.nn.Module
        Of the best epoch after the last round, without masks: what they left out is 0.

    Raises
    ------
    ArgumentError
        Without anything to train on, for a layer that is not there, or for `units` or `distillation`, which are of
        runs.
    """
    _check(recipe)
    rounds = [subject.tuning(recipe.round_epochs, recipe.learning_rate)] * recipe.rounds
    rounds.append(subject.tuning(recipe.tune_epochs, recipe.learning_rate))
    keep = for_layers("keep", recipe.keep, weighted_layers(subject.model))
    model = masked(subject.copy())
    for number, tuning in enumerate(rounds):
        prune_to(model, round_keep(keep, min(number + 1, recipe.rounds), recipe.rounds))
        name = f"prune {number + 1}/{recipe.rounds}" if number < recipe.rounds else "tune"
        told = None if report is None else lambda record, name=name: report(name, record)
        fit(model, *tuning, None, seed=subject.seed + number * 2**32, progress=progress, report=told)
    return plain(model).eval()


def share_and_tune(
    subject: Subject,
    pruned: nn.Module,
    recipe: CompressionRecipe,
    *,
    progress: bool = True,
    report: Report | None = None,
) -> nn.Module:
    """Share the weights of a pruned network, in place, and fine-tune the values.

    Parameters
    ----------
    subject : Subject
        Whose data they are; `train` is needed.
    pruned : torch.nn.Module
        From `prune_in_rounds`, or any like the subject's.
    recipe : CompressionRecipe
        Its `bits`, `share_epochs` and `share_learning_rate`.
    progress, report
        As of `prune_in_rounds`.

    Returns
    -------
    torch.nn.Module
        `pruned` itself, its weights functions of their codebooks (`host_train.compression.share.codebook`), of the best
        epoch; on the CPU, as `host_train.from_torch(..., shared=True)` takes it.
    """
    _check(recipe)
    tuning = subject.tuning(recipe.share_epochs, recipe.share_learning_rate)
    model = share(pruned.cpu(), recipe.bits, subject.std).to(subject.device)
    told = None if report is None else lambda record: report("share", record)
    fit(model, *tuning, None, seed=subject.seed + (recipe.rounds + 1) * 2**32, progress=progress, report=told)
    return model.eval().cpu()


def _check(recipe: CompressionRecipe) -> None:
    for name in ("units", "distillation"):
        if getattr(recipe, name):
            raise ArgumentError(f"{name}={getattr(recipe, name)!r} is of the compression of a run; leave it out")
