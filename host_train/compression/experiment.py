"""The steps of the Deep Compression experiment: one threshold after the other with fine-tuning behind each, then few
shared values, and the accuracy on the test set at every step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from torch import nn

from host_train.compression.dense import dense_model
from host_train.compression.prune import kept, masked, plain, prune_to, threshold_keep
from host_train.compression.recipe import OTHERS
from host_train.compression.share import share, unshared
from host_train.compression.subject import tuning_schedule
from host_train.files import write_text
from host_train.runs.run import Run
from host_train.training.checkpoint import load_weights
from host_train.training.fit import CHECKPOINT, WEIGHTS, fit
from host_train.training.measure import measure
from pynq_cnn.checks import integer
from pynq_cnn.errors import ArgumentError
from pynq_cnn.table import markdown_table

STORED = "experiment.json"
SEEDS = 48  # those below are of the run's own trainings and of its compression
THRESHOLDS = (0.01, 0.02, 0.1)
BITS = 2

# As the experiment that `deepnet` is from reports: of its last step alone, the part of the weights that it keeps and
# its accuracy.
REPORTED = (0.014, 0.9385)


@dataclass(frozen=True)
class Step:
    """One step.

    Parameters
    ----------
    name : str
        The step's name.
    kept : float
        Part of all weights that is not 0, 0 to 1.
    before, after : float
        Accuracy on the test set, 0 to 1, before and after fine-tuning.
    """

    name: str
    kept: float
    before: float
    after: float


def experiment(
    run: Run,
    folder: Path,
    thresholds: Sequence[float] = THRESHOLDS,
    bits: int = BITS,
    *,
    epochs: int = 4,
    learning_rate: float = 1e-3,
    device: str = "cpu",
    progress: bool = True,
    report: Callable[[Step], None] | None = None,
) -> list[Step]:
    """Prune by absolute thresholds in turn, share what is left in 2^`bits` - 1 values and zero, fine-tune each time.

    Goes on from what is in `folder` of an interrupted experiment of the same settings.

    Parameters
    ----------
    run : Run
        Trained.
    folder : pathlib.Path
        Gets `experiment.json`, `experiment.md` and a folder for each step's fine-tuning.
    thresholds : sequence of float
        Ascending, in units of the weights themselves.
    bits : int
        Of a weight's code at last, 2 to 8.
    epochs, learning_rate : int, float
        Of the fine-tuning of each step.
    device : str
        torch's.
    progress : bool
        Show a bar where there is a terminal.
    report : callable, optional
        Called with every step.

    Raises
    ------
    ArgumentError
        For thresholds that do not ascend, for bits or epochs out of range, or if the folder's experiment had other
        settings.
    """
    if not thresholds or list(thresholds) != sorted(set(thresholds)):
        raise ArgumentError(f"thresholds must ascend, as what is pruned does not come back, not {list(thresholds)}")
    epochs, bits = integer("epochs", epochs, 1), integer("bits", bits, 1, 8)
    about = {
        "of": run.settings.command(),
        "thresholds": list(thresholds),
        "bits": bits,
        "epochs": epochs,
        "learning_rate": learning_rate,
    }
    _claim(folder / STORED, about)
    schedule = replace(tuning_schedule(run), epochs=epochs, learning_rate=learning_rate)
    train, validation, test = (run.tensors(split, device) for split in (run.train, run.validation, run.dataset.test))
    model = masked(dense_model(run)).to(device)
    first = measure(model, test)[1]
    steps = [Step("trained", 1.0, first, first)]

    def tune(name: str, tuned: nn.Module, counted: Callable[[], nn.Module]) -> None:
        place, number = folder / name.replace(" ", "-"), len(steps)
        before = measure(tuned, test)[1]
        if (place / WEIGHTS).exists() and not (place / CHECKPOINT).exists():
            load_weights(tuned, place / WEIGHTS)
        else:
            seed = run.settings.seed + (SEEDS + number) * 2**32
            fit(tuned, train, validation, schedule, place, seed=seed, resume=True, progress=progress)
            (place / CHECKPOINT).unlink()
        counts = kept(counted()).values()
        part = sum(left for left, _ in counts) / sum(size for _, size in counts)
        steps.append(Step(name, part, before, measure(tuned, test)[1]))
        if report is not None:
            report(steps[-1])

    for threshold in thresholds:
        prune_to(model, threshold_keep(model, threshold, absolute=True))
        tune(f"threshold {threshold:g}", model, lambda: model)
    shared = share(plain(model).cpu(), {OTHERS: bits}, run.std).to(device)
    tune(f"{bits} bits", shared, lambda: unshared(shared))
    write_text(folder / STORED, json.dumps({**about, "steps": [asdict(step) for step in steps]}, indent=1))
    tuned = (
        f"then {epochs} epoch{'s' * (epochs > 1)} of fine-tuning at each step, at a rate of {learning_rate:g} at most"
    )
    write_text(folder / "experiment.md", f"`{run.settings.command()}`, {tuned}\n\n{to_markdown(steps)}\n")
    return steps


def to_markdown(steps: Sequence[Step]) -> str:
    """The steps as a table, with what the experiment that `deepnet` is from reports of its last.

    Examples
    --------
    >>> print(to_markdown([Step("trained", 1.0, 0.9959, 0.9959), Step("2 bits", 0.01, 0.5, 0.98)]))
    | step    |      kept | before fine-tuning |   after | the experiment's kept | the experiment's top-1 |
    | ------- | --------: | -----------------: | ------: | --------------------: | ---------------------: |
    | trained | 100.000 % |            99.59 % | 99.59 % |                       |                        |
    | 2 bits  |   1.000 % |            50.00 % | 98.00 % |                 1.4 % |                93.85 % |
    """
    rows = [["step", "kept", "before fine-tuning", "after", "the experiment's kept", "the experiment's top-1"]]
    for step in steps:
        theirs = [f"{100 * REPORTED[0]:.1f} %", f"{100 * REPORTED[1]:.2f} %"] if step is steps[-1] else ["", ""]
        ours = [f"{100 * step.kept:.3f} %", f"{100 * step.before:.2f} %", f"{100 * step.after:.2f} %"]
        rows.append([step.name, *ours, *theirs])
    return markdown_table(rows)


def _claim(path: Path, about: dict[str, object]) -> None:
    """Write down what an experiment is of; `ArgumentError` if what is there is of another."""
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else about
        found.pop("steps", None)
    except (OSError, ValueError, AttributeError) as error:
        raise ArgumentError(f"{path} cannot be read: {error}; remove it and begin again") from error
    if found != about:
        raise ArgumentError(f"{path} is of another experiment, {found}; choose another folder (--out)")
    write_text(path, json.dumps(about, indent=1))
