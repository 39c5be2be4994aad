"""Families of networks that join channels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from families_residual import BasicBlock
from torch import nn


class Inception(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.b1 = self._branch((inputs, width, 1))
        self.b2 = self._branch((inputs, width // 2, 1), (width // 2, width, 3))
        self.b3 = self._branch((inputs, width // 2, 1), (width // 2, width, 3), (width, width, 3))
        self.b4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), *self._branch((inputs, width, 1)))

    @staticmethod
    def _branch(*convolutions: tuple[int, int, int]) -> nn.Sequential:
        layers = []
        for inputs, outputs, kernel in convolutions:
            layers += [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.BatchNorm2d(outputs), nn.ReLU(True)]
        return nn.Sequential(*layers)

    def forward(self, x):
        y1 = self.b1(x)
        y2 = self.b2(x)
        y3 = self.b3(x)
        y4 = self.b4(x)
        return torch.cat([y1, y2, y3, y4], 1)


class GoogLeNet(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.pre_layers = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(True))
        self.a3, self.b3 = Inception(width, width), Inception(4 * width, width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.a4 = Inception(4 * width, 2 * width)
        self.avgpool = nn.AvgPool2d(16, stride=1)
        self.linear = nn.Linear(8 * width, 10)

    def forward(self, x):
        out = self.b3(self.a3(self.pre_layers(x)))
        out = self.a4(self.maxpool(out))
        out = self.avgpool(out)
        out = out.view(out.size(0), -1)
        return self.linear(out)


class DenseLayer(nn.Module):
    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(4 * growth), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x):
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.conv2(F.relu(self.bn2(out)))
        return torch.cat([out, x], 1)


class DenseNet(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        channels = 2 * width
        self.conv1 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        stages = []
        for stage in range(3):
            if stage:  # a transition: half the channels, half the side
                stages += [nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels // 2, 1, bias=False)]
                stages += [nn.AvgPool2d(2)]
                channels //= 2
            for _ in range(2):
                stages.append(DenseLayer(channels, width))
                channels += width
        self.stages, self.bn = nn.Sequential(*stages), nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, 10)

    def forward(self, x):
        out = self.stages(self.conv1(x))
        out = F.avg_pool2d(F.relu(self.bn(out)), 8)
        return self.linear(out.view(out.size(0), -1))


class DPNBlock(nn.Module):
    """A part of the channels is added, as in ResNet, the others are put beside each other, as in DenseNet."""

    def __init__(self, inputs: int, planes: int, outputs: int, dense: int, stride: int, first: bool) -> None:
        super().__init__()
        self.outputs = outputs
        self.conv1, self.bn1 = nn.Conv2d(inputs, planes, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, groups=4, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, outputs + dense, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs + dense)
        self.shortcut = nn.Sequential()
        if first:
            convolution = nn.Conv2d(inputs, outputs + dense, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(outputs + dense))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        x = self.shortcut(x)
        d = self.outputs
        out = torch.cat([x[:, :d, :, :] + out[:, :d, :, :], x[:, d:, :, :], out[:, d:, :, :]], 1)
        return F.relu(out)


class DPN(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        blocks, channels, dense = [], width, width // 2
        for stage in range(2):
            outputs = 2 * width << stage
            for repeat in range(2):
                blocks.append(DPNBlock(channels, outputs, outputs, dense, 2 if stage and not repeat else 1, not repeat))
                channels = outputs + (repeat + 2) * dense
        self.layers, self.linear = nn.Sequential(*blocks), nn.Linear(channels, 10)

    def forward(self, x):
        out = self.layers(F.relu(self.bn1(self.conv1(x))))
        return self.linear(F.avg_pool2d(out, 16).view(x.size(0), -1))


class Root(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)

    def forward(self, xs):
        return F.relu(self.bn(self.conv(torch.cat(xs, 1))))


class Tree(nn.Module):
    """Deep layer aggregation: two halves, joined at a root, by recursion."""

    def __init__(self, inputs: int, outputs: int, level: int, stride: int, levels: bool) -> None:
        super().__init__()
        self.level, self.levels = level, levels
        self.root = Root((level + 2 if levels and level > 1 else 2) * outputs, outputs)
        if level == 1:
            self.left, self.right = BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs)
        elif levels:
            self.prev_root = BasicBlock(inputs, outputs, stride)
            for i in reversed(range(1, level)):
                setattr(self, f"level_{i}", Tree(inputs, outputs, i, stride, levels))
                inputs, stride = outputs, 1
            self.left, self.right = BasicBlock(outputs, outputs), BasicBlock(outputs, outputs)
        else:
            self.left = Tree(inputs, outputs, level - 1, stride, levels)
            self.right = Tree(outputs, outputs, level - 1, 1, levels)

    def forward(self, x):
        xs = []
        if self.levels and self.level > 1:
            xs.append(self.prev_root(x))
            for i in reversed(range(1, self.level)):
                x = getattr(self, f"level_{i}")(x)
                xs.append(x)
        x = self.left(x)
        xs.append(x)
        x = self.right(x)
        xs.append(x)
        return self.root(xs)


class DLA(nn.Module):
    def __init__(self, width: int = 8, levels: bool = True) -> None:
        super().__init__()
        self.base = nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.layer1 = Tree(width, 2 * width, 1, 1, levels)
        self.layer2 = Tree(2 * width, 4 * width, 2, 2, levels)
        self.linear = nn.Linear(4 * width, 10)

    def forward(self, x):
        out = self.layer2(self.layer1(self.base(x)))
        out = F.avg_pool2d(out, out.size(-1))
        return self.linear(out.view(out.size(0), -1))
