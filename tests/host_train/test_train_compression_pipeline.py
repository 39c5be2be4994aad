"""The pipeline from a run to its package, in steps and as a whole."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from host_train.cli import main, make_parser
from host_train.commands.compression import command_line
from host_train.compression.dense import dense_model, layer_sizes
from host_train.compression.prune import kept, prune_to, threshold_keep, weighted_layers
from host_train.compression.recipe import find_compression
from host_train.compression.subject import subject_of
from host_train.compression.sweep import sweep
from host_train.compression.table import (
    compression_table,
    to_json,
)
from host_train.networks.lenet import build_lenet
from host_train.quantisation.fold import fold
from host_train.runs.run import Run
from host_train.training.curves import plot_history
from pynq_cnn.errors import ArgumentError, NetworkError
from pynq_cnn.model import (
    Conv2d,
    Dense,
    load_package,
    save_package,
    stored_bytes,
)
from pynq_cnn.zoo import load_model

QUICK = [
    "--keep",
    "conv1=0.9",
    "conv2=0.6",
    "fc1=0.05",
    "fc2=0.5",
    "--bits",
    "fc1=3",
    "--rounds",
    "2",
    "--round-epochs",
    "1",
]


QUICK += ["--tune-epochs", "2", "--share-epochs", "2", "--learning-rate", "0.003", "--device", "cpu"]


@pytest.fixture(scope="module")
def trained(short_lenet) -> Path:
    return short_lenet


def of(command: str, words: list[str] = QUICK) -> list[str]:
    """The options of `compress` that another command has."""
    parser = make_parser()._subparsers._group_actions[0].choices[command]  # type: ignore[union-attr, index]
    taken, keep = [], False
    for word in words:
        keep = word in parser._option_string_actions if word.startswith("--") else keep
        taken += [word] * keep
    return taken


@pytest.fixture(scope="module")
def compressed(trained, digits_folder) -> Path:
    """Interrupted after every epoch of every stage, and resumed; pruning ended by `prune`."""
    arguments = [str(trained), "--data-dir", str(digits_folder), "--resume"]
    stops = [("prune 1/2", 1), ("prune 2/2", 1), ("tune", 1), ("share", 1)]
    with pytest.MonkeyPatch.context() as patch:
        for stage, epoch in stops:

            def interrupt(name, epochs, record, stage=stage, epoch=epoch):
                if (name, record.epoch) == (stage, epoch):
                    raise KeyboardInterrupt

            patch.setattr("host_train.commands.compression.print_epoch", interrupt)
            assert main(["compress", *arguments, *QUICK]) == 130
            if stage == "tune":
                patch.setattr("host_train.commands.compression.print_epoch", lambda *_: None)
                assert main(["prune", *arguments, *of("prune")]) == 0
    assert main(["compress", *arguments, *QUICK]) == 0
    return trained / "compressed"


@pytest.fixture(scope="module")
def step_by_step(trained, digits_folder, tmp_path_factory) -> Path:
    """By `prune`, `share` (interrupted and resumed) and `huffman`."""
    out = tmp_path_factory.mktemp("steps") / "c"
    arguments = [str(trained), "--data-dir", str(digits_folder), "--out", str(out)]
    assert main(["prune", *arguments, *of("prune")]) == 0
    with pytest.MonkeyPatch.context() as patch:

        def interrupt(name, epochs, record):
            raise KeyboardInterrupt

        patch.setattr("host_train.commands.compression.print_epoch", interrupt)
        assert main(["share", *arguments, *of("share")]) == 130
    assert main(["share", *arguments, *of("share"), "--resume"]) == 0
    assert main(["huffman", *arguments]) == 0
    return out


def test_three_commands_do_what_one_does(step_by_step, compressed, capsys):
    steps, whole = (load_package(folder / "package") for folder in (step_by_step, compressed))
    train, *commands = steps.metadata["recipe"].split(" && ")
    assert train == whole.metadata["recipe"].split(" && ")[0] and [command.split()[3] for command in commands] == [
        "prune",
        "share",
        "huffman",
    ]
    assert "--keep conv1=0.9" in commands[0] and "--bits fc1=3 --share-epochs 2" in commands[1]
    assert replace(steps, metadata={**steps.metadata, "recipe": whole.metadata["recipe"]}) == whole
    for name in ("prune/stage.json", "share/stage.json"):
        assert (step_by_step / name).read_text() == (compressed / name).read_text()
    tables = [(folder / "table.md").read_text().splitlines() for folder in (step_by_step, compressed)]
    assert tables[0][:-1] != tables[1][:-1] and tables[0][1:-1] == tables[1][1:-1]  # but for the commands


def test_compress_goes_on_from_each_of_them(step_by_step, compressed, trained, digits_folder, tmp_path):
    shutil.copytree(step_by_step, tmp_path / "c")
    arguments = [str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), "--resume", *QUICK]
    assert main(["compress", *arguments]) == 0
    assert load_package(tmp_path / "c" / "package") == load_package(compressed / "package")


def test_stages_without_a_noted_command_are_told_by_what_was_asked_for(step_by_step, trained, digits_folder, tmp_path):
    shutil.copytree(step_by_step, tmp_path / "c")
    (tmp_path / "c" / "prune" / "command.txt").unlink()
    assert main(["huffman", str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c")]) == 0
    commands = load_package(tmp_path / "c" / "package").metadata["recipe"].split(" && ")[1:]
    assert (
        commands[0] == "prune as prune/stage.json says"
        and "host_train share" in commands[1]
        and "host_train huffman" in commands[2]
    )


def test_stages_that_are_not_there_are_named(step_by_step, trained, digits_folder, tmp_path, capsys):
    def refused(command: str, message: str) -> None:
        assert main([command, str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c")]) == 1
        assert message in capsys.readouterr().err

    refused("share", "prune/stage.json is not there; first: python -m host_train prune RUN")
    refused("huffman", "prune/stage.json is not there; first: python -m host_train prune RUN")
    shutil.copytree(step_by_step, tmp_path / "c")
    refused("share", "share is of an earlier compression; go on with it (--resume)")
    (tmp_path / "c" / "share" / "tune" / "weights.pt").unlink()
    refused(
        "huffman",
        "share/tune/weights.pt is not there, that stage has not ended; go on with it: python -m host_train share RUN"
        " --resume",
    )
    shutil.rmtree(tmp_path / "c" / "share")
    refused("huffman", "share/stage.json is not there; first: python -m host_train share RUN")
    (tmp_path / "c" / "prune" / "tune" / "weights.pt").unlink()
    refused("share", "prune/tune/weights.pt is not there, that stage has not ended")
    stage = json.loads((tmp_path / "c" / "prune" / "stage.json").read_text())
    for changes, message in [
        ({"of": "train another"}, "is of another run, 'train another'"),
        ({"keep": 1}, "cannot be read"),
        ({"rounds": None}, "rounds"),
    ]:
        (tmp_path / "c" / "prune" / "stage.json").write_text(json.dumps({**stage, **changes}))
        refused("share", message)


def test_what_is_in_the_packages_place_is_told_before_training(trained, digits_folder, tmp_path, capsys):
    (tmp_path / "c" / "package").mkdir(parents=True)
    (tmp_path / "c" / "package" / "notes.txt").write_text("mine")
    assert main(["compress", str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), *QUICK]) == 1
    assert "not a model package" in capsys.readouterr().err and not (tmp_path / "c" / "prune").exists()


def test_compression_leaves_everything_in_its_folder(compressed):
    files = {path.relative_to(compressed).as_posix() for path in compressed.rglob("*") if path.is_file()}
    tuned = {
        f"{stage}/tune/{name}" for stage in ("prune", "share") for name in ("weights.pt", "history.json", "curves.png")
    }
    rounds = {f"prune/round-0{number}/history.json" for number in (1, 2)}
    assert (
        files
        >= {
            "prune/stage.json",
            "share/stage.json",
            "table.json",
            "table.md",
            "package/manifest.json",
        }
        | tuned
        | rounds
    )
    assert not any(name.endswith("checkpoint.pt") or name.split("/")[-1].startswith(".") for name in files)
    assert not any(name.startswith("prune/round") and name.endswith("weights.pt") for name in files)


def test_an_interrupted_compression_gives_what_an_uninterrupted_one_does(
    compressed, trained, digits_folder, tmp_path, capsys
):
    arguments = [str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), *QUICK]
    assert main(["compress", *arguments]) == 0
    text = capsys.readouterr().out
    assert "prune 1/2" in text and "| total" in text and "in integers" in text and "fc1" in text
    assert load_package(tmp_path / "c" / "package") == load_package(compressed / "package")
    assert (tmp_path / "c" / "table.md").read_text() == (compressed / "table.md").read_text()
    assert main(["compress", *arguments]) == 1
    assert "--resume" in capsys.readouterr().err
    assert main(["compress", *arguments, "--resume", "--tune-epochs", "3"]) == 1
    assert "has another schedule" in capsys.readouterr().err
    assert main(["compress", *arguments, "--resume", "--rounds", "3", "--round-epochs", "2"]) == 1
    assert "has another rounds and round_epochs" in capsys.readouterr().err
    assert main(["compress", *arguments, "--resume", "--bits", "5"]) == 1
    assert "share has another bits" in capsys.readouterr().err


def test_the_package_is_pruned_shared_and_as_good_as_it_says(compressed, digits_folder, capsys):
    network = load_package(compressed / "package")
    layers = {layer.name: layer for layer in network.layers if isinstance(layer, (Conv2d, Dense))}
    for name, part in {"conv1": 0.9, "conv2": 0.6, "fc1": 0.05, "fc2": 0.5}.items():
        layer = layers[name]
        assert 0 < (layer.weight != 0).sum() <= round(part * layer_sizes(build_lenet())[name][0])
        assert len(layer.shared.codebook) <= (8 if name == "fc1" else 16)
    stated = network.metadata["accuracy"]
    assert stated["integer_top1"] > 0.5 and abs(stated["integer_top1"] - stated["shared_top1"]) < 0.05
    assert 0.9 < stated["agreement"] <= 1.0
    assert (
        len(network.golden.images) == 32
        and "&& python -m host_train compress runs/lenet --keep conv1=0.9" in network.metadata["recipe"]
    )
    assert main(["evaluate", str(compressed / "package"), "--data-dir", str(digits_folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] == stated["integer_top1"]


def test_what_compression_costs_is_looked_at(trained, digits_folder, tmp_path, capsys):
    few = [
        "--keep",
        "0.01",
        "--bits",
        "2",
        "--rounds",
        "1",
        "--round-epochs",
        "1",
        "--tune-epochs",
        "1",
        "--share-epochs",
        "1",
    ]
    where = [str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), "--device", "cpu"]
    assert main(["compress", *where, *few]) == 0
    accuracy = load_package(tmp_path / "c" / "package").metadata["accuracy"]
    lost = 100 * (accuracy["float32_top1"] - accuracy["integer_top1"])
    assert lost > 20
    assert (
        f"host_train: {lost:.2f} points of accuracy are lost to compression; keep more (--keep)"
        in capsys.readouterr().err
    )
    assert main(["huffman", *where[:-2], "--min-agreement", "0"]) == 0
    assert "lost to compression" not in capsys.readouterr().err


def test_what_is_not_encoded_has_no_table(tmp_path):
    network = load_model("lenet")
    save_package(network, tmp_path / "p")
    with pytest.raises(ArgumentError, match="weights of conv1 are not encoded"):
        compression_table(network, tmp_path / "p")


def test_sizes_count_the_biases_that_are_there():
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3, bias=False)), nn.ConvTranspose2d(4, 3, 2), nn.Flatten(), nn.Linear(5, 2)
    )
    assert layer_sizes(model) == {"0.0": (36, 0), "1": (48, 3), "3": (10, 2)}


def test_the_table_is_that_of_the_package(compressed):
    stored = json.loads((compressed / "table.json").read_text())
    network = load_package(compressed / "package")
    rows = compression_table(network, compressed / "package", layer_sizes(build_lenet()))
    assert stored["layers"] == to_json(rows) and stored["accuracy"] == network.metadata["accuracy"]
    last = rows[-1]
    assert last.name == "total" and last.weights + last.biases == 13242 and last.dense == 4 * 13242
    arrays = [path for path in (compressed / "package").glob("*.npy") if not path.name.startswith("golden")]
    files = sum(path.stat().st_size for path in arrays)
    assert last.stored == files == sum(size.stored for size in stored_bytes(compressed / "package"))
    assert last.shared < last.pruned < last.dense and rows[-2].name == "output" and rows[-2].stored > 2 * 128
    constants = ("multiplier", "shift", "scale", "offset")
    assert last.stored - last.huffman == sum(
        path.stat().st_size - (0 if path.stem.split(".")[-1] in constants else np.load(path).nbytes) for path in arrays
    )
    folder = files + (compressed / "package" / "manifest.json").stat().st_size
    assert f"the folder takes {folder:,}: {last.dense / folder:.1f}x" in (compressed / "table.md").read_text()


def test_an_interruption_behind_the_last_epoch_is_made_good(compressed, trained, digits_folder, tmp_path, monkeypatch):
    """While the curves are drawn: the picture comes, and what is of use only to a resumption goes."""
    arguments = [
        "compress",
        str(trained),
        "--data-dir",
        str(digits_folder),
        "--out",
        str(tmp_path / "c"),
        "--resume",
        *QUICK,
    ]
    for name in ("prune 2/2", "tune", "share"):
        with monkeypatch.context() as patch:

            def interrupted(history, path, title, name=name):
                if title.endswith(f": {name}"):
                    raise KeyboardInterrupt
                plot_history(history, path, title)

            patch.setattr("host_train.compression.pipeline.plot_history", interrupted)
            assert main(arguments) == 130
    assert main(arguments) == 0
    files, whole = (
        {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "c", compressed)
    )
    assert files == whole
    assert load_package(tmp_path / "c" / "package") == load_package(compressed / "package")


def test_shared_weights_of_a_pruning_that_is_gone_are_refused(compressed, trained, digits_folder, tmp_path, capsys):
    shutil.copytree(compressed, tmp_path / "c")
    shutil.rmtree(tmp_path / "c" / "prune")
    arguments = [str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), "--resume", *QUICK]
    assert main(["compress", *arguments]) == 1
    assert f"{tmp_path / 'c' / 'share'} is of an earlier pruning; put it aside (--force)" in capsys.readouterr().err


def test_a_sweep_interrupted_in_its_first_point_is_of_its_run(trained, digits_folder, tmp_path):
    run = Run.open(trained, digits_folder)
    with pytest.MonkeyPatch.context() as patch:

        def interrupted(model, train, validation, schedule, folder, **options):
            if schedule.epochs == 1:
                folder.mkdir()
                (folder / "checkpoint.pt").write_bytes(b"")
            raise KeyboardInterrupt

        patch.setattr("host_train.compression.sweep.fit", interrupted)
        for epochs in (2, 1):  # that of two has not come as far as a checkpoint, and blocks nothing
            with pytest.raises(KeyboardInterrupt):
                sweep(subject_of(run), tmp_path, [1.0], epochs=epochs)
    with pytest.raises(ArgumentError, match="of another sweep"):
        sweep(subject_of(replace(run, settings=replace(run.settings, seed=9))), tmp_path, [1.0], epochs=1)


def test_absolute_thresholds_by_the_command_line(trained, digits_folder, tmp_path, capsys):
    where = [str(trained), "--data-dir", str(digits_folder), "--device", "cpu", "--quiet"]
    assert main(["sweep", *where, "--out", str(tmp_path / "s"), "--absolute", "--thresholds", "0.01", "0.1"]) == 0
    points = json.loads((tmp_path / "s" / "sweep.json").read_text())["points"]
    dense = dense_model(Run.open(trained, digits_folder))
    for point in points:
        left = sum(int((layer.weight.abs() >= point["threshold"]).sum()) for layer in weighted_layers(dense).values())
        assert point["sparsity"] == pytest.approx(1 - left / 13188)
    assert main(["sweep", *where, "--out", str(tmp_path / "s"), "--thresholds", "0.01"]) == 1
    assert "of another sweep" in capsys.readouterr().err
    quick = ["--rounds", "1", "--round-epochs", "1", "--tune-epochs", "1"]
    assert main(["prune", *where, "--out", str(tmp_path / "p"), "--absolute", "--threshold", "0.1", *quick]) == 0
    stage = json.loads((tmp_path / "p" / "prune" / "stage.json").read_text())
    assert stage["keep"] == threshold_keep(dense, 0.1, absolute=True)
    assert "--threshold 0.1 --absolute" in (tmp_path / "p" / "prune" / "command.txt").read_text()


def test_the_experiment_step_by_step(trained, digits_folder, tmp_path, capsys, monkeypatch):
    words = ["experiment", str(trained), "--data-dir", str(digits_folder), "--device", "cpu", "--quiet"]
    words += ["--out", str(tmp_path / "e"), "--epochs", "1", "--thresholds", "0.02", "0.1"]
    with monkeypatch.context() as patch:
        patch.setattr("host_train.compression.experiment.plain", lambda model: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            main(words)
        begun = (tmp_path / "e" / "threshold-0.1" / "weights.pt").stat().st_mtime_ns
    assert main(words) == 0  # goes on behind the second threshold
    assert (tmp_path / "e" / "threshold-0.1" / "weights.pt").stat().st_mtime_ns == begun
    steps = json.loads((tmp_path / "e" / "experiment.json").read_text())["steps"]
    assert [step["name"] for step in steps] == ["trained", "threshold 0.02", "threshold 0.1", "2 bits"]
    assert steps[0]["kept"] == 1 > steps[1]["kept"] > steps[2]["kept"] >= steps[3]["kept"]
    assert steps[2]["before"] <= steps[1]["after"] and min(step["after"] for step in steps) > 0.3
    text = capsys.readouterr().out
    assert "| 2 bits" in text and "93.85 %" in text and "of the weights kept" in text
    assert main([*words[:-2], "0.02"]) == 1
    assert "of another experiment" in capsys.readouterr().err
    assert main([*words[:-2], "0.2", "0.1"]) == 1
    assert "thresholds must ascend" in capsys.readouterr().err


def test_commands_say_numbers_as_they_were_given():
    args = make_parser().parse_args(["compress", "r", "--target", "100", "--learning-rate", "0.00123456789"])
    assert (
        command_line(args, "lenet5")
        == "python -m host_train compress runs/lenet5 --target 100 --learning-rate 0.00123456789"
    )


def test_a_sweep_is_measured_resumed_and_plotted(trained, digits_folder, tmp_path, capsys):
    arguments = ["sweep", str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "s"), "--epochs", "1"]
    assert main([*arguments, "--thresholds", "0", "1.5"]) == 0
    before = json.loads((tmp_path / "s" / "sweep.json").read_text())["points"]
    assert main([*arguments, "--thresholds", "0", "1", "1.5"]) == 0
    assert capsys.readouterr().out.count("threshold  1.500") == 1
    points = json.loads((tmp_path / "s" / "sweep.json").read_text())["points"]
    assert [points[0], points[2]] == before and [point["threshold"] for point in points] == [0, 1, 1.5]
    assert points[0]["sparsity"] == 0 and points[0]["sparsity"] < points[1]["sparsity"] < points[2]["sparsity"]
    run = Run.open(trained, digits_folder)
    model = dense_model(run)
    prune_to(model, threshold_keep(model, 1.0))
    left = sum(count for count, _ in kept(model).values())
    assert points[1]["sparsity"] == 1 - left / sum(size for _, size in kept(model).values())
    data = run.tensors(run.validation)
    with torch.no_grad():
        right = sum((model(images).argmax(1) == labels).sum().item() for images, labels in data.batches())
    assert points[1]["accuracy"] == right / len(data)
    names = ("threshold-accuracy", "threshold-sparsity", "sparsity-accuracy")
    assert all((tmp_path / "s" / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in names)
    assert main([*arguments[:-1], "2", "--thresholds", "0"]) == 1
    assert "of another sweep" in capsys.readouterr().err
    with pytest.raises(ArgumentError, match="no thresholds"):
        sweep(subject_of(run), tmp_path, [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compress", "RUN", "--keep", "fc1=x"], "--keep fc1=x: 'x' is not a number"),
        (
            ["compress", "RUN", "--keep", "fc9=0.1"],
            "keep names the layer 'fc9'; the layers with weights are conv1, conv2, fc1, fc2",
        ),
        (["compress", "RUN", "--bits", "2.5"], "--bits 2.5: '2.5' is not a number"),
        (["compress", "RUN", "--bits", "fc1=12"], "from 2 to 8, not 12"),
        (["compress", "RUN", "--target", "1000"], "can be asked for"),
        (["prune", "RUN", "--keep", "0.1", "--threshold", "1"], "give one of them"),
        (["prune", "RUN", "--threshold", "-1"], "must not be negative"),
        (["prune", "RUN", "--rounds", "0"], "rounds must be"),
        (["prune", "RUN", "--device", "abacus"], "--device abacus cannot be used"),
        (["prune", "OTHER"], "is no run"),
        (["sweep", "RUN", "--thresholds", "-1"], "must not be negative"),
        (["sweep", "RUN", "--absolute"], "give them, as by --thresholds"),
        (["prune", "RUN", "--absolute"], "--absolute says how --threshold is meant"),
        (["experiment", "RUN", "--bits", "1"], "from 2 to 8, not 1"),
        (["sweep", "RUN", "--epochs", "-1"], "epochs must be"),
        (["sweep", "RUN", "--device", "meta"], "--device meta cannot be used"),
        (["share", "OTHER"], "is no run"),
        (["huffman", "OTHER"], "is no run"),
    ],
)
def test_mistakes_are_told_in_a_line(trained, digits_folder, tmp_path, capsys, arguments, message):
    places = {"RUN": str(trained), "OTHER": str(tmp_path / "OTHER")}
    words = [places.get(word, word) for word in arguments]
    assert main([*words, "--data-dir", str(digits_folder), "--out", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert err.startswith("host_train: ") and message in err


def test_a_plain_part_is_for_the_layers_not_named(trained, digits_folder, tmp_path, capsys):
    """Over the recipe, which names them all."""
    words = [
        "--keep",
        "fc1=0.1",
        "--threads",
        "1",
        "--rounds",
        "1",
        "--round-epochs",
        "1",
        "--tune-epochs",
        "1",
        "--quiet",
    ]
    assert main(["prune", str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), *words]) == 0
    keep = json.loads((tmp_path / "c" / "prune" / "stage.json").read_text())["keep"]
    assert keep == {**find_compression("lenet").keep, "fc1": 0.1}
    words[:2] = ["--keep", "fc1=0.1", "0.7"]
    assert main(["prune", str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "d"), *words]) == 0
    keep = json.loads((tmp_path / "d" / "prune" / "stage.json").read_text())["keep"]
    assert keep == {"conv1": 0.7, "conv2": 0.7, "fc1": 0.1, "fc2": 0.7}


def test_a_damaged_stage_is_named(trained, digits_folder, tmp_path, capsys):
    (tmp_path / "c" / "prune" / "tune").mkdir(parents=True)
    (tmp_path / "c" / "prune" / "tune" / "checkpoint.pt").write_bytes(b"")
    (tmp_path / "c" / "prune" / "stage.json").write_text("{")
    assert (
        main(["prune", str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), "--resume"]) == 1
    )
    assert "stage.json cannot be read" in capsys.readouterr().err


def test_binary_networks_are_refused(trained, digits_folder):
    from host_train.networks.vgg_bnn import VGG_BNN_HALF

    run = Run.open(trained, digits_folder)

    class Binary(Run):
        def float_model(self):
            return VGG_BNN_HALF.build()

    with pytest.raises(ArgumentError, match="has binary weights"):
        dense_model(Binary(run.folder, run.settings, run.recipe, run.dataset, run.train, run.validation))


def test_networks_that_cannot_be_folded_are_refused():
    with pytest.raises(NetworkError, match="Sigmoid"):
        fold(nn.Sequential(nn.Linear(2, 2), nn.Sigmoid()))


@pytest.mark.slow
def test_a_short_compression_on_real_digits(tmp_path, monkeypatch):
    """Ten epochs in all: a fifth of the weights in 4 bits costs less than two points."""
    monkeypatch.delenv("PYNQ_CNN_DATA")
    assert main(["train", "lenet", "--out", str(tmp_path), "--epochs", "4", "--qat-epochs", "0", "--quiet"]) == 0
    words = [
        "--keep",
        "fc1=0.2",
        "--rounds",
        "3",
        "--round-epochs",
        "1",
        "--tune-epochs",
        "2",
        "--share-epochs",
        "1",
        "--quiet",
    ]
    assert main(["compress", str(tmp_path), *words]) == 0
    accuracy = load_package(tmp_path / "compressed" / "package").metadata["accuracy"]
    assert accuracy["integer_top1"] > accuracy["float32_top1"] - 0.02 and accuracy["images"] == 10000
    assert abs(accuracy["integer_top1"] - accuracy["shared_top1"]) < 0.003
