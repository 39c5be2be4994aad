"""`export --format`: every format is read back equal."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from scipy.io import loadmat, savemat  # noqa: E402
from torch import nn  # noqa: E402

from host_train import from_torch  # noqa: E402
from host_train.cli import main  # noqa: E402
from host_train.export.containers import read_array, read_mat, read_txt, write_mat, write_txt  # noqa: E402
from host_train.export.torchscript import read_torchscript, write_torchscript  # noqa: E402
from host_train.networks.binary import BinaryConv2d, BinaryLinear  # noqa: E402
from host_train.run import Run, Settings  # noqa: E402
from host_train.training.checkpoint import save_state  # noqa: E402
from host_train.training.fit import WEIGHTS  # noqa: E402
from pynq_cnn.errors import ArgumentError, ModelPackageError  # noqa: E402
from pynq_cnn.model import Network, load_package  # noqa: E402

FORMATS = {"mat": (write_mat, read_mat), "txt": (write_txt, read_txt)}


def convolutional(shared: bool = False) -> Network:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 5))
    with torch.no_grad():
        for layer in (model[0], model[4]):
            layer.weight[torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(0)) < 0.6] = 0
    return from_torch(model, np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8), name="small", shared=shared)


def binary() -> Network:
    model = nn.Sequential(
        BinaryConv2d(1, 70, 3, input_step=1 / 128), nn.BatchNorm2d(70), nn.Hardtanh(), nn.Flatten(), BinaryLinear(70 * 16, 3)
    )
    images = np.random.default_rng(0).integers(0, 256, (20, 6, 6), np.uint8)
    return from_torch(model, images, name="bits", mean=128 / 255, std=128 / 255)


NETWORKS = {"int8": convolutional, "shared": lambda: convolutional(shared=True), "binary": binary}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("form", FORMATS)
def test_a_network_is_read_back_equal(tmp_path, form, name):
    write, read = FORMATS[form]
    network = NETWORKS[name]()
    for _ in range(2):  # again, over what is there
        write(network, tmp_path / "out" / "it")
        assert read(tmp_path / "out" / "it") == network
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["it"]


def test_a_mat_file_has_a_variable_for_every_array(tmp_path):
    network = convolutional()
    write_mat(network, tmp_path / "net.mat")
    variables = loadmat(tmp_path / "net.mat")
    weight, bias = variables["layer_0_weight"], variables["layer_0_bias"]
    assert weight.dtype == np.int8 and np.array_equal(weight, network.layers[0].weight)
    assert bias.shape == (1, 4) and np.array_equal(bias[0], network.layers[0].bias)
    assert np.array_equal(variables["golden_images"], network.golden.images)
    assert json.loads(str(variables["manifest"][0]))["name"] == "small"


def test_text_files_are_plain_numbers_under_their_shape(tmp_path):
    network = convolutional()
    write_txt(network, tmp_path / "net")
    lines = (tmp_path / "net" / "layer.0.weight.txt").read_text().splitlines()
    assert lines[0] == "# int8 4 3 3 3" and len(lines) == 1 + 4 * 3 * 3
    assert [int(word) for word in lines[1].split()] == network.layers[0].weight[0, 0, 0].tolist()
    plain = np.loadtxt(tmp_path / "net" / "output.scale.txt", dtype=np.float32)
    assert np.array_equal(plain, network.output.scale)  # nine digits are enough
    assert read_array(tmp_path / "net" / "output.scale.txt").dtype == np.float32


def test_damaged_files_are_refused(tmp_path):
    network = convolutional()
    write_mat(network, tmp_path / "net.mat")
    write_txt(network, tmp_path / "net")
    variables = {name: value for name, value in loadmat(tmp_path / "net.mat").items() if not name.startswith("__")}

    def altered(**changes: object) -> Path:
        left = {name: value for name, value in {**variables, **changes}.items() if value is not None}
        savemat(tmp_path / "bad.mat", left)
        return tmp_path / "bad.mat"

    (tmp_path / "noise").write_bytes(bytes(range(256)))
    manifest = str(variables["manifest"][0])
    for path, message in [
        (tmp_path / "nowhere.mat", "is not there"),
        (tmp_path / "noise", "is no MATLAB file"),
    ]:
        with pytest.raises(ModelPackageError, match=message):
            read_mat(path)
    for changes, message in [
        ({"manifest": None}, "no variable 'manifest'"),
        ({"manifest": "{"}, "damaged manifest"),
        ({"manifest": "[]"}, "damaged"),
        ({"layer_0_weight": None}, "no array layer.0.weight"),
        ({"layer_0_weight": variables["layer_0_weight"] + np.int8(1)}, "bad.mat.*sha256"),
        ({"layer_0_bias": np.zeros(3, np.int32)}, "damaged: cannot reshape"),
        ({"manifest": manifest.replace("layer.0.weight.npy", "../escape.npy")}, "escape"),
    ]:
        with pytest.raises(ModelPackageError, match=f"(?s){message}"):
            read_mat(altered(**changes))

    file = tmp_path / "net" / "layer.0.weight.txt"
    good = file.read_text()
    for text, message in [
        (good.replace("int8", "int9"), "layer.0.weight.txt cannot be read"),
        ("", "cannot be read"),
        (good.rsplit("\n", 2)[0] + "\n", "cannot reshape"),
        (good.replace("# int8 4 3 3 3\n", "# int8 4 3 3 3\n1000 0 0\n"), "cannot be read"),
    ]:
        file.write_text(text)
        with pytest.raises(ModelPackageError, match=message):
            read_txt(tmp_path / "net")
    file.unlink()
    with pytest.raises(ModelPackageError, match="net has no array layer.0.weight"):
        read_txt(tmp_path / "net")
    with pytest.raises(ModelPackageError, match="manifest.json cannot be read"):
        read_txt(tmp_path)
    with pytest.raises(ModelPackageError, match="no earlier export"):
        write_txt(network, tmp_path)


def test_names_that_matlab_cannot_tell_apart_are_refused(tmp_path):
    model = nn.Sequential()
    model.add_module("a" * 59, nn.Conv2d(1, 2, 4))
    network = from_torch(model, np.zeros((4, 4, 4), np.uint8), name="n")
    with pytest.raises(ModelPackageError, match="too long as layer_aaa"):
        write_mat(network, tmp_path / "net.mat")
    assert not list(tmp_path.iterdir())


def test_torchscript_refuses_other_files(tmp_path):
    (tmp_path / "noise.pt").write_bytes(b"PK noise")
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "plain.pt")
    for name in ("noise.pt", "plain.pt", "nowhere.pt"):
        with pytest.raises(ArgumentError, match=f"{name} is no TorchScript file of host_train"):
            read_torchscript(tmp_path / name)


# ------------------------------------------------------------------------------------------ from the command line


@pytest.fixture
def trained(tmp_path, digits_folder) -> Path:
    """A run of an untrained lenet, as if trained for its epochs."""
    folder = tmp_path / "run"
    run = Run.create(folder, Settings("lenet", qat_epochs=0), digits_folder)
    save_state(folder / "float" / WEIGHTS, run.recipe.build().state_dict())
    return folder


def test_export_writes_each_format_and_all_say_the_same(trained, digits_folder, capsys):
    for options in (["--quantise", "max"], ["--quantise", "max", "--format", "mat"], ["--quantise", "max", "--format", "txt"]):
        assert main(["export", str(trained), "--data-dir", str(digits_folder), *options]) == 0
    assert main(["export", str(trained), "--data-dir", str(digits_folder), "--format", "torchscript"]) == 0
    assert capsys.readouterr().out.count("written: ") == 4
    network = load_package(trained / "package")
    assert read_mat(trained / "network.mat") == network and read_txt(trained / "txt") == network
    script, spec, classes = read_torchscript(trained / "model.pt")
    assert spec == network.input and classes == network.classes
    run = Run.open(trained, digits_folder)
    images = next(iter(run.tensors(run.dataset.test).batches()))[0]
    with torch.no_grad():
        assert torch.allclose(script(images), run.float_model()(images), atol=1e-6)


def test_export_takes_a_place_and_refuses_what_does_not_go_together(trained, digits_folder, tmp_path, capsys):
    base = ["export", str(trained), "--data-dir", str(digits_folder)]
    assert main([*base, "--format", "torchscript", "--out", str(tmp_path / "mine.pt")]) == 0
    assert (tmp_path / "mine.pt").is_file()
    assert main([*base, "--format", "torchscript", "--quantise", "max"]) == 1
    assert "leave --quantise max away" in capsys.readouterr().err


def test_writing_torchscript_leaves_the_model_in_its_mode(tmp_path):
    from pynq_cnn.model import InputSpec

    model = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(4, 2))
    write_torchscript(model, InputSpec(2, 2, 1, "L", (0.0,), (1.0,)), "ab", tmp_path / "m.pt")
    assert model.training and all(module.training for module in model)
    script, _, _ = read_torchscript(tmp_path / "m.pt")
    x = torch.rand(5, 1, 2, 2)
    assert torch.equal(script(x), model.eval()(x))
