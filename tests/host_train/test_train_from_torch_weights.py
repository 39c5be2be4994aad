"""Files of weights as people save them, taken or refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from host_train.tracing.weight_file import load_weights
from pynq_cnn.errors import ArgumentError


def net(outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, outputs))


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in net().state_dict().items()}


ACCEPTED = {
    "state_dict": (lambda: net().state_dict(), []),
    "checkpoint": (
        lambda: {"epoch": 3, "state_dict": net().state_dict(), "loss": 0.5},
        ["took the weights from its 'state_dict'"],
    ),
    "model": (lambda: {"model": net().state_dict(), "optimizer": {}}, ["took the weights from its 'model'"]),
    "parallel": (lambda: prefixed("module."), ["took the names without 'module.'"]),
    "compiled": (lambda: prefixed("_orig_mod."), ["took the names without '_orig_mod.'"]),
    "both": (lambda: {"model_state_dict": prefixed("module.")}, ["from its 'model_state_dict'", "without 'module.'"]),
    "compiled, then parallel": (
        lambda: prefixed("_orig_mod.module."),
        ["took the names without '_orig_mod.module.'"],
    ),
    "parallel in lightning": (lambda: prefixed("model.module."), ["took the names without 'model.module.'"]),
    "compiled in lightning": (lambda: prefixed("model._orig_mod."), ["took the names without 'model._orig_mod.'"]),
    "all of them": (
        lambda: {"state_dict": prefixed("model._orig_mod.module.")},
        ["from its 'state_dict'", "took the names without 'model._orig_mod.module.'"],
    ),
    "twice": (lambda: prefixed("module.module."), ["took the names without 'module.module.'"]),
    "in a training module": (lambda: prefixed("net."), ["took the names without 'net.'"]),
    "lightning": (lambda: {"state_dict": prefixed("model.")}, ["from its 'state_dict'", "without 'model.'"]),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_weights_are_taken_as_people_save_them(tmp_path, case):
    make, notes = ACCEPTED[case]
    torch.manual_seed(1)
    torch.save(make(), tmp_path / "w.pt")
    torch.manual_seed(1)
    trained, model = net(), net()
    said = load_weights(model, tmp_path / "w.pt")
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), trained.state_dict().values()))
    assert len(said) == len(notes) and all(note in line and "w.pt" in line for note, line in zip(notes, said))


def test_lazy_layers_take_their_shape_from_the_file(tmp_path):
    torch.save(net().state_dict(), tmp_path / "w.pt")
    model = nn.Sequential(nn.LazyConv2d(2, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(3))
    load_weights(model, tmp_path / "w.pt")
    assert model[3].weight.shape == (3, 8)


def test_a_prefix_that_the_model_has_too_stays(tmp_path):
    model = nn.ModuleDict({"module": net()})
    torch.save(model.state_dict(), tmp_path / "w.pt")
    assert load_weights(model, tmp_path / "w.pt") == []


UNUSABLE = {
    "whole model": (
        net,
        (
            "holds a torch.nn.modules.container.Sequential, not weights alone; save the weights alone:"
            " torch.save(model.state_dict"
        ),
    ),
    "tensor": (lambda: torch.zeros(3), "holds a Tensor, not a state_dict of tensors; save the weights alone"),
    "list": (lambda: [1, 2], "holds a list, not a state_dict of tensors"),
    "nothing": (dict, "holds a dict, not a state_dict of tensors"),
    "other things": (lambda: {"epoch": 3, "loss": 0.5}, "holds a dict of epoch, loss, not a state_dict of tensors"),
    "other shapes": (
        lambda: net(4).state_dict(),
        "of Sequential: other shapes: 3.weight is (4, 8) in the file and (3, 8) in the model, 3.bias",
    ),
    "another network": (
        lambda: nn.Sequential(nn.Linear(2, 2)).state_dict(),
        "it has no 1.weight, 1.bias, 1.running_mean and 4 more; other shapes: 0.weight is (2, 2) in the file",
    ),
    "more": (
        lambda: {**net().state_dict(), "head.weight": torch.zeros(1)},
        "the model has no head.weight; make the model that was trained",
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_weights_are_told_with_what_the_file_holds(tmp_path, case):
    make, message = UNUSABLE[case]
    torch.save(make(), tmp_path / "w.pt")
    check_refused(tmp_path / "w.pt", message)


@pytest.mark.parametrize("octets", [b"", b"hello there " * 20, b"PK\x03\x04 cut off"])
def test_files_of_another_kind_are_told(tmp_path, octets):
    (tmp_path / "w.pt").write_bytes(octets)
    check_refused(
        tmp_path / "w.pt",
        "holds no weights that torch can read; it may be damaged or of another kind; save the weights alone",
    )


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_weights_of_torchscript_are_taken(tmp_path):
    trained, model = net().eval(), net()
    torch.jit.trace(trained, torch.zeros(1, 1, 4, 4)).save(str(tmp_path / "w.pt"))
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    assert load_weights(model, tmp_path / "w.pt") == [f"{tmp_path / 'w.pt'}: took the weights of the TorchScript"]
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), trained.state_dict().values()))


def check_refused(path: Path, message: str) -> None:
    """The message and nothing of what torch would have the user do: one line, no warning, no other command."""
    with warnings.catch_warnings(), pytest.raises(ArgumentError) as raised:
        warnings.simplefilter("error")
        load_weights(net(), path)
    told = str(raised.value)
    assert message in told and str(path) in told
    assert not any(word in told for word in ("\n", "\x1b", "train again", "weights_only", "remove"))
