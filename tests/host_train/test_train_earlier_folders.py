"""Folders of earlier trainings, compressions, sweeps: what failed blocks nothing, `--force` puts the rest aside."""

from __future__ import annotations

import shutil

import pytest
from digits import QUICK, write_idx

from host_train.cli import main
from host_train.runs.run import Run


def test_a_failed_run_blocks_no_other(digits, digits_folder, tmp_path, capsys):
    """It has no checkpoint, so nothing would be lost."""
    other = write_idx(tmp_path / "other", {**digits, "train_images": digits["train_images"][::-1]})
    base = ["train", "lenet", "--out", str(tmp_path / "run"), "--quiet", "--epochs", "1", "--qat-epochs", "0"]
    assert main([*base, "--data-dir", str(other), "--batch", "631"]) == 1
    assert "less than a batch of 631" in capsys.readouterr().err and (tmp_path / "run" / "run.json").is_file()
    for data in (other, digits_folder):  # other options; then other data too
        assert main([*base, "--data-dir", str(data), "--batch", "632"]) == 1
        assert "less than a batch of 632" in capsys.readouterr().err
    (tmp_path / "run" / "run.json").write_text("{")
    assert main([*base, "--data-dir", str(digits_folder), "--batch", "32", "--seed", "3"]) == 0
    assert Run.open(tmp_path / "run", digits_folder).settings.seed == 3


def test_force_puts_what_is_there_aside(trained, digits_folder, tmp_path, capsys):
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    base = ["train", "lenet", "--out", str(tmp_path / "run"), "--quiet", "--data-dir", str(digits_folder)]
    quick = ["--epochs", "1", "--batch", "32", "--qat-epochs", "0"]
    for options in ([*base, *quick], [*base, *QUICK]):
        assert main(options) == 1
        err = capsys.readouterr().err
        assert "(--force)" in err and "(--out)" in err
    weights = (tmp_path / "run" / "float" / "weights.pt").read_bytes()
    for number in (1, 2):
        assert main([*base, *quick, "--force"]) == 0
        assert f"{tmp_path / 'run'} was there already and is now {tmp_path / 'run'}.{number}" in capsys.readouterr().out
        assert not (tmp_path / "run" / "notes.txt").exists() and not (tmp_path / "run" / "qat").exists()
    assert (tmp_path / "run.1" / "float" / "weights.pt").read_bytes() == weights and (
        tmp_path / "run.1" / "notes.txt"
    ).exists()
    with pytest.raises(SystemExit):
        main([*base, *quick, "--force", "--resume"])
    assert "not allowed with argument --force" in capsys.readouterr().err


def test_force_takes_no_other_folder_away(digits_folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    quick = ["--epochs", "1", "--batch", "32", "--qat-epochs", "0", "--quiet", "--data-dir", str(digits_folder)]
    assert main(["train", "lenet", "--out", str(tmp_path / "mine"), "--force", *quick]) == 0
    assert (tmp_path / "mine" / "notes.txt").exists() and (tmp_path / "mine" / "run.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


PRUNE = ["--rounds", "1", "--round-epochs", "1", "--tune-epochs", "1", "--device", "cpu"]


def test_compressions_that_failed_block_no_other_and_force_puts_them_aside(untrained, digits_folder, tmp_path, capsys):
    base = [str(untrained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), "--quiet"]
    (tmp_path / "c" / "prune").mkdir(parents=True)
    (tmp_path / "c" / "prune" / "stage.json").write_text('{"of": "something that never began"}')
    assert main(["prune", *base, *PRUNE]) == 0
    share = ["share", *base, "--share-epochs", "1", "--device", "cpu"]
    assert main([*share, "--bits", "3"]) == 0
    assert main([*share, "--bits", "4"]) == 1
    assert (
        "go on with it (--resume), put it aside (--force), or choose another folder (--out)" in capsys.readouterr().err
    )
    assert main([*share, "--bits", "4", "--force"]) == 0
    assert (
        f"{tmp_path / 'c' / 'share'} was there already and is now {tmp_path / 'c' / 'share.1'}"
        in capsys.readouterr().out
    )
    assert (tmp_path / "c" / "share.1" / "tune" / "weights.pt").is_file() and (
        tmp_path / "c" / "prune" / "tune" / "weights.pt"
    ).is_file()
    assert main(["prune", *base, *PRUNE, "--keep", "0.5", "--force"]) == 0
    assert (tmp_path / "c.1" / "share.1").is_dir() and not (tmp_path / "c" / "share").exists()


def test_a_sweep_that_is_of_another_is_put_aside(untrained, digits_folder, tmp_path, capsys):
    words = [
        "sweep",
        str(untrained),
        "--data-dir",
        str(digits_folder),
        "--out",
        str(tmp_path / "s"),
        "--thresholds",
        "1",
        "--device",
        "cpu",
    ]
    assert main(words) == 0
    assert main([*words, "--learning-rate", "0.5"]) == 1
    assert "put it aside (--force), or choose another folder (--out)" in capsys.readouterr().err
    assert main([*words, "--learning-rate", "0.5", "--force"]) == 0
    assert (tmp_path / "s.1" / "sweep.json").is_file() and (tmp_path / "s" / "sweep.json").is_file()
