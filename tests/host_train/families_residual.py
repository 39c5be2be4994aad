"""Families of networks that add what they skipped."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, in_planes: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(in_planes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class Bottleneck(nn.Module):
    expansion = 2

    def __init__(self, in_planes: int, planes: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(in_planes, planes, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, self.expansion * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(self.expansion * planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or in_planes != self.expansion * planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_planes, self.expansion * planes, 1, stride, bias=False),
                nn.BatchNorm2d(self.expansion * planes),
            )

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out = out + identity
        return self.relu(out)


class PreActBlock(nn.Module):
    expansion = 1

    def __init__(self, in_planes: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(in_planes), nn.Conv2d(in_planes, planes, 3, stride, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(planes), nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(in_planes, planes, 1, stride, bias=False))

    def forward(self, x):
        out = F.relu(self.bn1(x))
        shortcut = self.shortcut(out) if hasattr(self, "shortcut") else x
        out = self.conv1(out)
        out = self.conv2(F.relu(self.bn2(out)))
        out += shortcut
        return out


class SEBlock(BasicBlock):
    """A gate by sigmoid on every channel of a residual block."""

    def __init__(self, in_planes: int, planes: int, stride: int = 1) -> None:
        super().__init__(in_planes, planes, stride)
        self.fc1 = nn.Conv2d(planes, max(planes // 4, 1), 1)
        self.fc2 = nn.Conv2d(max(planes // 4, 1), planes, 1)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        w = F.avg_pool2d(out, out.size(2))
        w = F.relu(self.fc1(w))
        w = torch.sigmoid(self.fc2(w))
        out = out * w
        out += self.shortcut(x)
        return F.relu(out)


class PadShortcutBlock(BasicBlock):
    """The shortcut of the first paper: every other pixel, channels filled up with zeros (option A)."""

    def __init__(self, in_planes: int, planes: int, stride: int = 1) -> None:
        super().__init__(in_planes, planes, stride)
        self.shortcut, self.more = nn.Sequential(), planes - in_planes

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.more:
            half = self.more // 2
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, self.more - half), "constant", 0)
        out += x
        return F.relu(out)


class ResNet(nn.Module):
    def __init__(
        self, block: Callable[..., nn.Module], width: int, depths: tuple[int, ...] = (1, 1, 1), **options: int
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        layers, planes = [], width
        for stage, depth in enumerate(depths):
            for repeat in range(depth):
                stride = 2 if stage and not repeat else 1
                layers.append(block(planes, width << stage, stride, **options))
                planes = (width << stage) * block.expansion
        self.layers = nn.Sequential(*layers)
        self.linear = nn.Linear(planes, 10)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layers(out)
        out = F.avg_pool2d(out, 8)
        out = out.view(out.size(0), -1)
        return self.linear(out)


class PreActResNet(ResNet):
    def __init__(self, width: int) -> None:
        super().__init__(PreActBlock, width)
        self.bn1 = nn.BatchNorm2d(self.linear.in_features)

    def forward(self, x):
        out = self.layers(self.conv1(x))
        out = F.relu(self.bn1(out))
        return self.linear(F.adaptive_avg_pool2d(out, (1, 1)).reshape(x.shape[0], -1))


class InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int, activation: type[nn.Module]) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.use_res_connect = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            activation(),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            activation(),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x):
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self, width: int = 8, activation: type[nn.Module] = nn.ReLU6) -> None:
        super().__init__()

        def conv_bn(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
            convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
            return nn.Sequential(convolution, nn.BatchNorm2d(outputs), activation())

        settings = ((1, width, 1, 1), (3, 2 * width, 2, 1), (3, 4 * width, 2, 2))  # expansion, outputs, repeats, stride
        blocks, channels = [], width
        for expansion, outputs, repeats, stride in settings:
            for repeat in range(repeats):
                blocks.append(InvertedResidual(channels, outputs, expansion, 1 if repeat else stride, activation))
                channels = outputs
        self.features = nn.Sequential(conv_bn(3, width, 3), *blocks, conv_bn(channels, 8 * width, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(8 * width, 10))

    def forward(self, x):
        x = self.features(x)
        x = nn.functional.adaptive_avg_pool2d(x, (1, 1))
        x = torch.flatten(x, 1)
        return self.classifier(x)


class RegNetBlock(Bottleneck):
    expansion = 1
