"""A small model, pictures for it, and the ways to write its flattening."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.model import Network

SIDE = 8


# Pictures of few pixels each, made larger: unlike noise, as photos are.
PICTURES = np.random.default_rng(0).integers(0, 256, (96, 4, 4, 1), np.uint8).repeat(2, 1).repeat(2, 2)
INPUTS = torch.from_numpy(PICTURES.reshape(-1, 1, SIDE, SIDE)) / 255  # laid out as torch does it, which `view` needs


class Net(nn.Module):
    """A convolution, a hidden layer and so many outputs, with what `end` makes of these."""

    def __init__(self, outputs: int = 1, end=lambda x: x) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.conv, self.fc = nn.Conv2d(1, 6, 3), nn.Linear(216, outputs)
        with torch.no_grad():  # answers of all kinds
            raw = self.fc(F.relu(self.conv(INPUTS)).flatten(1))
            self.fc.weight /= raw.std(0)[:, None] / 2
            self.fc.bias[:] = 0
            self.fc.bias -= self.fc(F.relu(self.conv(INPUTS)).flatten(1)).mean(0)
        self.end = end

    def forward(self, x):
        return self.end(self.fc(F.relu(self.conv(x)).flatten(1)))


def logits(network: Network) -> np.ndarray:
    return network.logits(ReferenceBackend(network).run(PICTURES))


ONE_PIXEL = {
    "indices": lambda x: x[:, :, 0, 0],
    "indices and dots": lambda x: x[..., 0, 0],
    "one after the other": lambda x: x[..., 0][:, :, 0],
    "negative index": lambda x: x[:, :, -1, -1],
    "squeezes": lambda x: x.squeeze(-1).squeeze(-1),
    "other squeezes": lambda x: torch.squeeze(torch.squeeze(x, 3), 2),
    "both at once": lambda x: x.squeeze((2, 3)),
    "select": lambda x: x.select(3, 0).select(2, 0),
    "torch.select": lambda x: torch.select(x, 3, 0).flatten(1),
    "mean": lambda x: x.mean([2, 3]),
    "mean of mean": lambda x: x.mean(3).mean(2),
    "pooled": lambda x: F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0],
    "pooled by one pixel": lambda x: F.avg_pool2d(x, 1).squeeze(),
    "unsqueezed": lambda x: x.flatten(1).unsqueeze(1).squeeze(1),
}
SEVERAL = {
    "twice": lambda x: x.flatten(2).flatten(1),
    "rows first": lambda x: x.view(x.size(0), x.size(1), -1).view(x.size(0), -1),
    "halves": lambda x: x.reshape(x.shape[0], 2, -1).flatten(1),
    "all at once": lambda x: x[:].view(-1, 36),
    "channels split": lambda x: x.unflatten(1, (2, 2)).flatten(1),
    "with a dropout between": lambda x: F.dropout(x.flatten(2), 0.5, training=False).flatten(1),
    "there and back": lambda x: F.max_pool2d(x.flatten(1).view(x.shape), 1).flatten(1),
}
MEANS = {
    "of pixels in a row": lambda x: x.flatten(2).mean(2),
    "of a view": lambda x: x.view(x.size(0), x.size(1), -1).mean(-1),
    "kept": lambda x: x.flatten(2).mean(-1, keepdim=True).flatten(1),
    "side by side": lambda x: x.mean(-1).mean(-1),
    "of rows, then columns": lambda x: x.mean(2).mean(2),
    "both, kept": lambda x: torch.mean(x, (2, 3), keepdim=True).squeeze(-1).squeeze(-1),
}
WAYS = {
    **{f"one pixel, {name}": (way, 6, 4) for name, way in ONE_PIXEL.items()},
    **{f"several, {name}": (way, 4, 36) for name, way in SEVERAL.items()},
    **{f"mean, {name}": (way, 4, 4) for name, way in MEANS.items()},
}
