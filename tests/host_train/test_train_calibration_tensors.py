"""Tensors of any make, to calibrate with."""

from __future__ import annotations

import pytest
import torch
from small_models import INPUTS, PICTURES, Net

from host_train import from_torch


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.to_sparse(),
        lambda x: [batch.to_sparse() for batch in x.split(20)],
        lambda x: torch.quantize_per_tensor(x, 1 / 255, 0, torch.quint8),
        lambda x: x.to_mkldnn(),
        lambda x: x.clone().requires_grad_(),
        lambda x: x.to(memory_format=torch.channels_last),
        lambda x: x.double().numpy().astype(">f8"),
    ],
    ids=["sparse", "sparse batches", "quantised", "mkldnn", "with gradients", "channels last", "big-endian"],
)
def test_images_in_any_layout_are_the_same_images(make):
    model = Net(3)
    expected = from_torch(model, PICTURES, name="n", method="max", min_agreement=0)
    assert from_torch(model, make(INPUTS), name="n", method="max", min_agreement=0).layers == expected.layers
