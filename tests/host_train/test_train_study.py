"""The studies, each by one command."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from host_train.cli import main, make_parser
from host_train.commands import study
from host_train.commands.study import STUDIES, Study, carry_out
from host_train.networks import RECIPES
from pynq_cnn.zoo import models

ROOT = Path(__file__).parents[2]
STEPS = [(name, step) for name, one in STUDIES.items() for step in one.steps]


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_steps_are_commands(name, step):
    words = shlex.split(step.format(out="s/o"))
    args = make_parser().parse_args(words)
    assert args.command == words[0]
    if args.command == "train":
        assert args.network in RECIPES and args.resume
    if args.command in ("evaluate", "rates"):
        assert args.model in models() or args.model.startswith("s/o/")


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_steps_work_on_what_steps_before_them_left(name, step):
    steps = STUDIES[name].steps
    made = "".join(earlier.partition("--out ")[2] + " " for earlier in steps[: steps.index(step)])
    given = [word for word in step.partition("--out ")[0].split() if word.startswith("{out}") and ".png" not in word]
    for word in given:
        if not word.endswith(".csv"):
            assert word.removesuffix("/*").removesuffix("/package") in made.split(), word


@pytest.mark.parametrize("name", STUDIES)
def test_each_study_is_told_on_its_page(name):
    assert f"python -m host_train study {name}" in (ROOT / STUDIES[name].page).read_text(encoding="utf-8")


def test_a_study_goes_on_from_what_has_ended(digits_folder, tmp_path, monkeypatch, capsys):
    out, data = tmp_path / "o u t", ["--data-dir", str(digits_folder)]
    train = "train lenet --seed {seed} --epochs 1 --qat-epochs 0 --batch 32 --quiet --resume --out {{out}}/lenet-{seed}"
    prune = "prune {out}/lenet-0 --rounds 1 --round-epochs 1 --tune-epochs 1 --quiet --out {out}/pruned/lenet"
    beside = "beside {out}/lenet-0 {out}/lenet-1 --out {out}/beside"
    steps = [train.format(seed=0), train.format(seed=1), prune, beside]
    monkeypatch.setitem(STUDIES, "course", Study("", "docs", (steps[0], "course {out}/none")))
    assert main(["study", "course", "--out", str(out), *data]) == 1
    assert (out / "done.txt").read_text() == f"{steps[0]}\n"
    capsys.readouterr()
    monkeypatch.setitem(STUDIES, "course", Study("", "docs", tuple(steps)))
    assert main(["study", "course", "--out", str(out), *data]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
    assert told[0].startswith("[1/4] python -m host_train train lenet --seed 0") and told[0].endswith(": done")
    assert [line.endswith(": done") for line in told] == [True, False, False, False]
    assert f"--out '{out}'/beside" in told[3]
    assert (out / "pruned/lenet/prune/command.txt").read_text().startswith("python -m host_train prune runs/lenet ")
    assert (out / "beside" / "beside.png").is_file() and (out / "done.txt").read_text().splitlines() == steps
    ran = []
    front = argparse.ArgumentParser()
    front.add_argument("runs", nargs="+")
    front.set_defaults(run=lambda args: ran.append(args.runs))
    carry_out(Study("", "", ("front {out}/*",)), out, {"front": front}, tmp_path)
    assert ran == [sorted(str(out / name) for name in ("beside", "lenet-0", "lenet-1", "pruned"))]
    monkeypatch.setattr(study, "carry_out", lambda *_: None)
    assert main(["study", "course", "--out", str(out), "--force"]) == 0
    assert not out.exists() and (tmp_path / "o u t.1" / "done.txt").is_file()


def test_studies_are_listed_and_shown(capsys):
    assert main(["study"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(STUDIES)
    assert main(["study", "binary", "--show"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(STUDIES["binary"].steps) and all("python -m host_train" in line for line in lines)
    assert "studies/binary/deterministic" in lines[1]


def test_the_table_of_the_studies_names_tests_and_commands_that_are_there():
    rows = [
        line
        for line in (ROOT / "docs/lab/studies.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|") and "`test_" in line
    ]
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    commands = make_parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    for row in rows:
        _, _, asked, told, tests, _ = row.split("|")
        assert asked.strip() and told.strip()
        for name in re.findall(r"`(\w+)`", tests):
            assert f"def {name}(" in sources, name
        for command in re.findall(r"`(\w[^`]*)`", told):
            assert command.split()[0] in commands, command
    assert len(rows) > 20
