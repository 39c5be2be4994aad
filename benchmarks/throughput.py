"""Images a second of the reference, the kernel and PyTorch on this machine's CPU, one thread each, as ratios in the
same run.

All three start from uint8 images in NumPy and end with float32 logits in NumPy. PyTorch runs a float32 network of the
same layers, as a user would without this package; the reference and the kernel give exact int32 results, compared
before anything is timed. The three take turns, several rounds of them, and the table shows medians: of the speeds, and
of the ratios within a round. Time is processor time of this process, which other work on the machine disturbs less than
the clock on the wall.

    python benchmarks/throughput.py [--rounds N] [--seconds S]        needs pip install 'pynq_cnn[train]'
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median
from time import process_time

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from pynq_cnn import Classifier
from pynq_cnn.model import Conv2d, Dense, InputSpec, MaxPool2d, Network, OutputSpec, Requantisation
from pynq_cnn.zoo import load_model

BATCHES = (1, 64)
Execution = Callable[[np.ndarray], np.ndarray]


def random_network(name: str, convolutions: list[tuple[int, int, int]], hidden: list[int]) -> Network:
    """A network of random weights on 28 x 28 digits; speed does not depend on what they are.

    Parameters
    ----------
    name : str
        For the table.
    convolutions : list of (channels, kernel, padding)
        Each is followed by a 2 x 2 max pooling.
    hidden : list of int
        Sizes of fully connected layers before the last one of 10.
    """
    rng = np.random.default_rng(0)
    layers: list[Conv2d | MaxPool2d | Dense] = []

    def arrays(outputs: int, *inputs: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.integers(-127, 128, (outputs, *inputs), np.int8), np.zeros(outputs, np.int32)

    def requantisation(fan_in: int, outputs: int) -> Requantisation:
        """Spreads accumulators of this many random products over the bytes."""
        return Requantisation(
            np.full(outputs, 2**24 / (73 * fan_in**0.5) / 150, np.uint16), np.full(outputs, 24, np.uint8)
        )

    shape = (28, 28, 1)
    for i, (channels, kernel, padding) in enumerate(convolutions, 1):
        fan_in = kernel * kernel * shape[2]
        spread = requantisation(fan_in, channels)
        layers.append(
            Conv2d(f"conv{i}", *arrays(channels, kernel, kernel, shape[2]), (1, 1), (padding, padding), spread)
        )
        layers.append(MaxPool2d(f"pool{i}", 2, 2))
        shape = layers[-1].output_shape(layers[-2].output_shape(shape))
    inputs = int(np.prod(shape))
    for i, outputs in enumerate(hidden, 1):
        layers.append(Dense(f"hidden{i}", *arrays(outputs, inputs), requantisation(inputs, outputs)))
        inputs = outputs
    layers.append(Dense("last", *arrays(10, inputs)))
    output = OutputSpec(np.ones(10, np.float32), np.zeros(10, np.float32))
    return Network(name, InputSpec(28, 28, 1, "L", (0.0,), (1.0,)), tuple(layers), output, tuple("0123456789"))


def in_torch(network: Network) -> Execution:
    """The network's layers in float32 PyTorch, from uint8 images to logits."""
    modules: list[torch.nn.Module] = []
    for layer in network.layers:
        if isinstance(layer, MaxPool2d):
            modules.append(torch.nn.MaxPool2d(layer.size, layer.stride))
        elif isinstance(layer, Conv2d):
            outputs, _, _, inputs = layer.weight.shape
            modules += [
                torch.nn.Conv2d(inputs, outputs, layer.kernel, layer.stride, layer.padding[:2]),
                torch.nn.ReLU(),
            ]
        elif isinstance(layer, Dense):
            if not any(isinstance(module, torch.nn.Flatten) for module in modules):
                modules.append(torch.nn.Flatten())
            modules += [torch.nn.Linear(layer.weight.shape[1], layer.weight.shape[0]), torch.nn.ReLU()]
        else:
            raise TypeError(f"{network.name}: {type(layer).__name__} is not compared here")
    model = torch.nn.Sequential(*modules[:-1]).eval()  # no ReLU behind the last layer

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255)).numpy()

    return run


def images_per_second(run: Execution, images: np.ndarray, seconds: float) -> float:
    """Over at least `seconds`, without the first call."""
    run(images)
    calls, start = 0, process_time()
    while process_time() - start < seconds or not calls:
        run(images)
        calls += 1
    return calls * len(images) / (process_time() - start)


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="rounds of the three taking turns (9)")
    parser.add_argument("--seconds", type=float, default=0.3, metavar="S", help="of each in a round (0.3)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    networks = [
        load_model("lenet"),
        random_network("conv 1-16 5x5, 16-32 3x3, fc 800-10", [(16, 5, 0), (32, 3, 0)], []),
        random_network("conv 1-64-256 3x3, fc 12544-512-10", [(64, 3, 1), (256, 3, 1)], [512]),
    ]
    speeds = [f"{name}, images/s" for name in ("reference", "kernel", "PyTorch")]
    head = ["network", "million MACs", "batch", *speeds, "kernel : reference", "PyTorch : reference"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    with threadpool_limits(1):
        for network in networks:
            for batch in BATCHES:
                images = np.random.default_rng(1).integers(0, 256, (batch, *network.input_shape), np.uint8)
                with (
                    Classifier(network, "reference", batch) as reference,
                    Classifier(network, "kernel", batch) as kernel,
                ):
                    if not np.array_equal(reference.accumulators(images), kernel.accumulators(images)):
                        raise SystemExit(f"{network.name}: the reference and the kernel disagree")
                    executions = (reference.logits, kernel.logits, in_torch(network))
                    rounds = [
                        [images_per_second(run, images, args.seconds) for run in executions] for _ in range(args.rounds)
                    ]
                row = [network.name, f"{sum(node.macs for node in network.nodes) / 1e6:.2f}", f"{batch}"]
                row += [f"{median(column):,.0f}" for column in zip(*rounds)]
                row += [f"{median(turns[i] / turns[0] for turns in rounds):.2f}" for i in (1, 2)]
                print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
