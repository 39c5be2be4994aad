"""Models with branches by `from_torch`, in the styles in which people write them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from families import settled, smooth_images
from torch import nn

from host_train import from_torch
from host_train.tracing.trace import trace
from pynq_cnn.backends.cpu import CpuBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.compiler import compile_network
from pynq_cnn.errors import NetworkError

SIDE = 12
pytestmark = pytest.mark.filterwarnings("ignore:the model gives the same answer for all", "ignore:there are only")


class Styles(nn.Module):
    """A few layers, and a forward that is a function of them and the images."""

    def __init__(self, forward) -> None:
        super().__init__()
        self.style = forward
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.a, self.b = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1, bias=False)
        self.few, self.wide = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(16, 8, 1)
        self.row, self.row_norm = nn.Conv1d(8, 8, 3, padding=1), nn.BatchNorm1d(8)
        self.dw = nn.Conv2d(8, 8, 3, padding="same", groups=8)
        self.relu, self.fc, self.fc2 = nn.ReLU(inplace=True), nn.Linear(8, 5), nn.Linear(8, 5)
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1))
        self.factor = nn.Parameter(torch.rand(8, 1, 1) + 0.5)

    def head(self, x):
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))

    def forward(self, x):
        return self.style(self, x)


def in_place_sum(m, x):
    x = F.relu(m.stem(x))
    y = m.a(x)
    y += x
    return m.head(m.relu(y))


def statement_in_place(m, x):
    x = m.stem(x)
    F.relu(x, inplace=True)
    x.add_(m.b(x))
    m.relu(x)
    return m.head(x)


def sizes(m, x):
    x = F.relu(m.stem(x))
    assert x.shape[1] == 8 and len(x) > 0 and int(x.size(0)) > 1
    n, c = x.shape[:2]
    x = x.view(n, c, int(np.prod(x.shape[2:])))
    return m.fc(x.mean(-1).view(len(x), -1))


def one_dimension(m, x):
    x = F.relu(m.stem(x))[:, :, 3]
    x = F.relu(m.row_norm(m.row(x)))
    x = F.max_pool1d(x, 3, 2, 1) + F.avg_pool1d(x, 2)
    return m.fc(F.adaptive_avg_pool1d(x, 1).squeeze(-1))


def shuffled(m, x):
    x = F.relu(m.stem(x))
    left, right = x.chunk(2, dim=1)
    x = torch.cat((left, F.relu(m.few(right))), 1)
    n, c, h, w = x.size()
    x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)
    return m.head(F.relu(m.dw(x)))


def option_a(m, x):
    x = F.relu(m.stem(x))[:, :4]
    short = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2), "constant", 0)
    return m.head(F.relu(F.max_pool2d(m.a(F.pad(x, (0, 0, 0, 0, 2, 2))), 2) + short))


def constants(m, x):
    x = (x - m.mean) / 0.25
    x = F.relu(m.stem(x) * m.factor + 0.1)
    x = 1 - m.a(x) / 2
    return -2 * m.head(x) + torch.arange(5.0, device=x.device)


def clamps(m, x):
    x = m.stem(x).clamp(0, 1)
    x = F.relu6(m.a(x)) + torch.clamp(m.b(x), -0.5, 0.5)
    return m.head(F.hardtanh(m.b(x)).clamp(min=-0.2))


def late_norms(m, x):
    x = m.norm(F.relu(m.stem(x)))
    return m.head(F.relu(m.norm(m.a(x) + x)))


def functional(m, x):
    x = F.relu(F.conv2d(x, m.stem.weight, m.stem.bias, padding=1))
    x = F.batch_norm(x, m.norm.running_mean, m.norm.running_var, m.norm.weight, m.norm.bias)
    x = F.conv2d(x, m.dw.weight, None, 1, 1, 1, 8).relu()
    x = x.mean((2, 3))
    return F.linear(x, m.fc.weight) + x @ m.fc2.weight.t()


def harmless(m, x):
    x = x.to(torch.float32).contiguous().cpu().float().clone()
    x = nn.ReLU()(m.stem(x))
    m.b(x)  # not used
    x = F.dropout(x, 0.3, m.training).to(m.fc.weight.device)
    return m.head(torch.relu(m.a(x)).type_as(x))


def difference(m, x):
    x = F.relu(m.stem(x))
    return m.head(F.relu(m.a(x) - x))


def stacked(m, x):
    x = F.relu(m.stem(x))
    parts = [m.b(x), F.max_pool2d(x, 3, 1, 1)]
    for _ in range(2):
        parts.append(m.b(parts[-1]))
    return m.head(m.wide(torch.cat(parts, dim=-3)[:, 8:24]))


def heads(m, x):
    x = F.adaptive_avg_pool2d(F.relu(m.stem(x)), 1).flatten(1)
    return torch.cat([m.fc(x), m.fc2(x)], 1)


def zero_padding(m, x):
    x = nn.ZeroPad2d((0, 1, 2, 0))(x)
    x = m.stem(x)
    return m.head(F.pad(F.relu(x), [1, 1, 1, 1]))


def odd_poolings(m, x):
    x = F.max_pool2d(m.stem(x), 3, 2, ceil_mode=True)
    x = F.avg_pool2d(x, 3, 2, 1) + F.adaptive_max_pool2d(x, 3)
    return m.head(x)


def untouched(m, x):
    x = m.stem(x)
    return m.head(m.a(x) + x + m.b(x) + x)


def pixels_apart(m, x):
    x = F.relu(m.b(m.stem(x)))
    return m.head(F.pixel_unshuffle(F.relu(m.few(x[:, :4])), 2)[:, :8])


def last_alone(m, x):
    x = m.head(F.relu(m.stem(x)))
    return F.softmax(x, dim=1).squeeze()


STYLES = [
    in_place_sum, statement_in_place, sizes, one_dimension, shuffled, option_a, constants, clamps, late_norms,
    functional, harmless, difference, stacked, heads, zero_padding, odd_poolings, untouched, pixels_apart, last_alone,
]  # fmt: skip


def made(style) -> Styles:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Styles(style)
    return settled(model, smooth_images(32, SIDE))


def check(model: nn.Module, reference: nn.Module | None = None) -> None:
    """The trace is the model to rounding, integers are close, and run everywhere."""
    seen, held_back = smooth_images(64, SIDE), smooth_images(32, SIDE, seed=3)
    with torch.no_grad():
        theirs = (reference or model)(held_back)
        traced = trace(model, seen[:2])
        ours = traced.ending(traced.layers(held_back)).reshape(theirs.shape)
    assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))
    network = from_torch(model, seen, name="n", method="max", min_agreement=0)
    octets = (held_back.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
    accumulators = ReferenceBackend(network).run(octets)
    assert np.array_equal(CpuBackend(network).run(octets), accumulators)
    compile_network(network, capacity=1)
    with torch.no_grad():
        real = traced.layers(held_back).numpy()
    assert np.abs(network.logits(accumulators) - real).mean() < 0.04 * real.std()


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.__name__)
def test_styles(style):
    check(made(style))


def test_a_compiled_model_is_the_one_that_it_holds():
    model = made(in_place_sum)
    compiled = torch.compile(model)
    network = from_torch(compiled, smooth_images(32, SIDE), name="n", method="max", min_agreement=0)
    assert network == from_torch(model, smooth_images(32, SIDE), name="n", method="max", min_agreement=0)


@pytest.mark.parametrize(
    "style", [late_norms, shuffled, clamps, option_a, one_dimension, heads], ids=lambda style: style.__name__
)
def test_an_exported_program_is_taken_for_what_it_holds(style):
    model = made(style)
    batch = torch.export.Dim("batch", min=2, max=1024)
    program = torch.export.export(model, (smooth_images(4, SIDE),), dynamic_shapes=({0: batch},))
    check(program.module(), model)


REFUSED = {
    "a gate": (lambda m, x: m.head(m.stem(x) * torch.sigmoid(m.stem(x))), "a product of two tensors, such as a gate"),
    "a square": (lambda m, x: m.head(m.stem(x) ** 2), "cannot be mapped; use "),
    "a quotient": (lambda m, x: m.head(1 / m.stem(x)), "a constant divided by a tensor"),
    "pixels of their own": (lambda m, x: m.head(m.stem(x) + torch.rand(8, 12, 12)), "differs from pixel to pixel"),
    "broadcast": (lambda m, x: m.head(m.stem(x) + m.stem(x).mean((2, 3), keepdim=True)), "bring both to one shape"),
    "several outputs": (lambda m, x: (m.head(m.stem(x)), x), r"not a tuple; join several with torch.cat\(outputs, 1\)"),
    "a class": (lambda m, x: m.head(m.stem(x)).argmax(1), "remove it: Classifier.predict chooses the class"),
    "a number": (lambda m, x: m.head(m.stem(x) * x.max().item()), "remove conditions|Python number that depends"),
    "a curve": (lambda m, x: m.head(F.elu(m.stem(x))), "elu: it cannot be mapped; use ReLU and train"),
    "larger": (lambda m, x: m.head(F.interpolate(m.stem(x), scale_factor=2)), "nothing here makes an image larger"),
    "reflected": (lambda m, x: m.head(m.stem(F.pad(x, (1, 1, 1, 1), "reflect"))), "only padding with zeros"),
    "images mixed": (lambda m, x: m.head(m.stem(x.flip(0))), "mixes images; keep the first dimension"),
    "along height": (lambda m, x: m.head(torch.cat([m.stem(x), m.stem(x)], 2)), "along channels, dim=1, it can"),
    "edges": (lambda m, x: m.head(F.avg_pool2d(m.stem(x), 3, 2, 1, count_include_pad=False)), "count_include_pad=True"),
    "past the edge": (lambda m, x: m.head(F.avg_pool2d(m.stem(x), 5, 5, ceil_mode=True)), "ceil_mode=False"),
    "dilated pooling": (lambda m, x: m.head(F.max_pool2d(m.stem(x), 2, 1, 0, 2)), "must be without dilation"),
    "bounds by channel": (lambda m, x: m.head(m.stem(x).clamp(m.factor)), "one number for each bound"),
    "a sigmoid between": (lambda m, x: m.head(m.b(torch.sigmoid(m.stem(x)))), "a sigmoid can only be the last"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_bytes_cannot_carry_is_refused_at_its_line(case):
    forward, message = REFUSED[case]
    with pytest.raises(NetworkError, match=message) as raised:
        from_torch(made(forward) if case != "a number" else Styles(forward), smooth_images(16, SIDE), name="n")
    told = str(raised.value)
    assert "\n" not in told and (case == "several outputs" or "test_train_from_torch_graphs.py:" in told)
