"""The command line: what it prints, for people and for programs, and how it ends."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import subprocess
import sys
import threading
from importlib.util import find_spec
from time import sleep

import numpy as np
import pytest
from PIL import Image
from virtual import NO_PYNQ, ROOT, network_of_kind, small_network

from pynq_cnn import __version__
from pynq_cnn.backends.kernel import KernelBackend
from pynq_cnn.backends.overlay import OverlayBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.cli import COMMANDS, main
from pynq_cnn.cli.common import VIRTUAL, working
from pynq_cnn.compiler.estimate import PHASES
from pynq_cnn.errors import DeviceError
from pynq_cnn.model import Golden, save_package
from pynq_cnn.result import Classification
from pynq_cnn.zoo import load_model, load_sample

IMAGES, LABELS = load_sample()
LENET = load_model("lenet")
PYNQ = find_spec("pynq") is not None
RUN_HERE = ["reference", "cpu", "kernel"] + [VIRTUAL] * PYNQ


@pytest.fixture
def digit(tmp_path) -> str:
    Image.fromarray(IMAGES[7]).save(tmp_path / "digit.png")
    return str(tmp_path / "digit.png")


@pytest.fixture
def small(tmp_path) -> str:
    """A package of another size than digits have, without golden vectors."""
    save_package(small_network(), tmp_path / "small")
    return str(tmp_path / "small")


@pytest.fixture
def run(capsys):
    """Run the command line in this process: exit status, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        output = capsys.readouterr()
        return code, output.out, output.err

    return call


@pytest.fixture
def run_json(run):
    """The JSON that a command prints, and nothing else: it has succeeded."""

    def call(*arguments: str):
        code, out, err = run(*arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))

    return call


@pytest.fixture
def fails(run):
    """A command ends with a status, nothing on stdout, and one line on stderr."""

    def call(status: int, *arguments: str) -> str:
        code, out, err = run(*arguments)
        assert (code, out) == (status, "")
        assert err.startswith("pynq-cnn: ") and err.count("\n") == 1 and err.endswith("\n")
        return err

    return call


def process(*arguments: str, script: str = "", unbuffered: str = "", **options) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own; `script` goes before it."""
    command = (
        ["-c", f"{script}\nimport sys\nfrom pynq_cnn.cli import main\nsys.exit(main())"]
        if script
        else ["-m", "pynq_cnn"]
    )
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    return subprocess.run([sys.executable, *command, *arguments], text=True, env=environment, timeout=120, **options)


class TestUsage:
    def test_help_names_every_command(self, capsys):
        with pytest.raises(SystemExit) as caught:
            main(["--help"])
        assert caught.value.code == 0
        text = capsys.readouterr().out
        for command in COMMANDS:
            assert f"    {command.__name__.rpartition('.')[2]} " in text

    @pytest.mark.parametrize("command", [command.__name__.rpartition(".")[2] for command in COMMANDS])
    def test_help_of_every_command(self, command, capsys):
        with pytest.raises(SystemExit) as caught:
            main([command, "--help"])
        assert caught.value.code == 0
        assert ("--json" in capsys.readouterr().out) == (command != "web")  # which answers programs by HTTP

    def test_version(self, capsys):
        with pytest.raises(SystemExit) as caught:
            main(["--version"])
        assert (caught.value.code, capsys.readouterr().out) == (0, f"{__version__}\n")

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["paint"],
            ["classify"],
            ["models", "--colour"],
            ["classify", "x", "--backend", "gpu"],
            ["bench", "--images", "x"],
        ],
    )
    def test_unusable(self, arguments, capsys):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert "usage: pynq-cnn" in capsys.readouterr().err

    def test_interrupted(self, run, monkeypatch):
        def run_command(args):
            raise KeyboardInterrupt

        monkeypatch.setattr("pynq_cnn.cli.models.run", run_command)
        assert run("models") == (130, "", "interrupted\n")


class TestClassify:
    def test_text(self, run, digit):
        code, out, err = run("classify", digit, digit)
        assert (code, err) == (0, "")
        first, second = out.splitlines()
        assert first.startswith(f"{digit}: {LABELS[7]}  ({LABELS[7]} ") and first.count(" %") == 3
        assert first == second

    def test_json(self, run_json, digit):
        (answer,) = run_json("classify", digit, "--backend", "kernel")
        assert (answer["image"], answer["label"], answer["backend"]) == (digit, str(LABELS[7]), "kernel")
        with KernelBackend(LENET) as backend:
            expected = LENET.logits(backend.run(IMAGES[7:8, :, :, None]))[0]
        np.testing.assert_array_equal(np.array(answer["logits"], np.float32), expected)
        assert sum(answer["probabilities"].values()) == pytest.approx(1)

    @pytest.mark.parametrize("backend", ["auto", "reference", "cpu", "kernel"])
    def test_backends(self, run, digit, backend):
        code, out, _ = run("classify", digit, "--backend", backend)
        assert code == 0
        assert ("cpu" if backend == "auto" else backend) in out

    def test_top(self, run, fails, digit):
        for k in (1, 10, 99):
            assert run("classify", digit, "--top", str(k))[1].count(" %") == min(k, 10)
        assert "--top must be at least 1, not 0" in fails(2, "classify", digit, "--top", "0")

    @pytest.mark.parametrize("kind", ["sigmoid", "independent", "values"])
    def test_every_kind_of_output(self, run, run_json, digit, tmp_path, kind):
        network = network_of_kind(kind)
        save_package(network, tmp_path / "mine")
        (logits,) = network.logits(ReferenceBackend(network).run(IMAGES[7:8, :, :, None]))
        expected = Classification(logits, network.classes, "reference", 0.0, 0.0, IMAGES[7, :, :, None], kind=kind)
        code, out, err = run("classify", digit, "--model", str(tmp_path / "mine"))
        assert (code, err) == (0, "") and out.startswith(f"{digit}: {expected.label}  (") and out.count("\n") == 1
        assert out.count(" %") == {"sigmoid": 2, "independent": 3, "values": 0}[kind]
        (answer,) = run_json("classify", digit, "--model", str(tmp_path / "mine"))
        assert {name: answer[name] for name in ("kind", "label", "index", "values")} == {
            name: expected.to_dict()[name] for name in ("kind", "label", "index", "values")
        }

    def test_a_folder(self, run, digit, tmp_path):
        save_package(dataclasses.replace(LENET, classes=tuple("abcdefghij")), tmp_path / "mine")
        assert run("classify", digit, "--model", str(tmp_path / "mine"))[1].startswith(
            f"{digit}: {'abcdefghij'[LABELS[7]]} "
        )

    def test_failures(self, fails, digit, tmp_path):
        assert "nothing.png' does not exist" in fails(1, "classify", str(tmp_path / "nothing.png"))
        assert "'resnet' is neither a shipped network" in fails(2, "classify", digit, "--model", "resnet")
        assert "manifest.json" in fails(1, "classify", digit, "--model", str(tmp_path))
        assert "--virtual" in fails(2, "classify", digit, "--virtual", "--backend", "kernel")
        assert "no bitstream" in fails(1, "classify", digit, "--backend", "overlay")

    def test_a_bad_picture_does_not_keep_the_others_from_an_answer(self, run, digit, tmp_path):
        blank, nothing = str(tmp_path / "blank.png"), str(tmp_path / "nothing.png")
        Image.new("L", (90, 90), 255).save(blank)
        code, out, err = run("classify", digit, nothing, digit, blank)
        assert code == 1
        assert [line.split("  ")[0] for line in out.splitlines()] == [f"{digit}: {LABELS[7]}"] * 2
        assert [line.startswith(f"pynq-cnn: {path!r}") for line, path in zip(err.splitlines(), (nothing, blank))] == [
            True,
            True,
        ]
        code, out, err = run("classify", digit, nothing, blank, "--json")
        rows = json.loads(out)
        assert (code, [row["image"] for row in rows], rows[0]["label"]) == (1, [digit, nothing, blank], str(LABELS[7]))
        assert (
            "does not exist" in rows[1]["error"] and "no digit was found" in rows[2]["error"] and "label" not in rows[1]
        )
        assert err.count("\n") == 2

    def test_explain(self, run, digit):
        code, out, err = run("classify", digit, "--explain")
        assert (code, err) == (0, "")
        assert out.splitlines()[1:] == ["  prepared: taken as it is"]

    def test_doubts(self, run, run_json, tmp_path):
        two = str(tmp_path / "two.png")
        Image.fromarray(255 - np.kron(np.hstack(IMAGES[:2]), np.ones((4, 4), np.uint8))).save(two)
        code, out, err = run("classify", two)
        assert (code, err) == (0, "")
        assert out.splitlines()[1].startswith("  warning: the picture may show more than one digit")
        assert len(run_json("classify", two)[0]["warnings"]) == 1

    @pytest.mark.once
    @pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
    def test_a_name_that_is_no_text(self, digit, tmp_path):
        name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
        os.rename(digit, name)
        done = process("classify", name, f"{name}.not")
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert f"\\udcff.png: {LABELS[7]} " in done.stdout and "does not exist" in done.stderr

    def test_times(self, run_json, run, digit):
        (answer,) = run_json("classify", digit)
        assert 0 < answer["run_seconds"] < answer["seconds"]
        assert ", of which the run " in run("classify", digit)[1]

    def test_on_a_virtual_board(self, run_json, digit):
        pytest.importorskip("pynq", reason=NO_PYNQ)
        for more in ([], ["--backend", "overlay"]):
            (answer,) = run_json("classify", digit, "--virtual", *more)
            assert (answer["label"], answer["backend"]) == (str(LABELS[7]), "overlay")


@pytest.mark.once
@pytest.mark.parametrize("command", ["classify", "selftest", "bench", "demo"])
def test_a_timeout_reaches_the_driver(run, digit, monkeypatch, command):
    pytest.importorskip("pynq", reason=NO_PYNQ)
    timeouts = []
    real = OverlayBackend.run
    monkeypatch.setattr(OverlayBackend, "run", lambda self, images: timeouts.append(self.timeout) or real(self, images))
    more = {"classify": [digit, "--virtual"], "bench": ["--images", "1"]}.get(command, [])
    assert run(command, *more, "--timeout", "47.5")[0] == 0
    assert set(timeouts) == {47.5}


class TestModels:
    def test_text(self, run):
        code, out, err = run("models")
        assert (code, err) == (0, "")
        assert "lenet" in out and "MNIST" in out and "host_train train lenet" in out

    def test_json(self, run_json):
        rows = {row["name"]: row for row in run_json("models")}
        assert rows["lenet"]["accuracy"] == LENET.metadata["accuracy"]["integer_top1"]
        assert rows["lenet"]["layers"] == len(LENET.layers)
        assert rows["lenet"]["agreement"] == LENET.metadata["accuracy"]["agreement"]


class TestSelftest:
    def test_text(self, run):
        code, out, err = run("selftest")
        assert (code, err) == (0, "")
        lines = out.splitlines()
        assert lines[0] == f"lenet: {len(LENET.golden.images)} golden images, int32 results compared"
        assert [line.split("  ")[1] for line in lines[1:] if line.endswith("passed")] == RUN_HERE

    def test_json(self, run_json):
        report = run_json("selftest")
        assert report["passed"] is True
        assert [row["backend"] for row in report["backends"] if row["result"] == "passed"] == RUN_HERE
        assert all(row["why"] for row in report["backends"] if row["result"] == "skipped")

    @pytest.mark.once
    @pytest.mark.parametrize("place", [(0, 0), (31, 9), (17, 4)])
    def test_a_difference(self, run, tmp_path, place):
        """One accumulator of one image, off by one."""
        accumulators = LENET.golden.accumulators.copy()
        accumulators[place] += 1
        save_package(dataclasses.replace(LENET, golden=Golden(LENET.golden.images, accumulators)), tmp_path)
        code, out, _ = run("selftest", "--model", str(tmp_path), "--json")
        report = json.loads(out)
        assert (code, report["passed"]) == (1, False)
        assert [row["backend"] for row in report["backends"] if row["result"] == "failed"] == RUN_HERE
        assert {row["why"] for row in report["backends"] if row["result"] == "failed"} == {"1 images differ"}
        code, out, _ = run("selftest", "--model", str(tmp_path))
        assert code == 1
        assert out.count("failed: 1 images differ") == len(RUN_HERE)

    def test_a_backend_that_computes_wrongly(self, run, monkeypatch):
        right = KernelBackend._run
        monkeypatch.setattr(KernelBackend, "_run", lambda self, images: right(self, images) ^ 1)
        code, out, _ = run("selftest", "--json")
        results = {row["backend"]: row["result"] for row in json.loads(out)["backends"]}
        assert (code, results["reference"], results["kernel"]) == (1, "passed", "failed")

    def test_a_device_that_fails(self, run, monkeypatch):
        """That is no reason to skip it: it is there."""

        def fail(*arguments):
            raise DeviceError("bus error")

        monkeypatch.setattr(KernelBackend, "__init__", fail)
        code, out, _ = run("selftest", "--json")
        assert code == 1
        assert {"backend": "kernel", "result": "failed", "why": "bus error"} in json.loads(out)["backends"]

    @pytest.mark.once
    def test_what_is_required_must_have_run(self, run, run_json, fails):
        """No board is here: the real overlay cannot run, and that is a failure where it is required."""
        assert run("selftest")[0] == 0
        for arguments in (["--require", "overlay"], ["--require", "kernel", "--require", "reference,overlay"]):
            code, out, _ = run("selftest", *arguments)
            assert code == 1 and out.count("skipped, but required: ") == 1
            code, out, _ = run("selftest", *arguments, "--json")
            report = json.loads(out)
            assert (code, report["passed"], report["missing"]) == (1, False, ["overlay"])
        there = ["--require", "kernel, reference"] + (["--require", "virtual"] if PYNQ else [])
        assert run_json("selftest", *there)["missing"] == []
        for word in ("board", "kernel,,overlay", ""):
            assert "--require must be of reference, cpu, kernel, overlay, virtual, not " in fails(
                2, "selftest", "--require", word
            )

    @pytest.mark.parametrize("kind", ["sigmoid", "independent", "values"])
    def test_every_kind_of_output_on_every_backend(self, run, tmp_path, kind):
        save_package(network_of_kind(kind), tmp_path / "mine")
        there = ["reference", "cpu", "kernel"] + ["virtual"] * PYNQ
        code, out, _ = run("selftest", "--model", str(tmp_path / "mine"), "--require", ",".join(there))
        assert (code, out.count(" passed\n")) == (0, len(there))

    @pytest.mark.once
    def test_the_virtual_board_can_be_required(self):
        done = process("selftest", "--require", "virtual", script="import sys; sys.modules['pynq'] = None")
        assert done.returncode == 1 and "overlay (virtual board)  skipped, but required: " in done.stdout

    @pytest.mark.once
    @pytest.mark.parametrize(
        ("metadata", "said", "agreement"),
        [
            ({}, "as the package states: unknown\n", None),
            ({"accuracy": {"agreement": 0.1}}, "as the package states: 10.00 %; that is low, convert it again\n", 0.1),
            (
                {"conversion": {"agreement": 1.0, "doubts": ["noise"]}},
                "as the package states: 100.00 %\n  stated with a doubt: noise\n",
                1.0,
            ),
        ],
    )
    def test_what_the_package_states_of_its_agreement(self, run, run_json, tmp_path, metadata, said, agreement):
        save_package(dataclasses.replace(LENET, metadata=metadata), tmp_path / "mine")
        code, out, _ = run("selftest", "--model", str(tmp_path / "mine"))
        assert code == 0 and said in out
        report = run_json("selftest", "--model", str(tmp_path / "mine"))
        assert (report["agreement"], report["doubts"]) == (agreement, metadata.get("conversion", {}).get("doubts", []))

    def test_no_vectors(self, fails, small):
        assert "small has no golden vectors" in fails(1, "selftest", "--model", small)


class TestDemo:
    @pytest.mark.once
    def test_json(self, run_json):
        report = run_json("demo")
        assert (report["model"], report["images"], report["agree"]) == ("lenet", 500, True)
        assert [row["backend"] for row in report["backends"]] == RUN_HERE
        with KernelBackend(LENET) as backend:
            accuracy = float((LENET.logits(backend.run(IMAGES[..., None])).argmax(1) == LABELS).mean())
        for row in report["backends"]:
            assert (row["accuracy"], row["agrees"]) == (accuracy, True)
            assert row["images_per_second"] > 0
        assert accuracy >= 0.97
        assert all(row["why"] for row in report["skipped"])

    @pytest.mark.once
    def test_text(self, run):
        code, out, err = run("demo")
        assert (code, err) == (0, "")
        assert out.count("(is ") == 8
        assert "lenet on 500 digits of the MNIST test set" in out
        assert out.count(" yes\n") == len(RUN_HERE)
        assert "@" in out

    @pytest.mark.once
    def test_a_disagreement(self, run, monkeypatch):
        right = KernelBackend._run
        monkeypatch.setattr(KernelBackend, "_run", lambda self, images: right(self, images) - 1)
        code, out, _ = run("demo")
        assert (code, out.count(" NO\n")) == (1, 1)
        code, out, _ = run("demo", "--json")
        assert (code, json.loads(out)["agree"]) == (1, False)

    def test_another_network(self, fails, small):
        assert "28 x 28 digits, small takes (8, 8, 1)" in fails(2, "demo", "--model", small)

    def test_another_kind_of_output(self, fails, tmp_path):
        save_package(network_of_kind("independent"), tmp_path / "tags")
        assert "of ten digits, lenet gives 10 independent probabilities; measure it" in fails(
            2, "demo", "--model", str(tmp_path / "tags")
        )


class TestBench:
    def test_json(self, run_json):
        rows = run_json("bench", "--images", "40", "--batch", "16")
        assert [row["backend"] for row in rows] == RUN_HERE
        assert rows[0]["ratio_to_reference"] == 1
        for row in rows:
            assert row["images"] == 40
            assert row["images_per_second"] == pytest.approx(40 / row["seconds"])
            assert row["ratio_to_reference"] == pytest.approx(rows[0]["seconds"] / row["seconds"])
            assert sum(row["steps"].values()) <= row["seconds"]

    def test_text(self, run, small):
        code, out, err = run("bench", "--images", "5", "--batch", "2", "--model", small)
        assert (code, err) == (0, "")
        measured, *not_run = out.split("\nnot run: ")
        assert [why.partition(":")[0] for why in not_run] == ["overlay"] + [VIRTUAL] * (not PYNQ)
        head, table, *rows = measured.splitlines()
        assert "in batches of 2" in head
        assert table.split() == ["backend", "images", "images/s", "to", "reference", "where", "the", "time", "goes"]
        assert (rows[0].split()[1], rows[0].split()[3]) == ("5", "1")
        assert len(rows) == len(RUN_HERE)

    def test_a_slow_backend_runs_fewer_images(self, run_json, small, monkeypatch):
        """As many as take the time that is meant for it, and that of a quick one is bounded."""
        monkeypatch.setattr("pynq_cnn.cli.bench.SECONDS", 0.2)
        right = KernelBackend._run

        def slow(self, images):
            sleep(0.05 * len(images))
            return right(self, images)

        monkeypatch.setattr(KernelBackend, "_run", slow)
        monkeypatch.setattr("pynq_cnn.cli.bench.MOST", 30)
        images = {row["backend"]: row["images"] for row in run_json("bench", "--model", small)}
        assert 1 <= images["kernel"] <= 4 < images["reference"] <= 30

    @pytest.mark.parametrize(
        ("option", "value"), [("--images", "0"), ("--images", "-5"), ("--batch", "0"), ("--batch", "65536")]
    )
    def test_unusable(self, fails, option, value):
        assert value in fails(2, "bench", option, value)


class TestEstimate:
    def test_lenet_meets_its_budget(self, run_json):
        report = run_json("estimate", "--model", "lenet", "--batch", "64")
        assert report["estimate"] is True
        assert (report["batch"], report["clock_mhz"]) == (64, 100)
        assert 0 < report["cycles_per_image"] <= 2600

    def test_it_adds_up(self, run_json):
        report = run_json("estimate", "--batch", "5", "--clock-mhz", "125.5")
        total = sum(sum(layer["cycles"].values()) for layer in report["layers"])
        assert report["cycles_per_image"] == pytest.approx(total / 5)
        assert report["engine_images_per_second"] == pytest.approx(125.5e6 / report["cycles_per_image"])
        slower = max(5 / report["engine_images_per_second"], report["host_seconds"])
        assert report["images_per_second"] == pytest.approx(5 / slower)
        assert report["images_per_second_one_by_one"] < 125.5e6 / report["cycles_of_one_image"]
        macs = sum(node.macs for node in LENET.nodes)
        assert report["cycles_per_image"] > macs / 256  # no more than 16 x 16 products a cycle
        assert report["cycles_of_one_image"] > report["cycles_per_image"]

    def test_it_is_what_the_kernel_counts(self, run_json):
        report = run_json("estimate", "--batch", "7")
        with KernelBackend(LENET, 7) as backend:
            backend.run(IMAGES[:7, :, :, None])
        counted = backend.last_cycles.sum(0).tolist()
        assert [sum(layer["cycles"][phase] for layer in report["layers"]) for phase in PHASES] == counted
        names = ["(all layers)", "conv1+pool1", "conv2+pool2", "fc1", "fc2"]
        assert [layer["name"] for layer in report["layers"]] == names
        assert [layer["bound"] for layer in report["layers"]][:3] == ["memory", "compute", "compute"]
        assert all(layer["traffic_bytes"] >= 0 for layer in report["layers"])

    def test_text(self, run, small):
        code, out, err = run("estimate", "--model", small)
        assert (code, err) == (0, "")
        assert out.startswith("ESTIMATE for small, a batch of 64") and "not measured on a board" in out
        assert "images/s at 100 MHz" in out and "(estimate)" in out and "by rules of thumb" in out
        table = [line.split()[0] for line in out.splitlines()[3:8]]
        assert table == ["layer", "(all", "conv+pool", "fc", "all"]

    def test_a_timeline(self, run, small, tmp_path):
        pytest.importorskip("matplotlib")
        code, _, err = run("estimate", "--model", small, "--plot", str(tmp_path / "out.png"))
        assert (code, err) == (0, "")
        assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")

    @pytest.mark.parametrize("name", ["out.nothing", "nowhere/out.png"])
    def test_a_timeline_that_cannot_be_written(self, fails, tmp_path, name):
        pytest.importorskip("matplotlib")
        assert name in fails(2, "estimate", "--plot", str(tmp_path / name))

    def test_a_timeline_without_matplotlib(self, fails, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        assert "a timeline needs matplotlib" in fails(2, "estimate", "--plot", "out.png")

    @pytest.mark.parametrize(
        ("option", "value"),
        [("--clock-mhz", "0"), ("--clock-mhz", "-1"), ("--clock-mhz", "nan"), ("--clock-mhz", "inf"), ("--batch", "0")],
    )
    def test_unusable(self, fails, option, value):
        assert value in fails(2, "estimate", option, value)


class TestCompile:
    def test_the_listing(self, run, run_json, small):
        code, out, err = run("compile", "--model", small, "--listing", "--batch", "3")
        assert (code, err) == (0, "")
        report = run_json("compile", "--model", small, "--listing", "--batch", "3")
        assert report["listing"] == out.splitlines() and len(report["listing"]) == 1 + report["instructions"]
        assert sum("SECTION" in line for line in report["listing"]) == report["sections"]
        assert any("COMPUTE bytes" in line and "; conv+pool" in line for line in report["listing"])

    def test_the_sizes(self, run, run_json):
        sizes = run_json("compile", "--model", "deepnet", "--batch", "16")
        code, out, err = run("compile", "--model", "deepnet", "--batch", "16")
        assert (code, err) == (0, "") and "listing" not in sizes
        assert f"{sizes['instructions']} instructions in {sizes['sections']} sections" in out
        assert f"{sizes['cycles']:,} cycles" in out

    def test_unusable(self, fails):
        assert "0" in fails(2, "compile", "--batch", "0")


class TestWorking:
    """Long work shows itself to who watches, and to nobody else."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    @pytest.mark.once
    @pytest.mark.parametrize(
        "command", [["bench", "--images", "3"], ["selftest"], ["estimate", "--batch", "3"], ["demo"]]
    )
    def test_on_a_terminal(self, command, monkeypatch, capsys):
        terminal = self.Terminal()
        monkeypatch.setattr("sys.stderr", terminal)
        assert main(command) == 0
        shown = terminal.getvalue()
        assert ("kernel" in shown or "compiling" in shown) and " ... 0" in shown and "\n" not in shown
        assert shown.endswith("\r")  # wiped out
        assert "\r" not in capsys.readouterr().out

    def test_it_goes_on_while_something_is_done(self, monkeypatch):
        terminal = self.Terminal()
        monkeypatch.setattr("sys.stderr", terminal)
        monkeypatch.setattr("pynq_cnn.cli.common.REFRESH", 0.01)
        with working("measuring", 12.3):
            while terminal.getvalue().count("measuring ... ") < 3:
                sleep(0.005)
        assert "measuring ... 0 of about 12 s" in terminal.getvalue()
        before = terminal.getvalue()
        sleep(0.03)
        assert terminal.getvalue() == before

    def test_an_error_ends_it(self, monkeypatch):
        monkeypatch.setattr("sys.stderr", self.Terminal())
        threads = threading.active_count()
        with pytest.raises(KeyboardInterrupt), working("measuring"):
            raise KeyboardInterrupt
        assert threading.active_count() == threads

    def test_where_nobody_watches(self, capsys):
        with working("measuring"):
            pass
        assert capsys.readouterr().err == ""


class TestProcess:
    """Things that only a real process shows."""

    @pytest.mark.once
    def test_success(self, digit):
        done = process("classify", digit, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)[0]["label"] == str(LABELS[7])

    @pytest.mark.once
    @pytest.mark.parametrize(
        ("status", "arguments"),
        [
            (1, ["classify", "nothing.png"]),
            (2, ["classify", "nothing.png", "--model", "resnet"]),
            (2, ["bench", "--images", "0"]),
        ],
    )
    def test_failures_are_one_line(self, status, arguments):
        done = process(*arguments)
        assert (done.returncode, done.stdout) == (status, "")
        assert done.stderr.startswith("pynq-cnn: ") and done.stderr.count("\n") == 1

    @pytest.mark.once
    def test_usage(self):
        done = process("paint")
        assert (done.returncode, done.stdout) == (2, "")
        assert "Traceback" not in done.stderr

    @pytest.mark.once
    @pytest.mark.parametrize("unbuffered", ["", "1"])
    def test_the_reader_of_the_output_has_left(self, unbuffered):
        """As after `| head -1`: no traceback, whether that shows when printing or at the end."""
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = process("models", stdout=writer, unbuffered=unbuffered)
        finally:
            os.close(writer)
        assert (done.returncode, done.stderr) == (1, "")

    @pytest.mark.once
    def test_head(self):
        command = f"set -o pipefail; {sys.executable} -u -m pynq_cnn demo | head -1"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, timeout=120)
        assert len(done.stdout.splitlines()) == 1
        assert done.stderr == ""
        assert done.returncode in (0, 1)  # whether demo was still writing when head had left

    @pytest.mark.once
    def test_where_pynq_is_not_installed(self, digit):
        done = process("classify", digit, "--virtual", script="import sys; sys.modules['pynq'] = None")
        assert (done.returncode, done.stdout) == (1, "")
        assert "pip install 'pynq_cnn[board]'" in done.stderr and done.stderr.count("\n") == 1

    @pytest.mark.once
    def test_where_the_kernel_was_not_compiled(self, digit):
        script = "import pynq_cnn.backends.compiled as compiled; compiled.EXTENSION_SUFFIXES = []"
        done = process("selftest", script=script)
        assert done.returncode == 0
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("  kernel ")]
        assert line.startswith("  kernel                   skipped: ") and "not compiled" in line
        done = process("classify", digit, "--backend", "kernel", script=script)
        assert (done.returncode, done.stdout) == (1, "")
        assert "apt-get install g++" in done.stderr and done.stderr.count("\n") == 1
        assert process("estimate", script=script).returncode == 0, "the instructions alone say what they take"
