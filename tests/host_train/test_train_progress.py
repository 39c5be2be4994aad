"""Bars on a terminal, and what an interrupted command advises."""

from __future__ import annotations

import importlib
import io
import sys
from pathlib import Path

import pytest
from terminal import Terminal

from host_train.cli import main
from host_train.progress import pieces, track

ROOT = Path(__file__).parents[2]

COMMANDS = {
    "train": ["lenet"],
    "prune": ["run"],
    "share": ["run"],
    "compress": ["run"],
    "sweep": ["run"],
    "evaluate": ["lenet"],
    "export": ["lenet"],
    "huffman": ["run"],
    "spectrum": ["run"],
    "profile": ["lenet"],
    "convert": ["m.py:M", "--dataset", "mnist", "--out", "x"],
    "images": ["mnist", "x"],
    "sample": [],
    "data": [],
    "networks": [],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_an_interrupted_command_advises_what_it_has(command, monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module(f"host_train.commands.{command}"), "run", interrupted)
    resumable = command in ("train", "prune", "share", "compress")
    advice = "; give the same command with --resume to go on" if resumable else ""
    if command == "sweep":
        advice = "; give the same command again to go on"
    assert main([command, *COMMANDS[command]]) == 130
    assert capsys.readouterr().err == f"\nhost_train: interrupted{advice}\n"
    for option in ("--resume", "--force"):
        if resumable or (command, option) == ("sweep", "--force"):
            assert main([command, *COMMANDS[command], option]) == 130
            change = {
                "--resume": " again",
                "--force": " with --resume in place of --force" if resumable else " again, without --force,",
            }
            assert (
                capsys.readouterr().err
                == f"\nhost_train: interrupted; give the same command{change[option]} to go on\n"
            )
        else:
            with pytest.raises(SystemExit):
                main([command, *COMMANDS[command], option])
            assert "unrecognized arguments" in capsys.readouterr().err


def test_bars_go_where_a_terminal_is(monkeypatch):
    pytest.importorskip("tqdm")
    for stream, shown, seen in ((Terminal(), True, True), (Terminal(), False, False), (io.StringIO(), True, False)):
        monkeypatch.setattr(sys, "stderr", stream)
        assert list(track([1, 2], "numbers", "number", shown)) == [1, 2]
        assert [list(part) for part in pieces([1, 2, 3], 2, "halves", "number", shown)] == [[1, 2], [3]]
        text = stream.getvalue()
        assert ("numbers" in text) is ("halves" in text) is seen and ("/3 " in text) is seen


def test_without_tqdm_there_are_no_bars(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(track([1, 2], "numbers", "number")) == [1, 2] and list(pieces("abc", 2, "halves", "letter")) == [
        "ab",
        "c",
    ]
    assert not sys.stderr.getvalue()
