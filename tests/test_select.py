"""Which backend is chosen."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from virtual import small_images, small_network

from pynq_cnn.backends.cpu import CpuBackend
from pynq_cnn.backends.kernel import KernelBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.backends.select import BACKENDS, make_backend, on_cpu
from pynq_cnn.classifier import Classifier
from pynq_cnn.errors import ArgumentError, BackendError, CompileError, DeviceError
from pynq_cnn.model import Conv2d, InputSpec, Network, OutputSpec

NETWORK = small_network()


def too_large(kernel: int = 129) -> Network:
    """A valid network that the engine cannot run: an output has 16,641 weights, and there is room for 16,384."""
    weight = np.random.default_rng(0).integers(-127, 128, (2, kernel, kernel, 1), np.int8)
    output = OutputSpec(np.ones(2, np.float32), np.zeros(2, np.float32))
    spec = InputSpec(kernel, kernel, 1, "L", (0.0,), (1.0,))
    return Network("large", spec, (Conv2d("conv", weight, np.zeros(2, np.int32)),), output, ("a", "b"))


@pytest.fixture
def no_bitstream() -> None:
    from pynq_cnn.backends.overlay.bitstream import find_bitfile

    try:
        find_bitfile()
    except BackendError:
        return
    pytest.skip("there is a bitstream here")


@pytest.mark.parametrize(
    ("name", "kind"), [("reference", ReferenceBackend), ("kernel", KernelBackend), ("cpu", CpuBackend)]
)
def test_by_name(name, kind):
    with make_backend(NETWORK, name, 3) as backend:
        assert (type(backend), backend.name, backend.batch, backend.network) == (kind, name, 3, NETWORK)


@pytest.mark.parametrize("name", ["fpga", "", "Reference", None, 0, ["kernel"]])
def test_unknown_name(name):
    with pytest.raises(
        ArgumentError, match="backend must be one of auto, overlay, cpu, kernel, reference, not"
    ) as caught:
        make_backend(NETWORK, name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("batch", [0, -1, 65536, 1.0, "8", None, True])
def test_unusable_batch(name, batch):
    """Also under "auto": it is the caller's mistake, and no reason to try another backend."""
    with pytest.raises(ArgumentError, match="batch must be an integer from 1 to 65535, not") as caught:
        make_backend(NETWORK, name, batch)
    assert repr(batch) in str(caught.value)


def test_no_network():
    with pytest.raises(ArgumentError, match="network must be a pynq_cnn.model.Network, not 'lenet'"):
        make_backend("lenet", "reference")


def test_auto_without_a_board(no_bitstream):
    """The compiled one, without a word: nothing is wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with make_backend(NETWORK) as backend:
            assert backend.name == "cpu"
    with make_backend(too_large()) as backend:
        assert backend.name == "cpu"


def test_auto_without_a_board_and_without_a_compiler(no_bitstream, monkeypatch):
    """The reference, without a word too."""
    from pynq_cnn.backends import compiled
    from pynq_cnn.backends.cpu.native import load_library

    monkeypatch.setattr(compiled, "EXTENSION_SUFFIXES", [".none"])
    load_library.cache_clear()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with make_backend(NETWORK) as backend:
                assert backend.name == "reference"
            with on_cpu(NETWORK, 3, 1) as backend:
                assert (backend.name, backend.batch) == ("reference", 3)
    finally:
        load_library.cache_clear()


def test_the_cpu_whatever_board_there_is(board):
    with on_cpu(NETWORK, 3, 2) as backend:
        assert (backend.name, backend.batch, backend.threads) == ("cpu", 3, 2)
    with pytest.raises(ArgumentError, match="threads"):
        on_cpu(NETWORK, threads=0)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True, 1025])
def test_unusable_threads(threads):
    """Whichever backend is asked for."""
    for backend in BACKENDS:
        with pytest.raises(ArgumentError, match="threads must be an integer from 1 to 1024, not"):
            make_backend(NETWORK, backend, threads=threads)


def test_overlay_without_a_bitstream_says_what_to_do(no_bitstream):
    with pytest.raises(BackendError, match="no bitstream.*hls_src.*backend='kernel'"):
        make_backend(NETWORK, "overlay")


def test_auto_with_a_board(board):
    with make_backend(NETWORK, "auto", 4, bitfile=board.bitfile, device=board.device) as backend:
        assert backend.name == "overlay"
        images = small_images(6)
        np.testing.assert_array_equal(backend.run(images), ReferenceBackend(NETWORK).run(images))


def test_auto_with_a_network_that_does_not_fit(board):
    network = too_large()
    with pytest.warns(UserWarning, match="large runs on the CPU: conv: .*1041 weight tiles, of 1024") as caught:
        classifier = Classifier(network, "auto", bitfile=board.bitfile, device=board.device)
    assert caught[0].filename == __file__  # where the user made it
    with classifier:
        assert classifier.backend_name == "cpu"
        images = np.full((1, 129, 129, 1), 255, np.uint8)
        expected = 255 * network.layers[0].weight.astype(np.int64).sum((1, 2, 3))
        np.testing.assert_array_equal(classifier.accumulators(images), [expected])


def test_asked_for_a_network_that_does_not_fit(board):
    for backend in ("kernel", "overlay"):
        with pytest.raises(CompileError, match="conv.*1041 weight tiles"):
            make_backend(too_large(), backend, bitfile=board.bitfile, device=board.device)


def test_auto_with_a_broken_board(board):
    """A board that is there and fails is reported, not passed over."""
    board.faults.identity = {"magic": 0}
    with pytest.raises(DeviceError, match="not the engine"):
        make_backend(NETWORK, "auto", bitfile=board.bitfile, device=board.device)
