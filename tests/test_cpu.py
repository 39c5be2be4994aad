"""The compiled execution against the reference: the same int32 accumulators, on every instruction set here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import binary_networks, graphs, networks, random_images
from test_network import NETWORK

import pynq_cnn
from pynq_cnn.backends.cpu import CpuBackend
from pynq_cnn.backends.cpu.native import SET, Library, load_library
from pynq_cnn.backends.cpu.plan import plan_of
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import ArgumentError, BackendError
from pynq_cnn.model import (
    BinaryConv2d,
    Conv2d,
    Dense,
    InputSpec,
    MaxPool2d,
    Network,
    OutputSpec,
    Requantisation,
    Skip,
    Threshold,
)
from pynq_cnn.zoo import load_model

try:
    SETS = load_library().sets
except BackendError as error:  # no compiler, or a source folder beside the installed package
    pytest.skip(str(error), allow_module_level=True)


@pytest.fixture(params=SETS)
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SET, request.param)
        yield request.param


def same(network: Network, images: np.ndarray, threads: int = 1, batch: int = 64) -> None:
    with CpuBackend(network, batch, threads) as backend:
        np.testing.assert_array_equal(backend.run(images), ReferenceBackend(network).run(images))


@pytest.mark.parametrize("name", SETS)
@settings(max_examples=120)
@given(graphs() | networks() | binary_networks(), st.integers(1, 11), st.integers(0, 2**16), st.integers(1, 3))
def test_cpu_equals_reference(name, network, n, seed, threads):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SET, name)
        same(network, random_images(network, n, seed), threads)


@pytest.mark.once
@pytest.mark.parametrize("model", pynq_cnn.models())
def test_shipped_networks(model, instruction_set):
    network = load_model(model)
    for threads in (1, 2, 3):
        accumulators = CpuBackend(network, threads=threads).run(network.golden.images)
        np.testing.assert_array_equal(accumulators, network.golden.accumulators)


def convolution(weight: np.ndarray, **options) -> Conv2d:
    """To bytes, from accumulators of about +- 100,000."""
    constants = Requantisation(np.full(len(weight), 50, np.uint16), np.full(len(weight), 15, np.uint8), 100)
    return Conv2d("conv", weight, np.arange(len(weight), dtype=np.int32), requantisation=constants, **options)


def behind(*layers, side: int = 14, channels: int = 3) -> Network:
    """These layers, and a dense one behind them."""
    spec = InputSpec(side, side, channels, "RGB" if channels == 3 else "L", (0.5,) * channels, (0.5,) * channels)
    tensors, shape = {"input": spec.tensor}, spec.tensor
    for layer in layers:
        shape = layer.output(*(tensors[name] for name in layer.inputs or ("input",)))
        tensors[layer.name] = shape
    rng = np.random.default_rng(7)
    weight = rng.integers(-127, 128, (3, int(np.prod(shape.shape))), np.int8)
    last = Dense("last", weight, np.zeros(3, np.int32))
    output = OutputSpec(np.ones(3, np.float32), np.zeros(3, np.float32))
    return Network("made", spec, (*layers, last), output, ("a", "b", "c"))


@pytest.mark.parametrize("outputs", [1, 3, 4, 5, 8, 9, 16, 17, 31, 33, 48, 49, 64, 65, 100])
def test_any_number_of_channels(outputs, instruction_set):
    """Vectors, pairs and triples of vectors are filled in part."""
    rng = np.random.default_rng(outputs)
    layer = convolution(rng.integers(-127, 128, (outputs, 3, 3, 3), np.int8), padding=(1, 1))
    network = behind(layer)
    same(network, random_images(network, 3, 0))


@pytest.mark.once
@pytest.mark.parametrize("density", [0, 0.003, 0.03, 0.1, 0.3])
@pytest.mark.parametrize("pool", [1, 2, 3])
@pytest.mark.parametrize("side", [5, 6, 14])
def test_few_weights_left(density, pool, side, instruction_set):
    """From their sparse form or not, as the backend likes; of rows that are shorter than a vector too."""
    rng = np.random.default_rng(3)
    weight = rng.integers(-127, 128, (37, 3, 3, 24), np.int8) * (rng.random((37, 3, 3, 24)) < density)
    first = convolution(rng.integers(-127, 128, (24, 3, 3, 3), np.int8), padding=(1, 1))
    sparse = convolution(weight.astype(np.int8), padding=(1, 0, 0, 1), inputs=("conv",))
    object.__setattr__(sparse, "name", "sparse")
    layers = [first, sparse]
    if pool > 1:
        layers.append(MaxPool2d("pool", pool, pool, inputs=("sparse",)))
    network = behind(*layers, side=side)
    same(network, random_images(network, 5, 1))
    constants = Requantisation(np.array([40], np.uint16), np.array([14], np.uint8))
    rows = weight.reshape(-1, 24).astype(np.int8)
    small = MaxPool2d("small", side, side, inputs=("conv",))
    hidden = Dense("hidden", rows, np.zeros(len(rows), np.int32), constants, inputs=("small",))
    network = behind(first, small, hidden, side=side)
    same(network, random_images(network, 5, 1))


@pytest.mark.parametrize("pad", [0, 1])
@pytest.mark.parametrize("channels", [1, 63, 64, 65, 130])
def test_bits(channels, pad, instruction_set):
    """Whatever their number fills of words; outside the image nothing counts."""
    rng = np.random.default_rng(channels)
    first = Conv2d("bits", rng.integers(-127, 128, (channels, 3, 3, 3), np.int8), np.zeros(channels, np.int32),
                   threshold=Threshold(np.zeros(channels, np.int32)), padding=(1, 1))  # fmt: skip
    signs = rng.integers(-1, 1, (37, 3, 3, channels))
    options = {"padding": (pad, pad), "threshold": Threshold(rng.integers(-20, 20, 37, dtype=np.int32))}
    second = BinaryConv2d.from_signs("second", signs, inputs=("bits",), **options)
    pool = MaxPool2d("pool", 2, 2, inputs=("second",))
    side = pool.output(second.output(first.output(behind(convolution(np.ones((1, 1, 1, 3), np.int8))).input.tensor)))
    last = BinaryConv2d.from_signs("last", rng.integers(-1, 1, (10, *side.shape)), inputs=("pool",))
    spec = InputSpec(14, 14, 3, "RGB", (0.5,) * 3, (0.5,) * 3)
    output = OutputSpec(np.ones(10, np.float32), np.zeros(10, np.float32))
    network = Network("bits", spec, (first, second, pool, last), output, tuple("0123456789"))
    same(network, random_images(network, 9, 0))


def test_a_large_sum_of_bits(instruction_set):
    """More taps than counts in a byte hold."""
    rng = np.random.default_rng(0)
    first = Conv2d("bits", np.zeros((500, 1, 1, 3), np.int8), np.ones(500, np.int32),
                   threshold=Threshold(np.zeros(500, np.int32)))  # fmt: skip
    last = BinaryConv2d.from_signs("last", np.array([-1, 1])[:, None, None, None] * np.ones((2, 14, 14, 500)))
    spec = InputSpec(14, 14, 3, "RGB", (0.5,) * 3, (0.5,) * 3)
    network = Network(
        "bits", spec, (first, last), OutputSpec(np.ones(2, np.float32), np.zeros(2, np.float32)), ("a", "b")
    )
    images = rng.integers(0, 256, (2, 14, 14, 3), np.uint8)
    assert CpuBackend(network).run(images).tolist() == [[-14 * 14 * 500, 14 * 14 * 500]] * 2


def test_extremes(instruction_set):
    """255 * 127 summed until the accumulator is as large as it may be: no sum of 16 bits may saturate."""
    for sign in (1, -1):
        weight = np.full((2, 14, 14, 3), 127 * sign, np.int8)
        bias = np.array([2**31 - 1 - 255 * 127 * 588, 5], np.int32) * sign
        layer = Conv2d("last", weight, bias)
        spec = InputSpec(14, 14, 3, "RGB", (0.5,) * 3, (0.5,) * 3)
        output = OutputSpec(np.ones(2, np.float32), np.zeros(2, np.float32))
        network = Network("extreme", spec, (layer,), output, ("a", "b"))
        same(network, np.full((3, 14, 14, 3), 255, np.uint8))


@pytest.mark.once
@pytest.mark.parametrize("multiplier", [0, 1, 65535])
@pytest.mark.parametrize("shift", [1, 16, 17, 31, 32, 33, 47])
@pytest.mark.parametrize(("zero", "low"), [(0, 0), (255, 0), (7, 200)])
def test_requantisation_at_its_ends(multiplier, shift, zero, low, instruction_set):
    bias = np.array([-(2**31), -(2**31) + 1, -1, 0, 1, 2**30, 2**31 - 1, *range(-5, 6)], np.int32)
    constants = Requantisation(np.array([multiplier], np.uint16), np.array([shift], np.uint8), zero, low)
    layer = Conv2d("ends", np.zeros((len(bias), 1, 1, 3), np.int8), bias, requantisation=constants)
    network = behind(layer, side=2)
    same(network, random_images(network, 2, 0))


@pytest.mark.parametrize("groups", [1, 6])
def test_skip_and_groups(groups, instruction_set):
    rng = np.random.default_rng(1)
    first = convolution(rng.integers(-127, 128, (6, 3, 3, 3), np.int8), padding=(1, 1))
    skip = Skip(rng.integers(0, 65536, 6, dtype=np.uint16))
    weight = rng.integers(-127, 128, (6, 3, 3, 6 // groups), np.int8)
    second = convolution(weight, padding=(1, 1), groups=groups, skip=skip, inputs=("conv", "conv"))
    object.__setattr__(second, "name", "second")
    network = behind(first, second)
    same(network, random_images(network, 3, 0))


@pytest.mark.once
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 63, 200])
def test_threads_and_batches_change_nothing(threads, n):
    network = load_model("lenet5")
    images = np.random.default_rng(n).integers(0, 256, (n, 28, 28, 1), np.uint8)
    expected = ReferenceBackend(network).run(images)
    for batch in (1, 7, 64):
        with CpuBackend(network, batch, threads) as backend:
            for _ in range(3):
                np.testing.assert_array_equal(backend.run(images), expected)


def test_several_callers_at_once():
    network = load_model("lenet")
    images = np.random.default_rng(0).integers(0, 256, (300, 28, 28, 1), np.uint8)
    expected = ReferenceBackend(network).run(images)
    backend, wrong = CpuBackend(network, threads=2), []

    def work(first: int) -> None:
        for i in range(20):
            part = slice(first + i, first + i + 30)
            wrong.extend([i] * (not np.array_equal(backend.run(images[part]), expected[part])))

    threads = [threading.Thread(target=work, args=(40 * i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_one_thread_is_one():
    network = load_model("vgg_bnn_half")
    images = network.golden.images[:4]
    folder = f"/proc/{os.getpid()}/task"
    if not os.path.isdir(folder):
        pytest.skip("only Linux shows threads there")
    before = len(os.listdir(folder))
    with CpuBackend(network, threads=1) as backend:
        backend.run(images)
        assert len(os.listdir(folder)) == before
    with CpuBackend(network, threads=3) as backend:
        backend.run(images)
        assert len(os.listdir(folder)) == before + 2
    assert len(os.listdir(folder)) == before


@pytest.mark.once
@settings(max_examples=60)
@given(graphs() | networks() | binary_networks(), st.integers(1, 20), st.integers(2, 9), st.integers(1, 9))
def test_threads_share_whatever_there_is(network, n, threads, batch):
    """Images, or parts of every layer, of which some have less to do than there are threads."""
    images = random_images(network, n, threads)
    opened = load_library().open(plan_of(network), SETS[0], threads, batch, eager=True)
    for some in (images, images[:1], images):
        results = np.empty((len(some), network.output.outputs), np.int32)
        opened.run(some, results)
        np.testing.assert_array_equal(results, ReferenceBackend(network).run(some))


@pytest.mark.parametrize("model", ["nin", "vgg_bnn", "deepnet"])
def test_few_images_for_many_threads(model):
    network = load_model(model)
    with CpuBackend(network, threads=5) as backend:
        for n in (1, 4, 1):
            accumulators = backend.run(network.golden.images[:n])
            np.testing.assert_array_equal(accumulators, network.golden.accumulators[:n])


def in_a_fork(work) -> None:
    """`work()` in a child must give True, and must not hang: that is what a lock or a thread left behind does."""
    child = os.fork()
    if not child:
        signal.alarm(20)
        os._exit(0 if work() else 1)
    assert os.waitpid(child, 0)[1] == 0


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")


@forks
def test_a_forked_child_has_threads_of_its_own():
    network = load_model("vgg_bnn_half")
    images, expected = network.golden.images[:6], network.golden.accumulators[:6]
    backend = CpuBackend(network, threads=2)
    backend.run(images)
    in_a_fork(lambda: np.array_equal(backend.run(images), expected))
    np.testing.assert_array_equal(backend.run(images), expected)


@forks
def test_a_forked_child_may_close_what_its_parent_uses():
    network = load_model("vgg_bnn_half")
    images, expected = network.golden.images[:6], network.golden.accumulators[:6]
    backend = CpuBackend(network, threads=2)
    backend.run(images)
    in_a_fork(lambda: backend.close() is None)
    np.testing.assert_array_equal(backend.run(images), expected)


@pytest.mark.once
@forks
@pytest.mark.parametrize("threads", [1, 3])
def test_a_fork_amid_a_run(threads):
    """The child has none of the threads that were at work, and no lock that they held."""
    network = load_model("vgg_bnn_half")
    images, expected = network.golden.images[:8], network.golden.accumulators[:8]
    backend, ended = CpuBackend(network, threads=threads), threading.Event()
    backend.run(images)
    many = np.tile(images, (4, 1, 1, 1))

    def work() -> None:
        while not ended.is_set():
            backend.run(many)

    at_work = threading.Thread(target=work)
    at_work.start()
    try:
        for _ in range(8):
            in_a_fork(lambda: np.array_equal(backend.run(images), expected) and backend.close() is None)
    finally:
        ended.set()
        at_work.join()


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="only Linux shows threads there")
def test_without_a_thread_to_be_had_it_runs_all_the_same():
    script = (
        "import os, resource\n"
        "from pynq_cnn.backends.cpu import CpuBackend\n"
        "from pynq_cnn.zoo import load_model\n"
        "network = load_model('vgg_bnn_half')\n"
        "backend = CpuBackend(network, threads=4)\n"
        "images, expected = network.golden.images, network.golden.accumulators\n"
        "os.setuid(65534) if os.getuid() == 0 else None\n"
        "resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))\n"
        "assert (backend.run(images) == expected).all()\n"
        "assert len(os.listdir('/proc/self/task')) == 1\n"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_images_of_any_layout():
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1), np.uint8)
    expected = ReferenceBackend(NETWORK).run(images)
    backend = CpuBackend(NETWORK)
    for given_images in (np.asfortranarray(images), images[::-1].copy()[::-1]):
        np.testing.assert_array_equal(backend.run(given_images), expected)


@pytest.mark.once
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="only Linux keeps to such a limit")
@pytest.mark.parametrize("threads", [1, 3])
def test_without_memory_it_says_so(threads):
    """More than is free in the process's own store, which the limit does not count."""
    script = (
        "import resource, sys\n"
        "import numpy as np\n"
        "from test_cpu import BackendError, CpuBackend, ReferenceBackend, behind, convolution, random_images\n"
        "from pynq_cnn.model import MaxPool2d\n"
        "pool = MaxPool2d('pool', 128, 128, inputs=('conv',))\n"
        "network = behind(convolution(np.ones((8, 1, 1, 3), np.int8)), pool, side=512)\n"
        "images = random_images(network, 3, 0)\n"
        "backend = CpuBackend(network, threads=int(sys.argv[1]))\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    backend.run(images)\n"
        "except BackendError as error:\n"
        "    print('no memory left' in str(error))\n"
        "resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "print((backend.run(images) == ReferenceBackend(network).run(images)).all())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parent), *sys.path]))}
    arguments = [sys.executable, "-c", script, str(threads)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True"], done.stdout + done.stderr


def test_tensors_that_no_machine_holds():
    """They are refused, and nothing is written beside what is there."""
    conv = convolution(np.ones((64, 1, 1, 3), np.int8))
    pools = [MaxPool2d("once", 255, 255, inputs=("conv",)), MaxPool2d("twice", 255, 255, inputs=("once",))]
    network = behind(conv, *pools, side=65535)
    with pytest.raises(BackendError, match="cannot open the network: one of its tensors is too large"):
        CpuBackend(network)


@pytest.mark.parametrize("side", [14, 160])
def test_one_image_at_a_time(side):
    """However it lies in memory, and of which size; a result stays as it is when the next comes."""
    rng = np.random.default_rng(0)
    network = behind(MaxPool2d("small", side // 7, side // 7), side=side)
    images = random_images(network, 4, 0)
    expected = ReferenceBackend(network).run(images)
    given_images = [images[:1], images[1:2].copy("F"), images[2:3, ::-1].copy()[:, ::-1], images[3:].copy()]
    given_images[3].flags.writeable = False
    with CpuBackend(network, threads=1) as backend:
        results = [backend.run(image) for image in given_images]
        backend.run(rng.integers(0, 256, images[:1].shape, np.uint8))
    np.testing.assert_array_equal(np.concatenate(results), expected)


def test_the_instruction_set_is_the_environments(monkeypatch):
    for name in SETS:
        monkeypatch.setenv(SET, name)
        assert CpuBackend(NETWORK).instruction_set == name
    monkeypatch.setenv(SET, "")
    assert CpuBackend(NETWORK).instruction_set == SETS[0]
    monkeypatch.setenv(SET, "mmx")
    with pytest.raises(ArgumentError, match=f"{SET} is 'mmx', but this processor has .*baseline"):
        CpuBackend(NETWORK)


def test_closed():
    backend = CpuBackend(NETWORK)
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.run(np.zeros((1, 8, 8, 1), np.uint8))


def test_a_library_that_is_none(tmp_path):
    path = tmp_path / "_cpu.so"
    path.write_bytes(b"not a library")
    with pytest.raises(BackendError, match="cannot be loaded"):
        Library(path)


def test_a_plan_that_ends_early_is_refused():
    plan = plan_of(NETWORK)
    for words in range(0, len(plan), 7):
        with pytest.raises(BackendError, match="cannot open the network"):
            load_library().open(plan[:words], SETS[-1], 1, 1)
