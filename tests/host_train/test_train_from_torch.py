"""from_torch: sizes and names, streams of images, what does not fit, and when it is loaded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from own_models import IGNORE_NOISE, SIDE, Base, Twice, digits, images, logits, tensor
from torch import nn

import host_train
from host_train import from_torch
from host_train.layers.binary import BinaryLinear
from host_train.quantisation.fixed_point import fixed_point
from host_train.tracing.convert import BATCH
from host_train.tracing.trace import trace
from pynq_cnn.backends.reference import ReferenceBackend, requantise
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import Requantisation

pytestmark = IGNORE_NOISE


def test_uint8_images_of_either_library_are_the_same_images():
    pictures = images(8, 3)
    model = nn.Sequential(nn.Conv2d(3, 2, SIDE), nn.Flatten())
    ours = from_torch(model, pictures, name="n")
    assert from_torch(model, torch.from_numpy(pictures).permute(0, 3, 1, 2), name="n") == ours
    assert from_torch(model, torch.from_numpy(pictures), name="n") == ours
    assert (
        from_torch(model, torch.from_numpy(pictures).permute(0, 3, 1, 2).double() / 255, name="n").layers == ours.layers
    )
    grey = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 2))
    assert from_torch(grey, images(8)[..., 0], name="n") == from_torch(grey, images(8), name="n")


class Sizes(Base):
    def forward(self, x):
        x = torch.max_pool2d(F.relu(self.conv(x)), 2, [])
        x = F.avg_pool2d(x, (2,), stride=())
        return self.fc(x.flatten(1))


def test_sizes_are_read_as_pytorch_reads_them():
    model = Sizes()
    model.conv, model.fc = nn.Conv2d(1, 4, 3, stride=(1,), padding=(1,)), nn.Linear(36, 2)
    with pytest.warns(UserWarning, match="does not use more, grouped"):
        network = from_torch(model, images(), name="n")
    modules = nn.Sequential(model.conv, nn.ReLU(), nn.MaxPool2d((2,)), nn.AvgPool2d((2,)), nn.Flatten(), model.fc)
    assert [type(layer).__name__ for layer in network.layers] == ["Conv2d", "MaxPool2d", "AvgPool2d", "Dense"]
    assert np.array_equal(network.golden.accumulators, from_torch(modules, images(), name="n").golden.accumulators)


def test_a_channel_that_is_never_above_0_may_have_any_weights():
    model = digits()
    with torch.no_grad():
        model.conv2.weight[0], model.conv2.bias[0] = 1e12, -1e20  # one channel
        model.fc1.weight[:], model.fc1.bias[:] = 1e10, -1e30  # a whole layer
    network = from_torch(model, images(), name="n")
    assert network.metadata["conversion"]["agreement"] == 1
    assert not ReferenceBackend(network).activations(images())[2][..., 0].any()


def test_a_ratio_past_the_largest_changes_no_byte():
    acc = np.array([-(2**31), -1, 0, 1, 2, 2**31 - 1], np.int32)[:, None]
    for ratio in (255.0, 32767.5, 1e30):
        assert requantise(acc, Requantisation(*fixed_point(np.array([ratio])))).ravel().tolist() == [
            0,
            0,
            0,
            255,
            255,
            255,
        ]


class SpareBits(Twice):
    """A real network with binary layers that it does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary = BinaryLinear(3, 3)


def test_binary_layers_that_are_not_used_make_no_binary_network():
    with pytest.warns(UserWarning, match="SpareBits does not use auxiliary"):
        assert from_torch(SpareBits(), images(), name="n").metadata["conversion"]["method"] != "binary"


def test_what_is_too_large_for_the_accelerator_is_converted_with_a_warning():
    model = nn.Sequential(nn.Conv2d(1, 128, 1), nn.ReLU(), nn.Flatten(), nn.Linear(128 * SIDE**2, 2))
    message = "n does not fit .* on the CPU only: 3: 16 output channels need 1152 weight tiles"
    with pytest.warns(UserWarning, match=message) as warned:
        network = from_torch(
            model, images(8), name="n", min_agreement=0
        )  # two random logits may lie close to each other
    assert "\n" not in str(warned[0].message) and warned[0].filename == __file__
    assert logits(network, images(8)).shape == (8, 2)


def test_an_endless_stream_of_batches_is_read_no_further_than_needed():
    pictures = tensor(images(8))

    def stream():
        for _ in range(3):
            yield pictures
        raise AssertionError("read too far")

    assert from_torch(digits(), stream(), name="n", images=20).metadata["conversion"]["images"] == 20


def test_names_that_a_package_cannot_hold_are_changed():
    model = nn.Sequential()
    model.add_module("großes conv", nn.Conv2d(1, 2, SIDE))
    model.add_module("x" * 100, nn.Flatten())
    layers = trace(nn.Sequential(model), torch.zeros(2, 1, SIDE, SIDE)).layers
    assert [name for name, _ in layers.named_children()] == ["0_gro_es_conv"]
    assert from_torch(model, images(8), name="n").layers[0].name == "gro_es_conv"


class Squeezed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, SIDE)

    def forward(self, x):
        return self.conv(x).squeeze()


def test_one_image_is_enough_even_where_its_dimension_is_squeezed_away():
    assert from_torch(Squeezed(), images(1), name="n").metadata["conversion"]["images"] == 1


def test_a_batch_size_in_the_model_is_refused():
    class Fixed(Squeezed):
        def forward(self, x):
            return self.conv(x).view(2, 3)

    with pytest.raises(NetworkError, match="Fixed does not take a batch of any size"):
        from_torch(Fixed(), images(5), name="n")


def test_a_number_of_images_that_leaves_one_for_the_last_batch_is_told():
    class Picky(Squeezed):
        def forward(self, x):
            return torch.log_softmax(self.conv(x).squeeze(), dim=1)

    with pytest.raises(NetworkError, match="Picky does not take a batch of any size: Dimension out of range"):
        from_torch(Picky(), images(BATCH + 1), name="n")
    assert from_torch(Picky(), images(8), name="n").metadata["conversion"]["images"] == 8


def test_products_are_exact_for_comparing_and_as_before_afterwards():
    seen = []

    class Looks(Squeezed):
        def forward(self, x):
            if not isinstance(x, torch.fx.Proxy):
                seen.append((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))
            return self.conv(x)

    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high")
    try:
        from_torch(Looks(), images(4), name="n")
        assert seen == [("highest", False)] and torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.allow_tf32 == before[1]
    finally:
        torch.set_float32_matmul_precision(before[0])


def test_it_is_loaded_on_first_use():
    with pytest.raises(AttributeError, match="no attribute 'to_torch'"):
        host_train.to_torch  # noqa: B018
