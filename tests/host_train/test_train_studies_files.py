"""Files that the studies' readers want: weights in floating point, the course's names, sheets of mistaken images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from digits import digit_arrays
from PIL import Image
from scipy.io import loadmat

from host_train.cli import main
from host_train.data import Split
from host_train.evaluation.evaluate import evaluate
from host_train.evaluation.sheet import write_sheet
from host_train.export.floats import arrays_of, write_floats_mat, write_floats_txt
from host_train.networks.vgg_bnn import build_vgg_bnn
from host_train.runs.run import Run
from pynq_cnn.errors import ArgumentError


@pytest.fixture
def trained(short_lenet) -> Path:
    return short_lenet


def test_floats_of_a_binary_network_come_back_bit_for_bit(tmp_path):
    torch.manual_seed(0)
    model = build_vgg_bnn(4)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_var.uniform_(0.1, 3)
            layer.running_mean.normal_()
    arrays = arrays_of(model)
    state = model.state_dict()
    assert {"conv1.weight", "conv1.binary", "norm1.running_var", "norm1.eps", "fc.bias"} <= set(arrays)
    assert set(arrays) >= {name for name in state if not name.endswith("num_batches_tracked")}
    assert np.array_equal(arrays["conv1.binary"], np.where(arrays["conv1.weight"] >= 0, 1, -1))
    write_floats_mat(arrays, tmp_path / "f.mat")
    write_floats_txt(arrays, tmp_path / "f")
    variables = loadmat(tmp_path / "f.mat")
    for name, array in arrays.items():
        read = variables[name.replace(".", "_")]
        assert read.dtype == array.dtype and np.array_equal(read.reshape(array.shape), array)
        text = np.loadtxt(tmp_path / "f" / f"{name}.txt").astype(array.dtype).reshape(array.shape)
        assert text.tobytes() == array.tobytes()
    listed = (tmp_path / "f" / "arrays.txt").read_text().splitlines()
    assert "conv1.weight.txt float32 4 3 3 3" in listed and len(listed) == len(arrays)
    write_floats_txt(arrays, tmp_path / "f")  # an earlier such export is replaced
    (tmp_path / "f" / "mine.txt").write_text("")
    with pytest.raises(ArgumentError, match="holds mine.txt"):
        write_floats_txt(arrays, tmp_path / "f")


def test_floats_beside_integers_by_the_command_line(trained, digits_folder, tmp_path, capsys):
    words = ["export", str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "o")]
    assert main([*words, "--format", "mat,float-mat,float-txt", "--quantise", "max", "--min-agreement", "0"]) == 0
    assert "arrays of the trained network in floating point" in capsys.readouterr().out
    weight = Run.open(trained, digits_folder).float_model().fc2.weight.detach().numpy()
    assert np.array_equal(loadmat(tmp_path / "o" / "float.mat")["fc2_weight"], weight)
    assert np.array_equal(np.loadtxt(tmp_path / "o" / "float-txt" / "fc2.weight.txt").astype(np.float32), weight)
    assert loadmat(tmp_path / "o" / "network.mat")["layer_fc2_weight"].dtype == np.int8
    assert main(["export", "lenet", "--format", "float-mat", "--out", str(tmp_path / "x.mat")]) == 1
    assert "which cannot be had from them" in capsys.readouterr().err
    assert main([*words, "--format", "float-txt", "--quantise", "max"]) == 1
    assert "remove --quantise" in capsys.readouterr().err


def test_the_files_of_the_course(trained, digits_folder, tmp_path, capsys, every_picture):
    theirs = tmp_path / "theirs.csv"
    matrix = np.full((10, 10), 2) + np.diag([80] * 10)
    np.savetxt(theirs, matrix, fmt="%d", delimiter=",")
    words = ["course", str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c")]
    assert main([*words, "--theirs", str(theirs)]) == 0
    assert {path.name for path in (tmp_path / "c").iterdir()} == {
        "model.pt",
        "traced_model.pt",
        "log.txt",
        "confusion.png",
    }
    log = (tmp_path / "c" / "log.txt").read_text().splitlines()
    assert log[0].startswith("Epoch 1/4, train loss: ") and log[-1].startswith("Test loss: ") and len(log) == 5
    state = torch.load(tmp_path / "c" / "model.pt", weights_only=True)
    model = Run.open(trained, digits_folder).float_model()
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    images = torch.rand(3, 1, 28, 28)
    script = torch.jit.load(str(tmp_path / "c" / "traced_model.pt"))
    assert torch.equal(script(images), model(images))
    wide = Image.open(tmp_path / "c" / "confusion.png").width
    assert main(words) == 0
    assert Image.open(tmp_path / "c" / "confusion.png").width < wide
    theirs.write_text("1,2\n3,4\n")
    assert main([*words, "--theirs", str(theirs)]) == 1
    assert "must have 10 lines of 10 counts" in capsys.readouterr().err
    theirs.write_text("a b")
    assert main([*words, "--theirs", str(theirs)]) == 1
    assert "cannot be read as a confusion matrix" in capsys.readouterr().err


def test_a_sheet_shows_the_mistaken_images_and_no_others(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    shown, titles = [], []
    monkeypatch.setattr(Axes, "imshow", lambda self, image, **_: shown.append(image))
    monkeypatch.setattr(Axes, "set_title", lambda self, text, **_: titles.append(text))
    arrays = digit_arrays()
    split = Split(arrays["test_images"].reshape(-1, 28, 28, 1)[:30], arrays["test_labels"][:30].astype(np.int64))
    logits = np.eye(10)[split.labels]
    logits[[3, 17]] = np.roll(logits[[3, 17]], 1, axis=1)
    result = evaluate(lambda images: logits, split, tuple("0123456789"))
    names = [f"{'long' * (place == 17) * 9}/{place}.png" for place in range(30)]
    assert write_sheet(result, split, names, tmp_path / "s" / "wrong.png", "some") == 2
    assert [np.array_equal(image, split.images[place, :, :, 0]) for image, place in zip(shown, (3, 17))] == [True, True]
    label = split.labels[3]
    assert titles[0] == f"/3.png\n{label} → {(label + 1) % 10}" and len(shown) == 2
    assert titles[1].splitlines()[0] == "…nglonglonglonglong/17.png" and len(titles[1].splitlines()[0]) < 27
    assert (tmp_path / "s" / "wrong.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ArgumentError, match="must be the name of a picture"):
        write_sheet(result, split, names, tmp_path / "wrong.csv", "some")


def test_pictures_of_a_folder_name_its_files_and_show_their_titles_whole(tmp_path, monkeypatch):
    """Names on the sheet are those of the list; a title of a long path is in several lines, and in the picture."""
    from matplotlib.figure import Figure

    drawn = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *args, **kw: (drawn.append(figure), save(figure, *args, **kw))
    )
    arrays, folder = digit_arrays(), tmp_path / "pictures-of-a-folder-with-a-name-longer-than-a-title"
    for place, (image, label) in enumerate(zip(arrays["test_images"][:20], arrays["test_labels"])):
        (folder / f"{(int(label) + (place == 5)) % 10}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.reshape(28, 28)).save(folder / f"{(int(label) + (place == 5)) % 10}" / f"im{place}.png")
    words = ["evaluate", "lenet", "--images", str(folder), "--wrong", str(tmp_path / "wrong.csv")]
    assert main([*words, "--sheet", str(tmp_path / "wrong.png"), "--plot", str(tmp_path / "confusion.png")]) == 0
    listed = [Path(line.split(",")[0]) for line in (tmp_path / "wrong.csv").read_text().splitlines()[1:]]
    confusion, sheet = drawn
    heads = [axes.get_title().splitlines()[0] for axes in sheet.axes if axes.get_title()]
    assert heads == [path.relative_to(folder).as_posix() for path in listed] and any(
        "/im5.png" in head for head in heads
    )
    for figure, title in ((confusion, confusion.axes[0].title), (sheet, sheet._suptitle)):
        box = title.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width and "\n" in title.get_text()


def test_the_sheet_by_the_command_line(trained, digits_folder, tmp_path, capsys):
    words = ["evaluate", str(trained), "--data-dir", str(digits_folder), "--device", "cpu"]
    assert main([*words, "--sheet", str(tmp_path / "wrong.png"), "--wrong", str(tmp_path / "wrong.csv")]) == 0
    out = capsys.readouterr().out
    assert "pictures of them" in out and (tmp_path / "wrong.png").is_file()
    assert main([*words, "--sheet", str(tmp_path / "wrong.txt")]) == 1
    assert "must be the name of a picture" in capsys.readouterr().err
