"""`python -m host_train convert`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from host_train.cli import main
from host_train.tracing.model_file import load_model
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import load_package

SOURCE = """
import torch
from torch import nn

class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 5, stride=3), nn.Linear(256, 10)

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).flatten(1))

def bad():
    return nn.Sequential(nn.Conv2d(1, 1, 28), nn.Tanh(), nn.Flatten())

def nothing():
    return 3

number = 4
made = Mine()

class Sized(Mine):
    def __init__(self, classes):
        super().__init__()

def broken():
    return missing_name

def leaves():
    raise SystemExit(3)

def wrong_layer():
    return nn.Conv2d(3, 4, 3, groups=2)
"""


@pytest.fixture
def source(tmp_path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def test_a_model_in_a_file_becomes_a_measured_package(source, digits_folder, tmp_path, capsys):
    state = nn.ModuleDict({"conv": nn.Conv2d(1, 4, 5), "fc": nn.Linear(256, 10)}).state_dict()
    torch.save({"state_dict": state}, tmp_path / "weights.pt")
    out = tmp_path / "packages" / "mine"
    base = [
        "convert",
        f"{source}:Mine",
        "--dataset",
        "mnist",
        "--data-dir",
        str(digits_folder),
        "--out",
        str(out),
        "--min-agreement",
        "0.5",
    ]
    assert main([*base, "--weights", str(tmp_path / "weights.pt"), "--method", "mse", "--shared"]) == 0
    text = capsys.readouterr().out
    assert "weights.pt: took the weights from its 'state_dict'" in text
    assert (
        "on 700 training images: softmax, agreement of the integers with the model " in text
        and f"written: {out}" in text
    )
    network = load_package(out)
    assert network.name == "mine" and network.input.fit == "digit" and network.metadata["conversion"]["method"] == "mse"
    assert network.metadata["accuracy"]["images"] == 120 and network.layers[0].shared is not None
    agreement = network.metadata["accuracy"]["agreement"]
    assert agreement > 0.8 and f"the same class for {round(agreement * 120)} of them" in text
    largest = state["conv.weight"].abs().argmax()
    assert abs(int(network.layers[0].weight.transpose(0, 3, 1, 2).ravel()[largest])) == 127
    assert main(["evaluate", str(out), "--data-dir", str(digits_folder)]) == 0  # the package says which data set is its
    assert f"top-1 {100 * network.metadata['accuracy']['integer_top1']:.2f} %" in capsys.readouterr().out


ENDS = """
import torch
from torch import nn

def net(outputs, *ending):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 5, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(256, outputs), *ending)

def one():
    return net(1)

def probability():
    return net(1, nn.Sigmoid())

def tags():
    return net(10, nn.Sigmoid())

def three():
    return net(3)

def uneven():
    model = net(10)
    model[1] = nn.Hardtanh(0, 1e6)  # unlike a ReLU, it keeps channels from being equalised
    with torch.no_grad():
        model[0].weight[2] *= 3000
        model[0].bias[2] *= 3000
        model[3].weight[:, 128:192] /= 3000
    return model
"""


def convert(tmp_path, digits_folder, name, *more) -> int:
    (tmp_path / "ends.py").write_text(ENDS)
    base = ["convert", f"{tmp_path / 'ends.py'}:{name}", "--dataset", "mnist", "--data-dir", str(digits_folder)]
    return main([*base, "--out", str(tmp_path / name), *more])


@pytest.mark.parametrize(
    ("name", "more", "kind", "classes"),
    [
        ("one", ["--output", "sigmoid", "--classes", "odd", "even"], "sigmoid", ("odd", "even")),
        ("one", ["--classes", "odd", "even"], "sigmoid", ("odd", "even")),
        ("one", ["--output", "values"], "values", ("0",)),
        ("probability", [], "sigmoid", ("0", "1")),
        ("tags", [], "independent", tuple("0123456789")),
        ("three", ["--output", "values", "--classes", "x", "y", "z"], "values", ("x", "y", "z")),
        ("three", ["--classes", "x", "y", "z"], "softmax", ("x", "y", "z")),
    ],
)
def test_every_kind_of_output_becomes_a_package(tmp_path, digits_folder, capsys, name, more, kind, classes):
    assert convert(tmp_path, digits_folder, name, *more, "--min-agreement", "0.5") == 0
    network = load_package(tmp_path / name)
    assert (network.output.kind, network.classes) == (kind, classes)
    accuracy = network.metadata["accuracy"]
    assert set(accuracy) == {"agreement", "images"} and 0.5 < accuracy["agreement"] <= 1
    out = capsys.readouterr().out
    assert f"on 700 training images: {kind}, agreement of the integers with the model" in out
    assert (
        f"on the 120 test images of MNIST: agreement of the integers with the model {100 * accuracy['agreement']:.2f} %"
        in out
    )


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("one", [], "gives one number for each image, and nothing says what it is: state the output, 'sigmoid'"),
        (
            "one",
            ["--output", "softmax"],
            "the output 'softmax' contradicts Sequential, which gives one number for each image: state 'sigmoid' or",
        ),
        ("one", ["--output", "logit"], "output must be one of softmax, sigmoid, independent, values, not 'logit'"),
        (
            "three",
            [],
            "has 3 outputs, but MNIST has 10 classes; name its own by --classes, or say by --output what else they are",
        ),
        ("uneven", [], "; they part in layer 0, which loses"),
        ("tags", ["--min-agreement", "2"], "min_agreement must be a number from 0 (take anything) to 1, not 2.0"),
    ],
)
def test_what_is_not_known_of_an_output_is_asked(tmp_path, digits_folder, capsys, name, more, message):
    assert convert(tmp_path, digits_folder, name, *more) == 1
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[-1] and not (tmp_path / name).exists()


def test_names_of_classes_in_another_order_are_measured_as_they_are_called(source, digits_folder, tmp_path, capsys):
    accuracies = []
    for i, classes in enumerate(([], [*"0123456789"], [*"1023456789"])):
        torch.manual_seed(5)
        more = ["--classes", *classes] if classes else []
        place, out = f"{source}:Mine", tmp_path / f"p{i}"
        base = [
            "convert",
            place,
            "--dataset",
            "mnist",
            "--data-dir",
            str(digits_folder),
            "--out",
            str(out),
            "--min-agreement",
            "0",
        ]
        assert main([*base, *more]) == 0
        accuracies.append(load_package(out).metadata["accuracy"]["integer_top1"])
        assert main(["evaluate", str(out), "--data-dir", str(digits_folder), "--json"]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["top1"] == accuracies[-1]
    assert accuracies[0] == accuracies[1]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("mine.py", "'mine.py' must be a Python file and a name in it"),
        ("nowhere.py:build", "nowhere.py is no file"),
        ("SOURCE:missing", "has no function or class missing"),
        ("SOURCE:number", "has no function or class number"),
        ("SOURCE:made", "has no function or class made"),
        ("SOURCE:nothing", "gives 3, not a torch.nn.Module"),
        ("SOURCE:bad", "1: a Tanh cannot be mapped; use ReLU"),
        (
            "SOURCE:Sized",
            (
                "Sized cannot be called without arguments (missing a required argument: 'classes'); add a function"
                " that can"
            ),
        ),
        (
            "SOURCE:broken",
            "mine.py:27, `return missing_name`: NameError: name 'missing_name' is not defined; correct the file",
        ),
        ("SOURCE:leaves", "SystemExit: 3; correct the file"),
        (
            "SOURCE:wrong_layer",
            "mine.py:33, `return nn.Conv2d(3, 4, 3, groups=2)`: ValueError: in_channels must be divisible by groups",
        ),
    ],
)
def test_mistakes_are_told_in_a_line(source, digits_folder, tmp_path, capsys, place, message):
    place = place.replace("SOURCE", str(source))
    assert (
        main(["convert", place, "--dataset", "mnist", "--data-dir", str(digits_folder), "--out", str(tmp_path / "out")])
        == 1
    )
    err = capsys.readouterr().err
    assert err.startswith("host_train: ") and message in err and not (tmp_path / "out").exists()
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\nclass Mine(:\n", "mine.py:2: SyntaxError: invalid syntax; correct the file"),
        (
            "import torch\n\nraise RuntimeError('two\\nlines')\n",
            "mine.py:3, `raise RuntimeError('two\\nlines')`: RuntimeError: two; correct",
        ),
        (
            "import no_such_module\n",
            "mine.py:1, `import no_such_module`: ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("import beside\n", "beside.py:2, `1 / 0`: ZeroDivisionError: division by zero"),
        ("raise ValueError\n", "mine.py:1, `raise ValueError`: ValueError: ValueError()"),
    ],
)
def test_a_file_that_cannot_be_run_is_told_with_its_line(tmp_path, capsys, monkeypatch, text, message):
    (tmp_path / "mine.py").write_text(text)
    (tmp_path / "beside.py").write_text("\n1 / 0\n")
    path = list(sys.path)
    with pytest.raises(ArgumentError) as raised:
        load_model(f"{tmp_path / 'mine.py'}:Mine")
    assert message in str(raised.value) and "\n" not in str(raised.value) and sys.path == path


def test_a_file_may_import_what_lies_beside_it(tmp_path):
    (tmp_path / "layers_of_mine.py").write_text("from torch import nn\n\ndef conv():\n    return nn.Conv2d(1, 2, 3)\n")
    (tmp_path / "later_of_mine.py").write_text("from layers_of_mine import conv\n")
    (tmp_path / "mine.py").write_text(
        "from layers_of_mine import conv\n\ndef build():\n    import later_of_mine\n    return later_of_mine.conv()\n"
    )
    path = list(sys.path)
    try:
        assert isinstance(load_model(f"{tmp_path / 'mine.py'}:build"), nn.Conv2d)
    finally:
        for name in ("layers_of_mine", "later_of_mine"):
            sys.modules.pop(name, None)
    assert sys.path == path


def test_a_model_that_ends_in_one_pixel_a_class_becomes_a_package(tmp_path, digits_folder, capsys):
    (tmp_path / "mine.py").write_text(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Conv2d(1, 10, 5, stride=3), nn.ReLU(),"
        " nn.AdaptiveAvgPool2d(1))\n"
    )
    out = tmp_path / "mine"
    assert (
        main(
            [
                "convert",
                f"{tmp_path / 'mine.py'}:build",
                "--dataset",
                "mnist",
                "--data-dir",
                str(digits_folder),
                "--out",
                str(out),
            ]
        )
        == 0
    )
    assert load_package(out).metadata["accuracy"]["images"] == 120


def test_weights_that_are_not_there_are_told(source, digits_folder, tmp_path, capsys):
    base = [
        "convert",
        f"{source}:Mine",
        "--dataset",
        "mnist",
        "--data-dir",
        str(digits_folder),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([*base, "--weights", "nowhere.pt"]) == 1
    assert "--weights nowhere.pt: there is no such file; save the weights alone: torch.save" in capsys.readouterr().err
