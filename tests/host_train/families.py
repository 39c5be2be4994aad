"""CIFAR-10 models of the usual families, small, and written as other people write theirs: nothing here was made for
the accelerator.

Every function takes a `width`, which is about the channels of the first stage, and gives an untrained model for images
[n, 3, 32, 32] and ten classes. `settled` gives it batch-norm statistics as training would.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from families_chains import VGG, LeNet, MobileNetV1
from families_joined import DLA, DPN, DenseNet, GoogLeNet
from families_residual import (
    BasicBlock,
    Bottleneck,
    MobileNetV2,
    PadShortcutBlock,
    PreActResNet,
    RegNetBlock,
    ResNet,
    SEBlock,
)
from families_shuffled import ShuffleNetV1, ShuffleNetV2
from torch import nn


def smooth_images(count: int, side: int = 32, channels: int = 3, seed: int = 0) -> torch.Tensor:
    """float32 [n, channels, side, side] in 0..1, whose neighbouring pixels are alike, as in photos."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 4, 4, generator=generator)
    fine = torch.rand(count, channels, side, side, generator=generator)
    smooth = F.interpolate(coarse, side, mode="bilinear", align_corners=False)
    # On the grid of bytes, which is what a network gets.
    return ((0.9 * smooth + 0.1 * fine) * 255).round() / 255


def settled(model: nn.Module, images: torch.Tensor, passes: int = 2) -> nn.Module:
    """`model` in evaluation mode, its batch norms with the statistics of `images` and with scales and shifts of their
    own: untouched, every one of them would be the same.
    """
    generator = torch.Generator().manual_seed(1)
    norms = [module for module in model.modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a mean over all passes
        with torch.no_grad():
            norm.weight.copy_(0.75 + 0.5 * torch.rand(norm.weight.shape, generator=generator))
            norm.bias.copy_(0.2 * torch.randn(norm.bias.shape, generator=generator))
    model.train()
    with torch.no_grad():
        for batch in images.repeat(passes, 1, 1, 1).split(32):
            model(batch)
    return model.eval()


FAMILIES: dict[str, Callable[[], nn.Module]] = {
    "lenet": LeNet,
    "vgg": VGG,
    "mobilenet_v1": MobileNetV1,
    "resnet_basic": lambda: ResNet(BasicBlock, 8, (2, 1, 1)),
    "resnet_bottleneck": lambda: ResNet(Bottleneck, 8),
    "resnet_option_a": lambda: ResNet(PadShortcutBlock, 8),
    "preact_resnet": lambda: PreActResNet(8),
    "resnext": lambda: ResNet(Bottleneck, 16, groups=4),
    "regnet_x": lambda: ResNet(RegNetBlock, 16, (1, 2, 1), groups=2),
    "senet": lambda: ResNet(SEBlock, 8),
    "mobilenet_v2": MobileNetV2,
    "efficientnet_like": lambda: MobileNetV2(8, nn.SiLU),
    "googlenet": GoogLeNet,
    "densenet": DenseNet,
    "dpn": DPN,
    "dla": DLA,
    "simple_dla": lambda: DLA(8, levels=False),
    "shufflenet_v1": ShuffleNetV1,
    "shufflenet_v2": ShuffleNetV2,
}


def family(name: str, seed: int = 0) -> nn.Module:
    """The model of a family, untrained but for its batch-norm statistics."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return settled(FAMILIES[name](), smooth_images(64))
