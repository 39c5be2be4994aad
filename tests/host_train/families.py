"""CIFAR-10 models of the usual families, small, and written as other people write theirs: nothing here was made for
the accelerator.

Every function takes a `width`, which is about the channels of the first stage, and gives an untrained model for images
[n, 3, 32, 32] and ten classes. `settled` gives it batch-norm statistics as training would.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
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


# --- Chains ---


class LeNet(nn.Module):
    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 5)
        self.conv2 = nn.Conv2d(width, 2 * width, 5)
        self.fc1 = nn.Linear(2 * width * 5 * 5, 60)
        self.fc2 = nn.Linear(60, 42)
        self.fc3 = nn.Linear(42, 10)

    def forward(self, x):
        out = F.max_pool2d(F.relu(self.conv1(x)), 2)
        out = F.max_pool2d(F.relu(self.conv2(out)), 2)
        out = out.view(out.size(0), -1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(out)))))


class VGG(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        layers, channels = [], 3
        for item in (width, "M", 2 * width, "M", 4 * width, 4 * width, "M", 4 * width, "M", 4 * width, "M"):
            if item == "M":
                layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
            else:
                layers += [nn.Conv2d(channels, item, 3, padding=1), nn.BatchNorm2d(item), nn.ReLU(inplace=True)]
                channels = item
        self.features = nn.Sequential(*layers, nn.AvgPool2d(kernel_size=1, stride=1))
        self.classifier = nn.Linear(channels, 10)

    def forward(self, x):
        out = self.features(x)
        out = out.view(out.size(0), -1)
        return self.classifier(out)


class MobileNetV1(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        blocks, channels = [], width
        for out, stride in ((2, 1), (4, 2), (4, 1), (8, 2), (8, 1)):
            blocks.append(self._separable(channels, out * width, stride))
            channels = out * width
        self.layers = nn.Sequential(*blocks)
        self.linear = nn.Linear(channels, 10)

    @staticmethod
    def _separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )

    def forward(self, x):
        out = self.layers(F.relu(self.bn1(self.conv1(x))))
        out = F.avg_pool2d(out, out.shape[-1])
        return self.linear(out.flatten(1))


# --- Residual networks ---


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


# --- Concatenations ---


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


# --- Shuffled channels ---


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
