"""Statistics of batch norms, taken anew of images as they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from trainings import QUICK, seeded, small

from host_train.networks import RECIPES
from host_train.training.augment import Augmentation
from host_train.training.fit import fit
from host_train.training.norms import estimate_norms


def test_statistics_are_those_of_the_images_as_they_are(data):
    train = data[0]
    model = nn.Sequential(seeded(small)[0], nn.Dropout(0.5), nn.BatchNorm2d(1), nn.BatchNorm2d(1, momentum=None))
    estimate_norms(model, train, 500)
    pooled = model[0](train.normalise(train.images[:500].float() / 255))
    norm = model[2]
    assert norm.running_mean.item() == pytest.approx(pooled.mean().item(), abs=1e-6)  # dropout would have moved it
    assert norm.running_var.item() == pytest.approx(pooled.var().item(), rel=1e-3)
    assert [one.momentum for one in model[2:]] == [0.1, None] and not any(one.training for one in model.modules())


def test_statistics_leave_a_network_without_batch_norm_alone(data):
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    estimate_norms(model, data[0], 100)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_training_with_clean_statistics_ends_with_them(data, tmp_path):
    model = seeded(small)
    fit(model, *data, replace(QUICK, clean_images=400, augmentation=Augmentation(crop=3)), tmp_path)
    ended = {name: value.clone() for name, value in model.state_dict().items()}
    estimate_norms(model, data[0], 400)
    assert all(torch.equal(ended[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["resnet8", "resnet20", "vgg", "vgg_bnn", "vgg_bnn_half"])
def test_statistics_of_images_as_they_are_do_not_go_with_black_borders(name):
    """They cost resnet8 five points, and vgg one: images of CIFAR-10 fill their frame, crops of training do not."""
    recipe = RECIPES[name]
    for schedule in (recipe.start, recipe.schedule, recipe.whole):
        if schedule is not None and schedule.augmentation.crop:
            assert schedule.augmentation.reflect or not schedule.clean_images
