"""Schedules: learning rates, optimisers, steps as they are computed; what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from trainings import QUICK, same, seeded, small

from host_train.training.augment import Augmentation
from host_train.training.checkpoint import load_state, save_state
from host_train.training.fit import CHECKPOINT, fit
from host_train.training.forward import Forward
from host_train.training.gradients import Computed, Recorded
from host_train.training.optimiser import make_optimiser, one_cycle
from host_train.training.schedule import Schedule
from host_train.training.tensors import TensorData
from pynq_cnn.errors import ArgumentError


def rates(steps: int) -> list[float]:
    optimiser = torch.optim.AdamW([nn.Parameter(torch.zeros(1))])
    policy, seen = one_cycle(optimiser, 0.5, steps), []
    for _ in range(steps):
        seen.append(policy.get_last_lr()[0])
        optimiser.step()
        policy.step()
    return seen


def test_the_learning_rate_climbs_for_a_tenth_and_falls():
    for steps in (*range(1, 10), *range(11, 40), 1000):
        optimiser = torch.optim.AdamW([nn.Parameter(torch.zeros(1))])
        policy = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.5, total_steps=steps, pct_start=0.1)
        for rate in rates(steps):
            assert rate == policy.get_last_lr()[0]
            optimiser.step()
            policy.step()
    ten = rates(10)
    assert ten[0] == pytest.approx(0.5, rel=1e-4) and ten == sorted(ten, reverse=True) and ten[-1] < 1e-5


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"epochs": 1.5},
        {"epochs": 1, "batch": 0},
        {"epochs": 1, "learning_rate": 0},
        {"epochs": 1, "learning_rate": float("nan")},
    ]
    + [{"epochs": 1, "weight_decay": -1}, {"epochs": 1, "label_smoothing": 1}],
)
def test_bad_schedules_are_refused(bad):
    with pytest.raises(ArgumentError, match=list(bad)[-1]):
        Schedule(**bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"optimiser": "adam"},
        {"distillation": 1.5},
        {"distillation": -0.1},
        {"temperature": 0},
        {"clean_images": -1},
        {"clean_images": 2.5},
    ],
)
def test_bad_options_of_a_schedule_are_refused(bad):
    with pytest.raises(ArgumentError, match=list(bad)[0]):
        Schedule(epochs=1, **bad)


def test_the_schedule_names_the_optimiser(data, tmp_path):
    chosen = make_optimiser(small(), replace(QUICK, optimiser="sgd", weight_decay=1e-3))
    assert isinstance(chosen, torch.optim.SGD) and chosen.param_groups[0]["nesterov"]
    assert [group["weight_decay"] for group in chosen.param_groups] == [1e-3, 0.0]
    assert isinstance(make_optimiser(small(), QUICK), torch.optim.AdamW)
    history = fit(seeded(small), *data, replace(QUICK, epochs=4, optimiser="sgd", learning_rate=0.1), tmp_path)
    assert history[-1].validation_accuracy > 0.5


def test_a_checkpoint_of_a_version_with_fewer_options_goes_on(data, tmp_path):
    whole, parts = seeded(small), seeded(small)
    history = fit(whole, *data, QUICK, tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop(record):
        raise Stop

    with pytest.raises(Stop):
        fit(parts, *data, QUICK, tmp_path / "parts", report=stop)
    state = load_state(tmp_path / "parts" / CHECKPOINT)
    for name in ("optimiser", "distillation", "temperature", "clean_images"):
        del state["identity"]["schedule"][name]
    del state["identity"]["schedule"]["augmentation"]["erase"]
    save_state(tmp_path / "parts" / CHECKPOINT, state)
    resumed = seeded(small)
    assert fit(resumed, *data, QUICK, tmp_path / "parts", resume=True) == history and same(resumed, whole)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_a_recorded_step_is_the_computed_one(data):
    train = TensorData(*(one.to("cuda") for one in (data[0].images, data[0].labels, data[0].mean, data[0].std)))
    schedule = replace(QUICK, augmentation=Augmentation(crop=2, flip=True))
    model = seeded(small).to("cuda").train()
    step = Computed(model, Forward.of(model, schedule, torch.device("cuda")), train, schedule)
    recorded, chosen = Recorded(step, 32), torch.arange(64, 96, device="cuda")
    torch.manual_seed(5)
    loss, right = (one.clone() for one in recorded(chosen))
    gradients = [p.grad.clone() for p in model.parameters()]
    torch.manual_seed(5)
    again, also_right = step(chosen)
    assert torch.allclose(loss, again) and right == also_right
    assert all(torch.allclose(a, p.grad, atol=1e-5) for a, p in zip(gradients, model.parameters()))
