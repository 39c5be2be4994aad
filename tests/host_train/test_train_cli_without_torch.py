"""`python -m host_train` where PyTorch is not needed: help, data, samples and mistakes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from host_train.cli import main, make_parser

ROOT = Path(__file__).parents[2]
WITHOUT_DATA = ("networks", "profile", "front", "beside")


def test_help_names_every_command_and_option(capsys):
    for command in make_parser()._subparsers._group_actions[0].choices:
        with pytest.raises(SystemExit) as done:
            make_parser().parse_args([command, "--help"])
        assert done.value.code == 0
        text = capsys.readouterr().out
        assert "usage: python -m host_train" in text
        assert command in WITHOUT_DATA or "--data-dir" in text


def test_sample_is_a_plain_npz(digits_folder, tmp_path, capsys):
    out = tmp_path / "sample.npz"
    assert main(["sample", "--data-dir", str(digits_folder), "--per-class", "4", "--out", str(out)]) == 0
    with np.load(out, allow_pickle=False) as sample:
        assert sample["images"].shape == (40, 28, 28) and sample["images"].dtype == np.uint8
        assert sample["labels"].dtype == np.uint8 and np.bincount(sample["labels"]).tolist() == [4] * 10
    before = out.read_bytes()
    assert main(["sample", "--data-dir", str(digits_folder), "--per-class", "4", "--out", str(out)]) == 0
    assert out.read_bytes() == before


def test_data_tells_what_was_found(digits_folder, capsys):
    assert main(["data", "mnist", "--data-dir", str(digits_folder)]) == 0
    assert "MNIST: 700 + 120 images of 28 x 28 x 1, not the published data, from" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data", "imagenet"], "no data set is called 'imagenet'; there are mnist"),
        (["sample", "--data-dir", "nowhere"], "nowhere is no folder"),
        (["sample", "--data-dir", "DATA", "--per-class", "99"], "fewer than the 99"),
        (["sample", "--data-dir", "DATA", "--seed", "-1"], "--seed must be an integer from 0, not -1"),
        (["sample", "--data-dir", "DATA", "--per-class", "1", "--out", "DATA"], "cannot be written"),
    ],
)
def test_mistakes_without_torch_are_told_in_a_line(digits_folder, capsys, arguments, message):
    assert main([str(digits_folder) if word == "DATA" else word for word in arguments]) == 1
    err = capsys.readouterr().err
    assert err.startswith("host_train: ") and message in err


def test_who_does_not_read_the_output_gets_no_traceback(digits_folder):
    command = (
        f"{sys.executable} -m host_train data mnist --data-dir {digits_folder} | true; test ${{PIPESTATUS[0]}} -eq 1"
    )
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == ""


def test_help_data_and_sample_do_not_import_torch(digits_folder, tmp_path):
    script = (
        "import sys; sys.modules['torch'] = None\nfrom host_train.cli import main\nassert main(['sample',"
        f" '--data-dir', {str(digits_folder)!r}, '--per-class', '1', '--out', {str(tmp_path / 's.npz')!r}]) =="
        " 0\nassert main(['train', 'lenet']) == 1"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert "torch is not installed" in done.stderr and "pynq-cnn[train]" in done.stderr
