"""Families of networks that shuffle channels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def channel_shuffle(x: torch.Tensor, groups: int) -> torch.Tensor:
    n, c, h, w = x.size()
    return x.view(n, groups, c // groups, h, w).permute(0, 2, 1, 3, 4).contiguous().view(n, c, h, w)


class ShuffleV1Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, groups: int) -> None:
        super().__init__()
        self.stride, self.groups, middle = stride, groups, outputs // 4
        first = 1 if inputs == 3 else groups
        self.conv1, self.bn1 = nn.Conv2d(inputs, middle, 1, groups=first, bias=False), nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, 1, groups=middle, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, outputs - inputs * (stride == 2), 1, groups=groups, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs - inputs * (stride == 2))
        self.shortcut = nn.AvgPool2d(3, stride=2, padding=1) if stride == 2 else nn.Sequential()

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = channel_shuffle(out, self.groups)
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        res = self.shortcut(x)
        return F.relu(torch.cat([out, res], 1)) if self.stride == 2 else F.relu(out + res)


class ShuffleNetV1(nn.Module):
    def __init__(self, width: int = 8, groups: int = 2) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 1, bias=False), nn.BatchNorm2d(width)
        sides = ((width, 4 * width, 2), (4 * width, 4 * width, 1), (4 * width, 8 * width, 2))
        self.layers = nn.Sequential(*(ShuffleV1Block(a, b, stride, groups) for a, b, stride in sides))
        self.linear = nn.Linear(8 * width, 10)

    def forward(self, x):
        out = self.layers(F.relu(self.bn1(self.conv1(x))))
        return self.linear(F.avg_pool2d(out, 8).view(x.size(0), -1))


class ShuffleV2Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, down: bool) -> None:
        super().__init__()
        self.down, half = down, outputs // 2
        stride, entering = (2, inputs) if down else (1, inputs // 2)
        self.right = nn.Sequential(
            nn.Conv2d(entering, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, half, 3, stride, 1, groups=half, bias=False),
            nn.BatchNorm2d(half),
            nn.Conv2d(half, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
        )
        if down:
            self.left = nn.Sequential(
                nn.Conv2d(inputs, inputs, 3, 2, 1, groups=inputs, bias=False),
                nn.BatchNorm2d(inputs),
                nn.Conv2d(inputs, half, 1, bias=False),
                nn.BatchNorm2d(half),
                nn.ReLU(inplace=True),
            )

    def forward(self, x):
        if self.down:
            out = torch.cat((self.left(x), self.right(x)), dim=1)
        else:
            x1, x2 = x.chunk(2, dim=1)
            out = torch.cat((x1, self.right(x2)), dim=1)
        batch, channels, height, width = out.shape
        out = out.view(batch, 2, channels // 2, height, width)
        out = torch.transpose(out, 1, 2).contiguous()
        return out.view(batch, -1, height, width)


class ShuffleNetV2(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True))
        self.layers = nn.Sequential(
            ShuffleV2Block(width, 2 * width, True),
            ShuffleV2Block(2 * width, 2 * width, False),
            ShuffleV2Block(2 * width, 4 * width, True),
            ShuffleV2Block(4 * width, 4 * width, False),
        )
        self.linear = nn.Linear(4 * width, 10)

    def forward(self, x):
        out = self.layers(self.conv1(x))
        return self.linear(out.mean([2, 3]))
