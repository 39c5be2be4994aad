"""Several processes that train one network, by torchrun: as one process does, with one voice, resumed from one
checkpoint. On CPUs, where they speak by gloo.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
import torch
import torch.distributed as dist
from digits import digit_arrays
from torch import nn

from host_train.cli import main
from host_train.data import Split
from host_train.runs.record import read_settings
from host_train.settings import Settings
from host_train.training.augment import Augmentation
from host_train.training.checkpoint import load_state
from host_train.training.fit import CHECKPOINT, WEIGHTS, fit, seed_everything
from host_train.training.forward import Forward
from host_train.training.gradients import Computed
from host_train.training.processes import ALONE, Processes, together
from host_train.training.schedule import Schedule
from host_train.training.tensors import TensorData
from pynq_cnn.errors import ArgumentError

pytestmark = pytest.mark.skipif(not dist.is_gloo_available(), reason="this PyTorch has no gloo")

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ROOT = Path(__file__).parents[2]
SECONDS = 300

EVERYTHING = Augmentation(shift=2, rotation=10, flip=True, crop=2, erase=5)
SCHEDULE = Schedule(epochs=2, batch=50, learning_rate=1e-2, optimiser="sgd", augmentation=EVERYTHING)


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent), *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def run_two(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Two processes of a program, by torchrun."""
    return subprocess.run(
        [*TORCHRUN, *words], env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False
    )


def tensors(part: str, count: int) -> TensorData:
    arrays = digit_arrays()
    split = Split(arrays[f"{part}_images"][:count, ..., None], arrays[f"{part}_labels"][:count].astype(np.int64))
    return TensorData.of(split, (0.3,), (0.3,))


def make(norm: bool) -> nn.Sequential:
    torch.manual_seed(1)
    norms = [nn.BatchNorm2d(6)] if norm else []
    return nn.Sequential(nn.Conv2d(1, 6, 5, 2), *norms, nn.ReLU(), nn.Flatten(), nn.Linear(864, 10))


def compute(folder: Path, processes: Processes) -> None:
    """Gradients of one batch, and two short trainings; what each process has goes into a file of its own."""
    torch.set_num_threads(1)
    train, validation = tensors("train", 400), tensors("test", 120)
    model = make(norm=False)
    step = Computed(
        model, Forward.of(model, SCHEDULE, torch.device("cpu"), processes), train, SCHEDULE, None, processes
    )
    seed_everything(7, 1)
    loss, right = step(torch.arange(50))
    found: dict[str, object] = {"gradients": [one.grad.clone() for one in model.parameters()]}
    found["loss"] = processes.total(loss / processes.count, right)
    for norm, epochs in ((False, 2), (True, 6)):
        schedule = Schedule(epochs, 50, 1e-2, augmentation=Augmentation(shift=2) if norm else EVERYTHING)
        model, name = make(norm), "norm" if norm else "plain"
        history = fit(model, train, validation, schedule, folder / name, processes=processes, seed=3, progress=False)
        found[name] = model.state_dict()
        found[f"{name} history"] = [[one.train_loss, one.validation_loss, one.validation_accuracy] for one in history]
        found[f"{name} right"] = [one.train_accuracy for one in history]
    torch.save(found, folder / f"rank{processes.rank}.pt")


@pytest.fixture(scope="module")
def computed(tmp_path_factory) -> list[dict]:
    """By one process; by the first and by the second of two."""
    alone, two = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("two")
    compute(alone, ALONE)
    done = subprocess.run(
        [sys.executable, __file__, str(two)], env=environment(), capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (two / "plain").iterdir()) == ["checkpoint.pt", "history.json", WEIGHTS]
    return [torch.load(path, weights_only=True) for path in (alone / "rank0.pt", two / "rank0.pt", two / "rank1.pt")]


def test_gradients_are_those_of_one_process(computed):
    alone, first, second = computed
    for one, *others in zip(alone["gradients"], first["gradients"], second["gradients"]):
        assert torch.equal(*others) and torch.allclose(one, others[0], rtol=1e-4, atol=1e-6) and one.any()
    assert first["loss"] == second["loss"] == pytest.approx(alone["loss"], rel=1e-5)


def test_a_training_is_that_of_one_process_but_for_rounding(computed):
    alone, first, second = computed
    for name, value in alone["plain"].items():
        assert torch.equal(first["plain"][name], second["plain"][name])
        assert torch.allclose(first["plain"][name], value, rtol=1e-3, atol=1e-4), name
    assert np.allclose(first["plain history"], alone["plain history"], rtol=1e-3)
    assert np.allclose(first["plain right"], alone["plain right"], atol=0.01)
    assert first["plain history"] == second["plain history"]


def test_with_batch_norm_it_is_as_good(computed):
    alone, first, second = computed
    for name, value in first["norm"].items():
        assert torch.equal(value, second["norm"][name]), name
    best = [max(one[2] for one in found["norm history"]) for found in computed]
    assert min(best) > 0.95 and best[1] == best[2]
    assert not torch.equal(alone["norm"]["0.weight"], first["norm"]["0.weight"])


def words(folder: Path, out: Path, *more: str) -> list[str]:
    options = ["--epochs", "3", "--batch", "32", "--qat-epochs", "1", "--device", "cpu", "--data-dir", str(folder)]
    return ["-m", "host_train", "train", "lenet", "--out", str(out), *options, *more]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, digits_folder) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("together") / "lenet"
    done = run_two(words(digits_folder, out))
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_one_of_them_speaks(trained):
    out, text = trained
    assert text.count("torchrun --nproc-per-node 2 -m host_train train lenet --seed 0 --epochs 3") == 1
    assert "630 images to train on, 70 held back; on cpu, 2 processes" in text
    assert [text.count(f"float epoch    {epoch}/3") for epoch in (1, 2, 3)] == [1, 1, 1]
    assert text.count("qat   epoch    1/1") == 1 and text.count("float32 on the test set") == 1
    assert not [path for path in out.rglob(".*")]  # of files half written
    assert read_settings(out).processes == 2


def test_its_run_is_as_any(trained, digits_folder, capsys):
    out, text = trained
    stored = json.loads((out / "evaluation.json").read_text())["top1"]
    assert stored > 0.9
    assert main(["export", str(out), "--data-dir", str(digits_folder), "--quantise", "qat"]) == 0
    assert main(["evaluate", str(out), "--data-dir", str(digits_folder), "--device", "cpu", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["top1"] == stored


@pytest.mark.slow  # processes that import PyTorch
def test_an_interrupted_training_goes_on(trained, digits_folder, tmp_path):
    """Ctrl-C in the middle, and then to the same bits; the second process needs no file."""
    out = tmp_path / "lenet"
    process = subprocess.Popen(
        [*TORCHRUN, *words(digits_folder, out)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        end = monotonic() + SECONDS
        while not (out / "float" / CHECKPOINT).exists() and process.poll() is None and monotonic() < end:
            sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, err = process.communicate(timeout=SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode != 0
    before = len(load_state(out / "float" / CHECKPOINT)["history"])
    if not (out / "qat" / WEIGHTS).exists():
        assert err.count("interrupted; give the same command with --resume to go on") == 1, err
    done = run_two(words(digits_folder, out, "--resume"))
    assert done.returncode == 0, done.stderr
    for stage in ("float", "qat"):
        one, other = (load_state(folder / stage / WEIGHTS) for folder in (out, trained[0]))
        assert before >= 1 and all(torch.equal(one[name], value) for name, value in other.items())


def test_one_process_goes_on_with_what_two_began(trained, digits_folder, tmp_path):
    import shutil

    shutil.copytree(trained[0], tmp_path / "lenet")
    assert main([*words(digits_folder, tmp_path / "lenet", "--resume", "--quiet")[2:]]) == 0
    assert read_settings(tmp_path / "lenet").processes == 2


@pytest.mark.slow  # processes that import PyTorch
def test_what_fails_in_the_first_fails_in_all(trained, digits_folder):
    """Where the others wait for it."""
    done = run_two(words(digits_folder, trained[0]))
    assert done.returncode != 0 and "float/checkpoint.pt is of an earlier run; go on with it (--resume)" in done.stderr


@pytest.mark.slow  # processes that import PyTorch
def test_an_error_is_told_once(digits_folder, tmp_path):
    done = run_two(words(digits_folder, tmp_path / "a", "--batch", "31"))
    assert done.returncode != 0
    assert "a batch of 31 cannot be divided among 2 processes; give a multiple of 2 (--batch)" in done.stderr
    assert "Traceback" not in done.stderr.split("host_train: ")[0]


def test_errors_are_told(capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["networks"]) == 1
    assert "only train works in several processes; give networks without torchrun" in capsys.readouterr().err
    with pytest.raises(ArgumentError, match="WORLD_SIZE=2 is set, but not what torchrun sets besides"), together("cpu"):
        pass
    monkeypatch.setenv("LOCAL_RANK", "0")
    for device, message in (("mps", "--device cpu or cuda, not mps"), ("cuda", "2 processes want a GPU each")):
        if device == "mps" or torch.cuda.device_count() < 2:
            with pytest.raises(ArgumentError, match=message), together(device):
                pass


def test_settings_of_several_processes():
    settings = Settings("lenet", processes=2)
    assert settings.command() == "torchrun --nproc-per-node 2 -m host_train train lenet --seed 0"
    assert settings == Settings("lenet")
    with pytest.raises(ArgumentError, match="processes must be"):
        Settings("lenet", processes=0)


def test_a_part_of_a_batch_is_distorted_as_in_it():
    images = torch.rand(12, 3, 16, 16)
    torch.manual_seed(2)
    whole = EVERYTHING.apply(images)
    for count in (2, 3):
        for rank in range(count):
            part = Processes(rank, count).share(12)
            torch.manual_seed(2)
            assert torch.allclose(EVERYTHING.apply(images[part], part, 12), whole[part], atol=1e-6)


def test_on_gpus_batch_norms_see_the_whole_batch():
    """A copy has PyTorch's own for that, with the very parameters and buffers of the model."""
    model, gpu = make(norm=True), torch.device("cuda")
    copied = Processes(1, 2).network(model, gpu)
    assert [type(one).__name__ for one in copied][1] == "SyncBatchNorm" and copied.training
    assert type(model[1]) is nn.BatchNorm2d
    for own, other in zip((*model.parameters(), *model.buffers()), (*copied.parameters(), *copied.buffers())):
        assert own is other
    assert Processes(1, 2).network(model, torch.device("cpu")) is model and ALONE.network(model, gpu) is model


def compute_as_one_of_two(folder: Path, rank: int, port: int) -> None:
    """`compute` with the variables that torchrun sets for a process."""
    words = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in words.items()})
    with together("cpu") as (these, _):
        compute(folder, these)


def compute_by_two(folder: Path) -> int:
    """Two forks of a process that has loaded PyTorch, and what its optimisers load: torchrun's would each do so."""
    importlib.import_module("torch._dynamo")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    both = [fork.Process(target=compute_as_one_of_two, args=(folder, rank, port)) for rank in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    return max(abs(one.exitcode or 0) for one in both)


if __name__ == "__main__":
    sys.exit(compute_by_two(Path(sys.argv[1])))
