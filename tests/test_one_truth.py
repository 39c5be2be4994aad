"""Three executions, one truth: the shipped lenet on real MNIST gives the same int32 accumulators and float32 logits on
every backend.
"""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
from virtual import NO_PYNQ

from host_train.data import DATASETS, load_dataset
from host_train.data.resize import resize_split
from pynq_cnn.backends.base import Backend
from pynq_cnn.backends.cpu import CpuBackend
from pynq_cnn.backends.kernel import KernelBackend
from pynq_cnn.backends.overlay import OverlayBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.cli.common import open_all
from pynq_cnn.errors import DatasetError
from pynq_cnn.virtual_board import VirtualBoard
from pynq_cnn.zoo import load_model, load_sample, models


@pytest.fixture
def others(lenet):
    """The backends that are compared with the reference: the kernel, and the overlay on a virtual board where pynq is
    installed.
    """
    with ExitStack() as stack:
        backends: list[Backend] = [stack.enter_context(KernelBackend(lenet))]
        try:
            import pynq  # noqa: F401
        except ImportError:
            pass
        else:
            board = stack.enter_context(VirtualBoard())
            backends.append(stack.enter_context(OverlayBackend(lenet, device=board.device, bitfile=board.bitfile)))
        yield backends


def compare(network, images, backends) -> np.ndarray:
    expected = ReferenceBackend(network, 512).run(images)
    for backend in backends:
        accumulators = backend.run(images)
        assert np.array_equal(accumulators, expected), backend.name
        assert network.logits(accumulators).tobytes() == network.logits(expected).tobytes()
    return network.logits(expected).argmax(1)  # each class has a scale of its own


@pytest.mark.once
def test_the_shipped_sample(lenet, others):
    images, labels = load_sample()
    answers = compare(lenet, images[..., None], others)
    assert (answers == labels).mean() >= 0.97


# Of those whose golden vectors take the kernel seconds, every so manieth in a normal run.
EVERY = {"nin": 8, "vgg_bnn": 8, "vgg_bnn_half": 4, "resnet20": 4}
GOLDEN = [
    *(pytest.param(name, EVERY.get(name, 1), marks=[pytest.mark.once] * (name in EVERY)) for name in models()),
    *(pytest.param(name, 1, marks=pytest.mark.slow) for name in EVERY),
]


@pytest.mark.parametrize(("name", "every"), GOLDEN)
def test_golden_vectors(name, every):
    """Every shipped network, on every execution that has its layers."""
    network = load_model(name)
    with open_all(network, batch=16) as candidates:
        ran = [c.name for c in candidates if c.classifier is not None]
        assert "reference" in ran
        for candidate in candidates:
            if candidate.classifier is not None:
                accumulators = candidate.classifier.accumulators(network.golden.images[::every])
                assert np.array_equal(accumulators, network.golden.accumulators[::every]), candidate.name


@pytest.mark.slow
@pytest.mark.parametrize("name", models())
def test_stated_accuracy(name):
    """The accuracy that each package states, measured again on its full test set."""
    network = load_model(name)
    dataset = next(key for key, entry in DATASETS.items() if entry.spec.title == network.metadata["dataset"])
    test = resize_split(load_dataset(dataset).test, network.input.height, network.input.width)
    top1 = float((network.logits(ReferenceBackend(network, 100).run(test.images)).argmax(1) == test.labels).mean())
    assert top1 == pytest.approx(network.metadata["accuracy"]["integer_top1"], abs=1e-9)


# Images of those whose full test set takes the kernel more than ten minutes.
AT_MOST = {"nin": 1000, "vgg_bnn": 1000, "vgg_bnn_half": 1000}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in models() if name != "lenet"])
def test_every_network_on_its_test_set(name):
    """The accumulators of kernel and overlay on the test set; lenet's is in every run."""
    network = load_model(name)
    dataset = next(key for key, entry in DATASETS.items() if entry.spec.title == network.metadata["dataset"])
    test = resize_split(load_dataset(dataset).test, network.input.height, network.input.width)
    images = test.images[: AT_MOST.get(name)]
    with KernelBackend(network) as kernel, VirtualBoard() as board:
        compare(network, images, [kernel])
        with OverlayBackend(network, device=board.device, bitfile=board.bitfile) as overlay:
            compare(network, images[:1000], [overlay])


# Networks with random weights, FINN's CNV topology and MLPerf Tiny's ResNet-8, and nin on images of another size.
OTHERS = {
    "cnv": lambda cycles: cycles.cnv(),
    "resnet8": lambda cycles: cycles.resnet8(),
    "nin at 224": lambda cycles: cycles.nin(224),
}


def everywhere(network, images) -> None:
    """Reference, kernel, cpu and overlay give the same for `images`."""
    pytest.importorskip("pynq", reason=NO_PYNQ)
    with ExitStack() as stack:
        backends: list[Backend] = [stack.enter_context(made(network)) for made in (KernelBackend, CpuBackend)]
        board = stack.enter_context(VirtualBoard())
        backends.append(stack.enter_context(OverlayBackend(network, device=board.device, bitfile=board.bitfile)))
        compare(network, images, backends)


@pytest.mark.once
@pytest.mark.parametrize("name", ["cnv", "resnet8"])
def test_networks_that_are_not_shipped(name, cycles):
    network = OTHERS[name](cycles)
    everywhere(network, np.random.default_rng(1).integers(0, 256, (4, *network.input.shape), dtype=np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_networks_that_are_not_shipped_on_real_images(name, cycles):
    """1,000 images of CIFAR-10, or 100 of Fashion-MNIST, enlarged, of which the kernel takes seconds each."""
    network = OTHERS[name](cycles)
    test = load_dataset("cifar10" if network.input.channels == 3 else "fashion_mnist").test
    count = 1000 if network.input.height <= 32 else 100
    everywhere(network, resize_split(test[:count], network.input.height, network.input.width).images)


@pytest.mark.once
def test_the_full_test_set(lenet, others):
    """All 10,000 images, and the accuracy that the package states."""
    try:
        test = load_dataset("mnist").test
    except DatasetError as error:
        pytest.skip(f"MNIST is not at hand: {error}")
    answers = compare(lenet, test.images, others)
    accuracy = float((answers == test.labels).mean())
    assert accuracy == pytest.approx(lenet.metadata["accuracy"]["integer_top1"], abs=1e-9)
    assert accuracy >= 0.988
    assert accuracy >= lenet.metadata["accuracy"]["float32_top1"] - 0.002
