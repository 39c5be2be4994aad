"""Parameter folders of BNN-PYNQ, to networks here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bnn_pynq_folders import CNV_SHAPES, LFC_SHAPES, cnv_counts, lfc_margins, random_layers, write_layers

from host_train import from_bnn_pynq
from host_train.cli import main
from pynq_cnn.backends.cpu import CpuBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.compiler import compile_network
from pynq_cnn.errors import ArgumentError, ModelPackageError
from pynq_cnn.model import InputSpec, Network, OutputSpec, load_package

ROOT = Path(__file__).parents[2]
ANIMALS = ["Ant", "Bee", "Cat", "Größte Dogge, 3.5 t"]
DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each kind."""
    folder = tmp_path_factory.mktemp("params")
    return {
        "cnv": write_layers(folder / "cnvW1A1", random_layers(CNV_SHAPES, 4), ANIMALS, False),
        "lfc": write_layers(folder / "lfcW1A1", random_layers(LFC_SHAPES, 10), DIGITS, True),
    }


@pytest.fixture
def cnv(written, tmp_path) -> Path:
    """A folder to do harm to."""
    return Path(shutil.copytree(written["cnv"], tmp_path / "mine"))


@pytest.fixture
def lfc(written, tmp_path) -> Path:
    return Path(shutil.copytree(written["lfc"], tmp_path / "mine"))


def run(network: Network, images: np.ndarray) -> np.ndarray:
    """Accumulators, of which reference and cpu must be one."""
    found = ReferenceBackend(network).run(images)
    with CpuBackend(network) as cpu:
        np.testing.assert_array_equal(cpu.run(images), found)
    return found


def test_cnv_counts_as_bnn_pynq_does(written, tmp_path):
    network = from_bnn_pynq(written["cnv"], name="mine", folder=tmp_path / "package")
    assert network.classes == tuple(ANIMALS) and load_package(tmp_path / "package") == network
    images = np.random.default_rng(3).integers(0, 256, (6, 32, 32, 3), np.uint8)
    expected = np.array([cnv_counts(random_layers(CNV_SHAPES, 4), image)[:4] for image in images])
    np.testing.assert_array_equal(run(network, images), 2 * expected - 512)
    assert network.answers(network.logits(2 * expected.astype(np.int32) - 512)).tolist() == expected.argmax(1).tolist()
    compile_network(network, capacity=1)


def test_every_byte_is_rounded_as_bnn_pynq_rounds_it(written):
    layer = from_bnn_pynq(written["cnv"], name="mine").layers[0]
    pixels = np.arange(256)
    bytes_ = np.repeat(pixels.astype(np.uint8).reshape(1, 256, 1), 3, 2)
    # Its own network: what the layer gives, summed up by a last one.
    from pynq_cnn.model import Conv2d

    last = Conv2d("last", np.ones((1, 1, 1, 3), np.int8), np.zeros(1, np.int32))
    one = OutputSpec(np.ones(1, np.float32), np.zeros(1, np.float32), "values")
    network = Network("one", InputSpec(1, 1, 3, "RGB", (0.5,) * 3, (0.5,) * 3), (layer, last), one, ("sum",))
    given = ReferenceBackend(network).run(bytes_.reshape(256, 1, 1, 3)).ravel()
    expected = np.clip(np.floor(128 * (2 * pixels / 255 - 1) + 0.5), -128, 127) + 128
    np.testing.assert_array_equal(given, 3 * expected)


def test_lfc_counts_as_bnn_pynq_does(written, digits):
    network = from_bnn_pynq(written["lfc"], name="mine", images=digits["test_images"].reshape(-1, 28, 28, 1))
    layers = random_layers(LFC_SHAPES, 10)
    assert 0.2 < layers[0].bits[:, 784:].mean() < 0.8  # of the columns behind the pixels, both are there
    images = np.random.default_rng(4).integers(100, 156, (20, 28, 28, 1)).astype(np.uint8)
    images[0], images[1] = 127, 128
    images[2:12] = digits["test_images"].reshape(-1, 28, 28, 1)[:10]
    expected = np.array([lfc_margins(layers, image)[:10] for image in images])
    logits = network.logits(run(network, images))
    np.testing.assert_array_equal(logits, ((expected - 0.5) / 16).astype(np.float32))
    assert (logits > 0).tolist() == (expected > 0).tolist()
    compile_network(network, capacity=1)


@pytest.mark.parametrize(("shapes", "rows", "classes"), [(CNV_SHAPES, 12, 10), (LFC_SHAPES, 48, 47)])
def test_last_layers_of_no_more_rows_than_elements_need(tmp_path, shapes, rows, classes):
    """As older folders have them; CNV's with thresholds that nothing reads."""
    whole = random_layers(shapes, classes)
    cut = [*whole[:-1], replace(whole[-1], rows=rows)]
    cut[-1].bits, cut[-1].thresholds = whole[-1].bits[:rows], np.minimum(whole[-1].thresholds[:rows], 65535)
    cut[-1].thresholds[classes:] = 65535
    names = [f"class {number}" for number in range(classes)]
    new = write_layers(tmp_path / "new", whole, names, shapes is LFC_SHAPES)
    old = write_layers(tmp_path / "old", cut, names, True)
    assert from_bnn_pynq(new, name="mine") == from_bnn_pynq(old, name="mine")


def test_lines_of_other_systems_and_blank_ones(cnv):
    (cnv / "classes.txt").write_bytes("\ufeff a \r\n\r\nb\r\nc\r\nd".encode())
    assert from_bnn_pynq(cnv, name="mine").classes == ("a", "b", "c", "d")


def altered(name: str, change) -> tuple:
    return name, change


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + bytes(8))


def first_word(value: int):
    def change(path: Path) -> None:
        path.write_bytes(value.to_bytes(8, "little", signed=value < 0) + path.read_bytes()[8:])

    return change


def text(content: bytes):
    return lambda path: path.write_bytes(content)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def thrice(path: Path) -> None:
    path.write_bytes(3 * path.read_bytes())


def twin(name: str):
    return lambda path: shutil.copy(path, path.with_name(name))


@pytest.mark.parametrize(
    ("name", "harm", "message"),
    [
        ("3-7-weights.bin", Path.unlink, "3-7-weights.bin cannot be read: No such file"),
        ("3-7-thres.bin", Path.unlink, "3-7-thres.bin cannot be read: No such file"),
        ("0-0-weights.bin", cut_short, r"0-0-weights.bin has 280 bytes, not 288; it is damaged, or of another network"),
        ("5-0-weights.bin", lengthen, r"5-0-weights.bin has 147464 bytes, not 147456"),
        ("5-0-thres.bin", cut_short, r"5-0-thres.bin has 2040 bytes, not 2048"),
        ("5-0-thres.bin", thrice, r"5-0-thres.bin has three thresholds a row, as activations of two bits"),
        ("1-3-thres.bin", first_word(1 << 15), r"a threshold of layer 1 is 32768, beyond 16 bits"),
        ("1-3-thres.bin", first_word(-(1 << 15) - 1), r"a threshold of layer 1 is -32769, beyond 16 bits"),
        ("0-3-thres.bin", first_word(1 << 23), r"a threshold of layer 0 is 8388608, beyond 24 bits"),
        ("6-0-weights.bin", first_word(16), r"6-0-weights.bin has bits past the 4 weights of a word"),
        (
            "4-3-weights.bin",
            twin("4-4-weights.bin"),
            r"4-4-weights.bin is one too many: layer 4 is spread over 4 files",
        ),
        ("8-0-weights.bin", twin("9-0-weights.bin"), r"has parameters of 10 layers; CNV has 9 and LFC 4"),
        ("8-0-weights.bin", cut_short, r"8-0-weights.bin has 65528 bytes, not 61440|8-1-weights.bin has 65536 bytes"),
        (
            "8-0-weights.bin",
            text(b""),
            r"8-0-weights.bin has 0 rows, so that there are 0 in all, fewer than the 4 names",
        ),
        ("8-2-weights.bin", lengthen, r"8-2-weights.bin has 65544 bytes, not 65536"),
        ("8-0-weights.bin", lengthen, r"8-0-weights.bin has 65544 bytes"),
        ("2-0-weights.bin", replace_by_folder, r"2-0-weights.bin is a folder, not a file"),
        ("2-0-weights.bin", replace_by_pipe, r"2-0-weights.bin is a pipe, not a file"),
        ("classes.txt", Path.unlink, r"classes.txt cannot be read: No such file"),
        ("classes.txt", text("Größe\nb\nc\nd".encode("latin-1")), r"classes.txt is no text in UTF-8: byte 2 is 0xf6"),
        ("classes.txt", text(b"a\nb\nc\n"), r"classes.txt has 3 names, but the last layer has weights for 4 classes"),
        ("classes.txt", text(b"a\nb\nc\nd\ne"), r"classes.txt has 5 names, but the last layer has weights for 4"),
        (
            "classes.txt",
            text(b"\n".join(b"%d" % i for i in range(65))),
            r"classes.txt has 65 names; there must be 2 to",
        ),
        ("classes.txt", text(b"alone"), r"classes.txt has 1 names; there must be 2 to 64"),
        ("classes.txt", text(b"a\n" * (1 << 16)), r"classes.txt has 131072 bytes; at most 65536 are read"),
        ("classes.txt", replace_by_folder, r"classes.txt is a folder"),
    ],
)
def test_what_is_damaged_is_refused_by_the_name_of_its_file(cnv, name, harm, message):
    from_bnn_pynq(cnv, name="mine")
    harm(cnv / name)
    with pytest.raises(ModelPackageError, match=message):
        from_bnn_pynq(cnv, name="mine")


def test_thresholds_of_lfcs_last_layer_are_needed(lfc):
    (lfc / "3-5-thres.bin").unlink()
    with pytest.raises(ModelPackageError, match="3-5-thres.bin cannot be read"):
        from_bnn_pynq(lfc, name="mine")


@pytest.mark.parametrize("bits", ["W1A2", "W2A2"])
def test_networks_of_more_bits_are_refused_by_name(cnv, bits):
    folder = cnv.rename(cnv.with_name(f"cnv{bits}"))
    with pytest.raises(ModelPackageError, match=f"is of a {bits} network; only networks with one bit"):
        from_bnn_pynq(folder, name="mine")


def test_folders_that_are_none(tmp_path):
    for folder in (tmp_path / "none", None, 3):
        with pytest.raises(ArgumentError, match="is no folder; give one with classes.txt"):
            from_bnn_pynq(folder, name="mine")
    (tmp_path / "classes.txt").write_text("a\nb\n")
    with pytest.raises(ModelPackageError, match="has no parameters of BNN-PYNQ, files such as 0-0-weights.bin"):
        from_bnn_pynq(tmp_path, name="mine")


def test_golden_images_of_another_shape(written):
    with pytest.raises(ArgumentError, match="takes images as a uint8 array"):
        from_bnn_pynq(written["cnv"], name="mine", images=np.zeros((4, 28, 28, 1), np.uint8))


def test_names_that_a_network_cannot_have(cnv):
    from pynq_cnn.errors import NetworkError

    (cnv / "classes.txt").write_text("a\na\nb\nc\n")
    with pytest.raises(NetworkError, match="repeat"):
        from_bnn_pynq(cnv, name="mine")


def test_the_command_needs_no_torch(written, tmp_path):
    out = tmp_path / "packages" / "mine"
    script = (
        "import sys; sys.modules['torch'] = None\nfrom host_train.cli import main\n"
        f"assert main(['convert', '--bnn-pynq', {str(written['cnv'])!r}, '--out', {str(out)!r}]) == 0"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    network = load_package(out)
    assert network.name == "mine" and network.classes == tuple(ANIMALS) and network.golden is not None
    assert network.metadata == {"source": "BNN-PYNQ", "topology": "cnvW1A1"} and f"written: {out}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of the two: a model, as FILE:NAME or FILE.onnx"),
        (["mine.py:Mine", "--bnn-pynq", "FOLDER"], "give one of the two: "),
        (["--bnn-pynq", "FOLDER", "--weights", "w.pt", "--classes", "a", "b"], "remove --weights, --classes"),
        (["--bnn-pynq", "nowhere"], "nowhere is no folder"),
        (["mine.py:Mine"], "give the data set that the model was trained on"),
    ],
)
def test_mistakes_on_the_command_line(written, tmp_path, capsys, arguments, message):
    given = [str(written["cnv"]) if word == "FOLDER" else word for word in arguments]
    assert main(["convert", *given, "--out", str(tmp_path / "out")]) == 1
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_the_command_measures_on_a_data_set(written, digits_folder, tmp_path, capsys):
    pytest.importorskip("sklearn")
    pytest.importorskip("torch")
    out = tmp_path / "mine"
    data = ["--dataset", "mnist", "--data-dir", str(digits_folder)]
    assert main(["convert", "--bnn-pynq", str(written["lfc"]), *data, "--out", str(out)]) == 0
    network = load_package(out)
    shown = f"on the 120 test images of MNIST: {100 * network.metadata['accuracy']['integer_top1']:.2f} %"
    assert shown in capsys.readouterr().out and network.metadata["dataset"] == "MNIST"
    assert main(["evaluate", str(out), "--data-dir", str(digits_folder)]) == 0
    assert f"top-1 {100 * network.metadata['accuracy']['integer_top1']:.2f} %" in capsys.readouterr().out
