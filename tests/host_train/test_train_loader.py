"""Data of one's own in any form, to train on and to measure with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from own_training import Mine
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from host_train.compression.subject import own_subject
from host_train.training.fit import fit
from host_train.training.loader import Loader
from host_train.training.measure import measure
from host_train.training.schedule import Schedule
from pynq_cnn.errors import ArgumentError


def test_data_may_come_in_any_form(own_model, own_data):
    images, labels = own_data["test"]
    batches = list(zip(images.split(32), labels.split(32)))
    expected = measure(own_model, Loader((images, labels)))
    for data in (
        (images.numpy(), labels.numpy()),
        [images, labels.tolist()],
        DataLoader(TensorDataset(images, labels), batch_size=50),
        batches,
        (pair for pair in batches),  # which can be gone through but once
    ):
        loader = Loader(data)
        for _ in range(2):
            assert measure(own_model, loader) == pytest.approx(expected, rel=1e-5)
        assert len(loader) == 120


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("folder", "data must be a DataLoader"),
        (torch.zeros(3), "data must be a DataLoader"),
        (5, "data must be a DataLoader"),
        ([], "there are no images"),
        ([torch.zeros(3, 1, 2, 2)], "a batch of it is a Tensor"),
        ([(1, 2, 3)], "a batch of it is 3 things"),
        ([("a", "b")], "a batch of it is no numbers"),
        (
            (torch.zeros(2, 1, 2, 2, dtype=torch.uint8), [0, 1]),
            "inputs must be floats as the model takes them, not torch.uint8",
        ),
        ((torch.zeros(2, 4), torch.zeros(2)), "labels must be integers"),
        ((torch.zeros(2, 4), torch.zeros(2, 3, dtype=torch.int64)), "labels must be integers"),
        ((torch.zeros(3, 4), [0, 1]), "a label for each input, not 2 for"),
    ],
)
def test_other_data_are_refused(data, message):
    with pytest.raises(ArgumentError, match=message):
        Loader(data)


def test_models_that_do_not_fit_are_told(own_data):
    flat = Loader(own_data["test"])
    with pytest.raises(ArgumentError, match="labels from 0 to 9, and the model gives 4 classes"):
        measure(nn.Sequential(nn.Flatten(), nn.Linear(784, 4)), flat)
    for run in (lambda: measure(nn.Identity(), flat), lambda: fit(nn.Conv2d(1, 1, 1), flat, flat, Schedule(1), None)):
        with pytest.raises(ArgumentError, match=r"must give logits \[n, classes\]"):
            run()
    with pytest.raises(ArgumentError, match="no distillation, no clean_images"):
        fit(nn.Linear(1, 1), flat, None, Schedule(1, clean_images=5), None)
    with pytest.raises(ArgumentError, match="model must be a torch.nn.Module, not a str"):
        own_subject("model", own_data["test"])  # type: ignore[arg-type]


def test_a_training_by_a_loader_is_resumed_bit_by_bit(own_data, tmp_path):
    def train(folder: Path | None, stop: int = 9, resume: bool = False) -> dict[str, torch.Tensor]:
        def report(record: object) -> None:
            if record.epoch == stop:  # type: ignore[attr-defined]
                raise KeyboardInterrupt

        torch.manual_seed(4)
        net = Mine()
        data = DataLoader(TensorDataset(*own_data["train"]), batch_size=50, shuffle=True)
        fit(
            net,
            Loader(data),
            Loader(own_data["test"]),
            Schedule(3),
            folder,
            resume=resume,
            progress=False,
            report=report,
        )
        return net.state_dict()

    whole = train(None)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, stop=2)
    resumed = train(tmp_path, resume=True)
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())
