"""ONNX files of PyTorch's exporters: the same integers as of the model that was exported, and the command."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from families import FAMILIES, family, smooth_images
from onnx_graphs import SEEN, equal, export
from torch import nn

if not find_spec("onnx") or not find_spec("onnx2torch"):
    pytest.skip(
        "ONNX IS NOT TESTED HERE: onnx and onnx2torch are not installed (pip install 'pynq-cnn[onnx]')",
        allow_module_level=True,
    )


from host_train import from_onnx, from_torch
from host_train.cli import main
from host_train.foreign.onnx_file import load_onnx
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import load_package

pytestmark = [
    pytest.mark.filterwarnings("ignore:the model gives the same answer for all"),
    pytest.mark.filterwarnings("ignore:.*(legacy TorchScript|torch.onnx|dynamic_axes|is deprecated)"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


@pytest.mark.parametrize("opset", [9, 13, 17, 18, 20])
@pytest.mark.parametrize("any_batch", [True, False], ids=["any batch", "batch of 1"])
def test_exported_chains_give_the_same_integers(tmp_path, opset, any_batch):
    model = family("lenet")
    path = export(model, tmp_path / "lenet.onnx", any_batch=any_batch, opset_version=opset)
    equal(from_onnx(path, SEEN, name="lenet"), from_torch(model, SEEN, name="lenet"))


@pytest.mark.parametrize("any_batch", [True, False], ids=["any batch", "batch of 1"])
def test_the_newer_exporter_too(tmp_path, any_batch):
    pytest.importorskip("onnxscript")
    model = family("lenet")
    sizes = {"dynamic_shapes": ({0: torch.export.Dim("n", min=2)},)} if any_batch else {}
    torch.onnx.export(model, (SEEN[: 2 if any_batch else 1],), str(tmp_path / "l.onnx"), dynamo=True, **sizes)
    equal(from_onnx(tmp_path / "l.onnx", SEEN, name="l"), from_torch(model, SEEN, name="l"))


# Of these the integers are looked at too: a chain, sums, clamps, shuffled channels, and what is refused.
CONVERTED = ("lenet", "resnet_option_a", "mobilenet_v2", "shufflenet_v2", "senet", "efficientnet_like")


@pytest.mark.parametrize("name", FAMILIES)
def test_families_are_read_as_they_are(tmp_path, name):
    """Each as the model that was exported; and what `from_torch` takes of that, in the same integers."""
    model = family(name)
    path = export(model, tmp_path / f"{name}.onnx")
    read = load_onnx(path)
    images = smooth_images(3, seed=7)
    with torch.no_grad():
        assert torch.allclose(read(images), model(images), rtol=1e-3, atol=1e-4)
    if name not in CONVERTED:
        return
    try:
        theirs = from_torch(model, SEEN, name=name, min_agreement=0)
    except NetworkError:
        with pytest.raises(NetworkError):
            from_onnx(path, SEEN, name=name, min_agreement=0)
        return
    norms = any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    equal(from_onnx(path, SEEN, name=name, min_agreement=0), theirs, exact=not norms)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 5, stride=3), nn.Linear(256, 10)

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).flatten(1))


def test_the_command(tmp_path, digits_folder, capsys):
    path = export(Small(), tmp_path / "small.onnx", torch.zeros(2, 1, 28, 28))
    out = tmp_path / "package"
    base = ["convert", str(path), "--dataset", "mnist", "--data-dir", str(digits_folder), "--out", str(out)]
    assert main([*base, "--min-agreement", "0.5"]) == 0
    assert "on the 120 test images of MNIST: integers" in capsys.readouterr().out
    network = load_package(out)
    assert network.classes == tuple("0123456789") and "accuracy" in network.metadata
    assert main([*base, "--weights", "w.pt"]) == 1
    assert "an ONNX file has its weights; remove --weights" in capsys.readouterr().err
    base[1] = str(tmp_path / "none.onnx")
    assert main(base) == 1 and "there is no such file" in capsys.readouterr().err
