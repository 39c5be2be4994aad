"""`python -m host_train` from training to a package and its sample."""

from __future__ import annotations

import json
import re
import shutil
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from digits import write_idx

from host_train.cli import main, make_parser
from host_train.commands.options import find_device
from host_train.data import DATASETS, load_dataset
from host_train.data.dataset import digest
from host_train.data.npz import write_npz
from host_train.networks import RECIPES
from host_train.runs.quantising import in_integers
from host_train.runs.record import data_digest
from host_train.runs.run import Run
from host_train.settings import Settings
from host_train.training.record import EpochRecord
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import Dense, InputSpec, Network, OutputSpec, load_package, save_package
from pynq_cnn.zoo import load_model

ROOT = Path(__file__).parents[2]
QUICK = ["--epochs", "3", "--batch", "32", "--qat-epochs", "2", "--seed", "4", "--device", "cpu"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, digits_folder) -> Path:
    """A run that was interrupted twice, in either training, and resumed."""
    out = tmp_path_factory.mktemp("runs") / "lenet"
    arguments = ["train", "lenet", "--data-dir", str(digits_folder), "--out", str(out), *QUICK]
    with pytest.MonkeyPatch.context() as patch:
        for epochs in (2, 1):

            def interrupt(stage: str, total: int, record: EpochRecord, epochs: int = epochs) -> None:
                if record.epoch == epochs:
                    raise KeyboardInterrupt

            patch.setattr("host_train.commands.train.print_epoch", interrupt)
            assert main([*arguments, "--resume"]) == 130
    assert main([*arguments, "--resume"]) == 0
    return out


def test_training_leaves_everything_in_its_folder(trained, capsys):
    files = {path.relative_to(trained).as_posix() for path in trained.rglob("*") if path.is_file()}
    stage = {"checkpoint.pt", "weights.pt", "history.json", "curves.png"}
    assert files >= {
        "run.json",
        "evaluation.json",
        "confusion.png",
        *(f"{s}/{f}" for s in ("float", "qat") for f in stage),
    }
    assert not any(name.split("/")[-1].startswith(".") for name in files)
    assert [record["epoch"] for record in json.loads((trained / "qat" / "history.json").read_text())] == [1, 2]
    assert (
        json.loads((trained / "run.json").read_text())["command"]
        == "python -m host_train train lenet --seed 4 --epochs 3 --batch 32 --qat-epochs 2"
    )


def test_interrupted_training_gives_what_an_uninterrupted_one_does(trained, tmp_path, digits_folder):
    assert main(["train", "lenet", "--data-dir", str(digits_folder), "--out", str(tmp_path), "--quiet", *QUICK]) == 0
    for stage in ("float", "qat"):
        whole, parts = (torch.load(folder / stage / "weights.pt", weights_only=True) for folder in (tmp_path, trained))
        assert whole.keys() == parts.keys() and all(torch.equal(whole[name], parts[name]) for name in whole)
    assert json.loads((tmp_path / "evaluation.json").read_text()) == json.loads(
        (trained / "evaluation.json").read_text()
    )


def test_export_writes_a_package_with_its_own_accuracy(trained, digits_folder, capsys, tmp_path):
    assert main(["export", str(trained), "--data-dir", str(digits_folder)]) == 0
    text = capsys.readouterr().out
    assert all(label in text for label in ("max", "percentile", "mse", "qat", "<- exported"))
    network = load_package(trained / "package")
    stated = network.metadata["accuracy"]
    assert (
        network.metadata["dataset"] == "MNIST" and not network.metadata["dataset_original"] and stated["images"] == 120
    )
    assert len(network.golden.images) == 32 and network.input.fit == "digit" and network.input.invert == "auto"
    assert [type(layer).__name__ for layer in network.layers] == [
        "Conv2d",
        "MaxPool2d",
        "Conv2d",
        "MaxPool2d",
        "Dense",
        "Dense",
    ]

    assert main(["evaluate", str(trained / "package"), "--data-dir", str(digits_folder), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["top1"] == stated["integer_top1"] and measured["model"] == "lenet, integers"
    assert (
        main(["evaluate", str(trained), "--data-dir", str(digits_folder), "--json", "--plot", str(tmp_path / "c.png")])
        == 0
    )
    measured = json.loads(capsys.readouterr().out)
    assert measured["top1"] == stated["float32_top1"] and measured["model"] == "lenet, float32"
    assert (tmp_path / "c.png").exists() and measured["top1"] > 0.5
    assert main(["evaluate", str(trained / "package"), "--data-dir", str(digits_folder), "--split", "train"]) == 0
    assert "of 700)" in capsys.readouterr().out


def test_fake_quantisation_predicts_the_integers(trained, digits_folder):
    run = Run.open(trained, digits_folder)
    data = run.tensors(run.dataset.test)
    from host_train.evaluation.evaluate import predict_integers

    with torch.no_grad():
        fake = torch.cat([run.qat_model()(images) for images, _ in data.batches()]).numpy()
    integers = predict_integers(in_integers(run, run.qat_model()))(run.dataset.test.images)
    assert np.abs(fake - integers).mean() < 0.02 * fake.std()
    assert (fake.argmax(1) == integers.argmax(1)).mean() > 0.97


def test_an_interrupted_quantisation_aware_training_blocks_no_other_export(trained, digits_folder, tmp_path, capsys):
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "qat" / "weights.pt").unlink()
    arguments = ["export", str(tmp_path / "run"), "--data-dir", str(digits_folder), "--out", str(tmp_path / "p")]
    for how in ("auto", "qat"):
        assert main([*arguments, "--quantise", how]) == 1
        err = capsys.readouterr().err
        assert "qat/weights.pt is not there" in err and "train lenet --seed 4 --epochs 3" in err and "--resume" in err
    assert main([*arguments, "--quantise", "max"]) == 0
    assert "qat" not in capsys.readouterr().out and load_package(tmp_path / "p").metadata["quantisation"] == "max"
    resume = ["train", "lenet", "--data-dir", str(digits_folder), "--out", str(tmp_path / "run"), "--resume", *QUICK]
    assert main(resume) == 0 and main(arguments) == 0


def test_a_run_keeps_to_its_data(trained, digits, digits_folder, tmp_path, capsys):
    other = write_idx(tmp_path / "other", {**digits, "train_images": digits["train_images"][::-1]})
    for words in (
        ["evaluate", str(trained)],
        ["export", str(trained)],
        ["train", "lenet", "--out", str(trained), "--resume", *QUICK],
    ):
        assert main([*words, "--data-dir", str(other)]) == 1
        err = capsys.readouterr().err
        assert f"{trained} was trained on other data than those of {other}" in err and "--data-dir" in err
    tests = write_idx(tmp_path / "tests", {**digits, "test_images": digits["test_images"][::-1]})
    assert (
        main(["evaluate", str(trained), "--data-dir", str(tests)]) == 0
    )  # measured on other images, of the same training
    compressed = write_idx(tmp_path / "compressed", digits, gzipped=True)
    assert main(["evaluate", str(trained), "--data-dir", str(compressed)]) == 0


def test_a_run_keeps_to_its_network(trained, digits_folder, tmp_path, capsys, monkeypatch):
    """As when another version of the recipe pools before batch norm: every weight fits, and answers are others."""
    layers = dict(RECIPES["lenet"].build().named_children())
    names = list(layers)
    pool, before = names.index("pool1"), names.index("pool1") - 1
    names[before], names[pool] = names[pool], names[before]
    swapped = replace(
        RECIPES["lenet"], build=lambda: torch.nn.Sequential(OrderedDict((name, layers[name]) for name in names))
    )
    monkeypatch.setitem(RECIPES, "lenet", swapped)
    for words in (
        ["evaluate", str(trained)],
        ["export", str(trained)],
        ["train", "lenet", "--out", str(trained), "--resume", *QUICK],
    ):
        assert main([*words, "--data-dir", str(digits_folder)]) == 1
        assert f"{trained} is of another network than lenet is in this version" in capsys.readouterr().err


def test_published_data_are_known_by_their_digests(digits_folder):
    dataset = load_dataset("mnist", digits_folder)
    assert data_digest(dataset) != data_digest(replace(dataset, original=True))
    digests = {
        **dataset.spec.digests,
        "train_images": digest(dataset.train.images),
        "train_labels": digest(dataset.train.labels),
    }
    assert data_digest(replace(dataset, original=True, spec=replace(dataset.spec, digests=digests))) == data_digest(
        dataset
    )


def test_runs_from_before_the_digest_open_and_stay_as_they_are(trained, digits_folder, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    stored = json.loads(path.read_text())
    del stored["data"], stored["network"]
    path.write_text(json.dumps(stored))
    before, run = path.read_text(), Run.open(tmp_path / "run", digits_folder)
    assert run.settings.command() == stored["command"]
    assert (
        Run.create(tmp_path / "run", run.settings, digits_folder).settings == run.settings
        and path.read_text() == before
    )


def test_a_package_on_another_data_set_is_told(digits_folder, digits, tmp_path, capsys):
    write_npz(tmp_path / "fashion_mnist.npz", digits)
    arguments = ["evaluate", "lenet", "--data-dir", str(tmp_path), "--dataset", "fashion_mnist"]
    assert main(arguments) == 0
    note = (
        "the package says that its data set is 'MNIST', not 'Fashion-MNIST'; "
        "its classes have no names and are taken to be in the data set's order"
    )
    assert note in capsys.readouterr().out.splitlines()[0]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["note"] == note
    assert main(["evaluate", "lenet", "--data-dir", str(digits_folder), "--dataset", "mnist", "--json"]) == 0
    assert "note" not in json.loads(capsys.readouterr().out)


def test_classes_in_another_order_are_matched_by_name(digits_folder, tmp_path, capsys):
    network = load_model("lenet")
    *layers, last = network.layers
    output = OutputSpec(network.output.scale[::-1].copy(), network.output.offset[::-1].copy())
    turned = replace(last, weight=last.weight[::-1].copy(), bias=last.bias[::-1].copy())
    other = replace(network, layers=(*layers, turned), output=output, classes=network.classes[::-1], golden=None)
    results = {}
    for name, one in {"own": network, "turned": other, "named": replace(network, classes=tuple("abcdefghij"))}.items():
        save_package(one, tmp_path / name)
        assert main(["evaluate", str(tmp_path / name), "--data-dir", str(digits_folder), "--json"]) == 0
        results[name] = json.loads(capsys.readouterr().out)
    assert results["own"]["top1"] == results["turned"]["top1"] == results["named"]["top1"]
    assert results["turned"]["per_class"] == results["own"]["per_class"] and "note" not in results["turned"]
    assert results["named"]["note"].startswith("its classes have names that the data set has not (a, b, c)")


def test_networks_of_blue_first_see_blue_first(tmp_path, capsys):
    generator = np.random.default_rng(0)
    arrays = {f"{part}_images": generator.integers(0, 256, (30, 32, 32, 3), np.uint8) for part in ("train", "test")}
    write_npz(
        tmp_path / "cifar10.npz", {**arrays, **{f"{part}_labels": np.arange(30) % 10 for part in ("train", "test")}}
    )
    weight = generator.integers(-127, 128, (10, 32, 32, 3)).astype(np.int8)
    answers = {}
    for color, order in {"RGB": slice(None), "BGR": slice(None, None, -1)}.items():
        layer = Dense("fc", weight[..., order].reshape(10, -1).copy(), np.zeros(10, np.int32))
        output = OutputSpec(np.full(10, 1e-5, np.float32), np.zeros(10, np.float32))
        spec = InputSpec(32, 32, 3, color, (0.0,) * 3, (1.0,) * 3)
        save_package(Network("n", spec, (layer,), output, DATASETS["cifar10"].spec.classes), tmp_path / color)
        assert (
            main(["evaluate", str(tmp_path / color), "--dataset", "cifar10", "--data-dir", str(tmp_path), "--json"])
            == 0
        )
        answers[color] = json.loads(capsys.readouterr().out)
    assert (
        answers["RGB"]["confusion"] == answers["BGR"]["confusion"] and answers["RGB"]["loss"] == answers["BGR"]["loss"]
    )


def test_a_shipped_name_means_the_shipped_model_everywhere(digits_folder, tmp_path, monkeypatch, capsys):
    """A folder that happens to have its name hides it neither here nor in `pynq_cnn.zoo.load_model`; `./lenet` names
    the folder.
    """
    (tmp_path / "lenet").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "lenet", "--data-dir", str(digits_folder)]) == 0
    assert capsys.readouterr().out.startswith("lenet, integers")
    assert main(["evaluate", "./lenet", "--data-dir", str(digits_folder)]) == 1
    assert "run.json or manifest.json is not there" in capsys.readouterr().err
    Run.create(tmp_path / "lenet", Settings("convnet"), digits_folder)
    assert main(["evaluate", "lenet", "--data-dir", str(digits_folder)]) == 0
    assert capsys.readouterr().out.startswith("lenet, integers")
    assert main(["evaluate", "./lenet", "--data-dir", str(digits_folder)]) == 1
    assert "this training has not ended" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "lenet", "--epochs", "1", "--out", "FILE"], "FILE cannot be used"),
        (["train", "lenet", "--epochs", "1", "--out", "FILE/run"], "cannot be used"),
        (["sweep", "RUN", "--out", "FILE"], "FILE cannot be used"),
        (["compress", "RUN", "--out", "FILE"], "cannot be used"),
        (["export", "RUN", "--out", "FILE/x"], "cannot be written"),
        (["export", "RUN", "--format", "torchscript", "--out", "FILE/x.pt"], "cannot be used"),
        (["evaluate", "RUN", "--plot", "FILE/x.png"], "cannot be used"),
        (["evaluate", "RUN", "--plot", "x.xyz"], "x.xyz must be the name of a picture, such as x.png"),
        (["evaluate", "lenet", "--plot", "x"], "its suffix may be"),
    ],
)
def test_places_that_cannot_be_written_are_told_in_a_line(trained, digits_folder, tmp_path, capsys, arguments, said):
    (tmp_path / "FILE").write_text("mine")
    words = [word.replace("RUN", str(trained)).replace("FILE", str(tmp_path / "FILE")) for word in arguments]
    assert main([*words, "--data-dir", str(digits_folder)]) == 1
    err = capsys.readouterr().err.splitlines()
    assert (
        len(err) == 1 and err[0].startswith("host_train: ") and said.replace("FILE", str(tmp_path / "FILE")) in err[0]
    )
    assert (tmp_path / "FILE").read_text() == "mine"


def test_a_picture_goes_into_a_new_folder(digits_folder, tmp_path):
    out = tmp_path / "no" / "such" / "c.pdf"
    assert main(["evaluate", "lenet", "--data-dir", str(digits_folder), "--plot", str(out)]) == 0
    assert out.read_bytes().startswith(b"%PDF")


# ------------------------------------------------------------------------------- folders of earlier runs


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


# ---------------------------------------------------------------------------------- how long it will be


@pytest.mark.parametrize(("epochs", "qat"), [(None, 10), (2, 1), (1, 1), (30, 5), (60, 10), (120, 20)])
def test_quantisation_aware_epochs_are_in_proportion(epochs, qat):
    """60 and 10 are the recipe's."""
    assert Settings("convnet", epochs=epochs).resolve().qat.epochs == qat
    assert Settings("convnet", epochs=epochs, qat_epochs=3).resolve().qat.epochs == 3
    assert Settings("convnet", epochs=epochs, qat_epochs=0).resolve().qat is None
    assert Settings("nin", epochs=epochs).resolve().qat is None


def test_a_short_training_is_short_and_says_how_long_it_is(digits_folder, tmp_path, capsys):
    words = [
        "train",
        "convnet",
        "--epochs",
        "2",
        "--batch",
        "64",
        "--data-dir",
        str(digits_folder),
        "--out",
        str(tmp_path),
    ]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "2 epochs in floating point, then 1 quantisation-aware" in text
    assert re.findall(r"(float|qat) +epoch +(\d+)/(\d+) .* [\d.]+ s", text) == [
        ("float", "1", "2"),
        ("float", "2", "2"),
        ("qat", "1", "1"),
    ]
    assert main(["networks"]) == 0
    text = capsys.readouterr().out
    assert "60 epochs and 10 quantisation-aware" in text and "nin " in text


def test_binary_networks_take_no_quantisation_aware_training(tmp_path, digits_folder, capsys):
    words = ["train", "vgg_bnn", "--data-dir", str(digits_folder), "--out", str(tmp_path / "r"), "--qat-epochs"]
    assert main([*words, "2"]) == 1
    assert "vgg_bnn has binary weights" in capsys.readouterr().err and not (tmp_path / "r").exists()
    assert Settings("vgg_bnn", qat_epochs=0).resolve() == RECIPES["vgg_bnn"]


# -------------------------------------------------------------------------------------------------- devices


@pytest.mark.parametrize(("cuda", "mps", "found"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")])
def test_the_device_is_the_best_there_is(monkeypatch, cuda, mps, found):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert find_device("auto") == found and find_device("cpu") == "cpu"
    assert make_parser().parse_args(["train", "lenet"]).device == "auto"


@pytest.mark.parametrize("device", ["meta", "abacus", "", "cuda:", "cuda:99", "cpu:x"])
def test_other_devices_are_refused(device):
    with pytest.raises(ArgumentError, match=f"--device {device} cannot be used"):
        find_device(device)


def test_the_way_to_quantise_can_be_named(trained, digits_folder, tmp_path, capsys):
    arguments = ["export", str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "p")]
    assert main([*arguments, "--quantise", "percentile"]) == 0
    assert load_package(tmp_path / "p").metadata["quantisation"] == "percentile"
    assert main([*arguments, "--quantise", "median"]) == 1
    assert "auto, max, percentile, mse, qat" in capsys.readouterr().err


def test_integers_that_lost_what_the_run_knows_are_not_written(trained, digits_folder, tmp_path, capsys):
    """One channel of an equivalent network times 3000: PyTorch answers as before, the bytes of the other channels are
    gone.
    """
    run, out = shutil.copytree(trained, tmp_path / "run"), tmp_path / "p"
    weights = run / "float" / "weights.pt"
    state = torch.load(weights)
    state["fc1.weight"][3] *= 3000
    state["fc1.bias"][3] = 3000 * state["fc1.bias"][3].abs()  # on for some images at least
    state["fc2.weight"][:, 3] /= 3000
    torch.save(state, weights)
    arguments = ["export", str(run), "--data-dir", str(digits_folder), "--out", str(out), "--quantise", "max"]
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert (
        "of the 120 test images, less than the 95 % asked for; they part in layer fc1" in err
        and "its channel 3 is" in err
    )
    assert err.count("\n") == 1 and not out.exists()
    assert main([*arguments, "--min-agreement", "0"]) == 0
    assert load_package(out).metadata["accuracy"]["agreement"] < 0.95
    for command in ("export", "huffman", "compress"):
        assert main([command, str(run), "--data-dir", str(digits_folder), "--min-agreement", "95"]) == 1
        assert "min_agreement must be a number from 0 (take anything) to 1, not 95.0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "resnet"], "no network is called 'resnet'; there are lenet"),
        (["train", "lenet", "--data-dir", "DATA", "--out", "RUN", *QUICK], "--resume"),
        (
            ["train", "lenet", "--data-dir", "DATA", "--out", "RUN", "--resume", "--seed", "5"],
            "of another run, 'python -m host_train train lenet --seed 4",
        ),
        (["train", "lenet", "--data-dir", "DATA", "--out", "OTHER", "--epochs", "0"], "epochs must be"),
        (["train", "lenet", "--data-dir", "DATA", "--out", "OTHER", "--seed", "-1"], "seed must be"),
        (
            ["train", "lenet", "--data-dir", "DATA", "--out", "OTHER", "--threads", "0"],
            "--threads must be an integer from 1, not 0",
        ),
        (
            ["train", "lenet", "--data-dir", "DATA", "--out", "OTHER", "--device", "abacus"],
            "--device abacus cannot be used",
        ),
        (["train", "lenet", "--data-dir", "DATA", "--out", "OTHER", "--batch", "631"], "less than a batch of 631"),
        (["export", "OTHER"], "OTHER is no run, no model package and no shipped network (convnet, "),
        (["sweep", "OTHER"], "is no run: run.json is not there; train first"),
        (["evaluate", "OTHER"], "OTHER is no run, no model package and no shipped network (convnet, "),
        (["evaluate", "RUN", "--dataset", "cifar10", "--data-dir", "DATA"], "remove --dataset cifar10"),
    ],
)
def test_mistakes_are_told_in_a_line(trained, digits_folder, tmp_path, capsys, arguments, message):
    places = {"DATA": str(digits_folder), "RUN": str(trained), "OTHER": str(tmp_path / "OTHER")}
    assert main([places.get(word, word) for word in arguments]) == 1
    err = capsys.readouterr().err
    assert err.startswith("host_train: ") and message in err


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", "[" * 100000, '{"recipe": "lenet", "colour": 1}', '{"recipe": ["x"]}', '{"seed": 1}']
    + [
        f'{{"recipe": "lenet", "{name}": "3"}}'
        for name in ("seed", "epochs", "batch", "learning_rate", "qat_epochs", "threads")
    ],
)
def test_a_damaged_run_is_named(tmp_path, digits_folder, damage):
    (tmp_path / "run.json").write_text(damage)
    with pytest.raises(ArgumentError, match="run.json"):
        Run.open(tmp_path, digits_folder)


def test_weights_of_another_network_are_refused(trained, digits_folder, tmp_path, monkeypatch):
    run = Run.open(trained, digits_folder)
    other = replace(run, recipe=replace(run.recipe, build=lambda: torch.nn.Sequential(torch.nn.Linear(2, 2))))
    with pytest.raises(ArgumentError, match="weights.pt has not the weights of this network"):
        other.float_model()


def test_another_size_and_beginning():
    small = Settings("nin", size=96).resolve()
    assert small.size == (96, 96) and replace(small, size=(112, 112)) == RECIPES["nin"]
    with pytest.raises(ArgumentError, match="vgg_bnn_half does not take images of 224 x 224"):
        Settings("vgg_bnn_half", size=224).resolve()
    with pytest.raises(ArgumentError, match="remove --initial"):
        Settings("vgg_bnn", initial="xavier").resolve()
    for initial, spread in {"xavier": (2 / (11 * 11 * 97)) ** 0.5, "kaiming": (2 / 121) ** 0.5, "normal": 0.05}.items():
        first = Settings("nin_plain", initial=initial).resolve().build()[0]
        assert float(first.weight.detach().std()) == pytest.approx(spread, rel=0.05) and not first.bias.any()
    command = Settings("nin", size=96, initial="xavier").command()
    assert command == "python -m host_train train nin --seed 0 --size 96 --initial xavier"
    for bad in ({"size": 0}, {"size": 4096}, {"size": "96"}, {"initial": "zero"}, {"initial": 3}):
        with pytest.raises(ArgumentError, match="must be"):
            Settings("nin", **bad).resolve()


def test_settings_change_the_recipe_and_nothing_else():
    recipe = RECIPES["lenet"]
    assert Settings("lenet").resolve() == recipe
    assert Settings("lenet", epochs=60).resolve().qat == replace(recipe.qat, epochs=10)
    changed = Settings("lenet", epochs=3, batch=16, learning_rate=0.5, qat_epochs=0).resolve()
    assert changed.qat is None and changed.schedule == replace(recipe.schedule, epochs=3, batch=16, learning_rate=0.5)
    assert Settings("lenet", qat_epochs=2).resolve().qat == replace(recipe.qat, epochs=2)
    nin = Settings("nin", qat_epochs=2).resolve()
    assert nin.schedule.bfloat16 and nin.qat == replace(nin.schedule, epochs=2, bfloat16=False, compiled=False)


def test_networks_are_listed(capsys):
    assert main(["networks"]) == 0
    assert "lenet" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------ what is shipped


def test_the_shipped_lenet_reads_the_shipped_sample():
    """Of 500 digits chosen without looking at the answers."""
    from pynq_cnn.backends.reference import ReferenceBackend

    network = load_package(ROOT / "pynq_cnn" / "models" / "lenet")
    with np.load(ROOT / "pynq_cnn" / "samples" / "mnist.npz", allow_pickle=False) as sample:
        images, labels = sample["images"], sample["labels"]
    assert images.shape == (500, 28, 28) and np.bincount(labels).tolist() == [50] * 10
    assert (ReferenceBackend(network).run(images[..., None]).argmax(1) == labels).mean() >= 0.98


@pytest.mark.slow
def test_the_shipped_lenet_has_its_stated_accuracy_on_the_full_test_set(monkeypatch):
    from host_train.data import load_dataset
    from host_train.evaluation.evaluate import evaluate, predict_integers
    from pynq_cnn.errors import DatasetError

    monkeypatch.delenv("PYNQ_CNN_DATA")
    try:
        dataset = load_dataset("mnist")
    except DatasetError as error:
        pytest.skip(str(error))
    network = load_package(ROOT / "pynq_cnn" / "models" / "lenet")
    result = evaluate(predict_integers(network), dataset.test, network.classes)
    stated = network.metadata["accuracy"]
    assert result.images == stated["images"] == 10000 and result.top1 == stated["integer_top1"] >= 0.988
    assert stated["float32_top1"] - result.top1 <= 0.002
    with np.load(ROOT / "pynq_cnn" / "samples" / "mnist.npz", allow_pickle=False) as sample:
        assert np.array_equal(dataset.test.images[sample["indices"], :, :, 0], sample["images"])
        assert np.array_equal(dataset.test.labels[sample["indices"]], sample["labels"])


@pytest.mark.slow
def test_a_short_training_on_real_digits(tmp_path, monkeypatch):
    monkeypatch.delenv("PYNQ_CNN_DATA")
    assert main(["train", "lenet", "--out", str(tmp_path), "--epochs", "2", "--qat-epochs", "1", "--quiet"]) == 0
    assert json.loads((tmp_path / "evaluation.json").read_text())["top1"] > 0.97
