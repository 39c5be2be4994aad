"""Each execution on this machine's CPU beside PyTorch and ONNX Runtime: microseconds an image, and ratios in the run.

All start from the same uint8 images in NumPy and end with float32 logits in NumPy, on the same trained networks.
PyTorch runs the network's own layers in float32, eagerly and through `torch.compile`; ONNX Runtime runs what PyTorch
exports, in float32 and quantised to int8 by its own tool. Before anything is timed, our backends must give equal
results and all others the same answers on nearly all images. Then all take turns, several rounds of them; the table has
medians of the times, and of the ratios within a round: how many times as fast as the fastest of PyTorch, eager or
compiled, and ONNX Runtime in float32. Time with one thread is processor time of this process, which other work on the
machine disturbs less than the clock on the wall; with several it is the clock's.

    python benchmarks/cpu.py [--models lenet,nin] [--batches 1,64] [--threads 1] [--without torch.compile,kernel]

`--pictures` makes a second table, of what a caller feels: Pillow's pictures of three sizes in, class names out, one at
a time. Here that is `Classifier.classify`, with all that it looks at and says of a picture; with the others what
people write by hand: mode, scaling, an array, the network, the largest logit's name.

Needs pip install 'pynq_cnn[train]' onnxruntime onnx; what is not installed is left out, and said.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

import pynq_cnn
from pynq_cnn import Classifier
from pynq_cnn.model import Network
from pynq_cnn.zoo import load_model, load_sample

Execution = Callable[[np.ndarray], np.ndarray]
OURS = ("cpu", "reference", "kernel")
OTHERS = ("PyTorch", "torch.compile", "ONNX float32", "ONNX int8")
BASE = ("PyTorch", "torch.compile", "ONNX float32")
AGREE = 0.93  # of the answers, at least; the others round otherwise, or not at all


def in_torch(network: Network) -> Any:
    """The network's layers in float32 PyTorch, from uint8 [n, h, w, c] to logits; scales are in weights and biases."""
    import torch
    from torch.nn import functional

    from pynq_cnn.model import AvgPool2d, BinaryConv2d, Concat, Conv2d, Dense, MaxPool2d

    def tensor(values: np.ndarray) -> torch.nn.Parameter:
        return torch.nn.Parameter(torch.tensor(np.ascontiguousarray(values), dtype=torch.float32), requires_grad=False)

    class Layer(torch.nn.Module):
        """One layer; values are those of the bytes, and +1 and -1 of bits."""

        def __init__(self, node: Any) -> None:
            super().__init__()
            layer, given = node.layer, node.given[0]
            self.layer, self.outside = layer, given.zero_point
            self.last = node is network.nodes[-1]
            constants = getattr(layer, "requantisation", None)
            scale = np.ones(1) if constants is None else constants.multiplier / 2.0 ** constants.shift.astype(float)
            self.zero, self.low = (constants.zero_point, constants.low) if constants is not None else (0, None)
            threshold = getattr(layer, "threshold", None)
            self.threshold = None if threshold is None else tensor(threshold.value)
            if isinstance(layer, BinaryConv2d):
                self.weight, self.bias = tensor(layer.signs().transpose(0, 3, 1, 2)), None
            elif isinstance(layer, (Conv2d, Dense)):
                weight, bias = layer.weight.astype(np.float64), layer.bias.astype(np.float64)
                if isinstance(layer, Dense):  # PyTorch flattens channel by channel
                    height, width, channels = given.shape
                    weight = weight.reshape(len(weight), height, width, channels).transpose(0, 3, 1, 2)
                    weight = weight.reshape(len(weight), -1)
                else:
                    weight = weight.transpose(0, 3, 1, 2)
                scales = np.broadcast_to(scale, len(weight))
                self.weight = tensor(weight * scales.reshape(-1, *[1] * (weight.ndim - 1)))
                self.bias = tensor(bias * scales + self.zero)
                self.skip = (
                    None
                    if layer.skip is None
                    else tensor((layer.skip.multiplier.astype(float) * scales).reshape(-1, 1, 1))
                )
            elif isinstance(layer, AvgPool2d):
                self.scale = tensor(np.asarray(scale).reshape(-1, 1, 1))

        def forward(self, x: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
            layer = self.layer
            if isinstance(layer, Concat):
                return torch.cat((x, *others), 1)
            if isinstance(layer, Dense):
                x = functional.linear(x.flatten(1), self.weight, self.bias)[..., None, None]
            else:
                top, left, bottom, right = layer.padding
                padding: Any = (top, left)
                if isinstance(layer, MaxPool2d):
                    if any(layer.padding):
                        x = functional.pad(x, (left, right, top, bottom), value=float("-inf"))
                    return functional.max_pool2d(x, layer.size, layer.stride)
                if (top, left) != (bottom, right) or (any(layer.padding) and any(self.outside)):
                    outside = torch.tensor(self.outside, dtype=torch.float32).reshape(-1, 1, 1)
                    x = functional.pad(x - outside, (left, right, top, bottom)) + outside
                    padding = (0, 0)
                if isinstance(layer, AvgPool2d):
                    area = layer.size[0] * layer.size[1]
                    pooled = functional.avg_pool2d(x, layer.size, layer.stride, padding) * area
                    x = (pooled + layer.bias) * self.scale + self.zero
                else:
                    dilation, groups = getattr(layer, "dilation", (1, 1)), getattr(layer, "groups", 1)
                    x = functional.conv2d(x, self.weight, self.bias, layer.stride, padding, dilation, groups)
            if others:
                x = x + others[0] * self.skip
            if self.threshold is not None:
                return (x >= self.threshold.reshape(-1, 1, 1)).float() * 2 - 1
            if self.low is None:
                return x
            return functional.relu(x) if self.low == 0 else x.clamp(min=self.low)

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList(Layer(node) for node in network.nodes)
            self.scale, self.offset = tensor(network.output.scale), tensor(network.output.offset)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            values = {"input": images.permute(0, 3, 1, 2).float()}
            for node, layer in zip(network.nodes, self.layers):
                values[node.name] = layer(*(values[name] for name in node.inputs))
            return values[network.nodes[-1].name].flatten(1) * self.scale + self.offset

    return Whole().eval()


def exported(network: Network, folder: Path) -> Path:
    """The PyTorch network as an ONNX file, of any batch."""
    import torch

    path = folder / f"{network.name}.onnx"
    example = torch.zeros((2, *network.input_shape), dtype=torch.uint8)
    axes = {"images": {0: "n"}, "logits": {0: "n"}}
    names = {"input_names": ["images"], "output_names": ["logits"], "dynamic_axes": axes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(in_torch(network), (example,), str(path), dynamo=False, **names)
    return path


def in_onnx(network: Network, threads: int, int8: bool, images: np.ndarray) -> Execution:
    """ONNX Runtime on it; quantised by its own tool, with `images` to calibrate."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = exported(network, Path(folder))
        if int8:
            from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
            from onnxruntime.quantization.shape_inference import quant_pre_process

            class Reader(CalibrationDataReader):
                left = iter([{"images": images[i : i + 1]} for i in range(min(len(images), 32))])

                def get_next(self) -> Any:
                    return next(self.left, None)

            ready, quantised = Path(folder) / "ready.onnx", Path(folder) / "int8.onnx"
            quant_pre_process(str(path), str(ready))
            quantize_static(
                str(ready),
                str(quantised),
                Reader(),
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
            )
            path = quantised
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]


def open_execution(name: str, network: Network, batch: int, threads: int, images: np.ndarray) -> Execution:
    """One execution: float32 logits of uint8 images."""
    if name in OURS:
        return Classifier(network, name, min(batch, 64), threads=threads).logits
    if name.startswith("ONNX"):
        return in_onnx(network, threads, name.endswith("int8"), images)
    import torch

    torch.set_num_threads(threads)
    model = in_torch(network)
    if name == "torch.compile":
        torch.compiler.reset()  # else what was compiled before uses up the number of compilations of one function
        model = torch.compile(model)

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(images)).numpy()

    return run


def some_images(network: Network, count: int) -> np.ndarray:
    """The golden images, again and again: most are of the test set."""
    assert network.golden is not None
    repeats = -(-count // len(network.golden.images))
    return np.concatenate([network.golden.images] * repeats)[:count]


def microseconds(run: Callable[[Any], Any], images: Any, seconds: float, clock: Callable[[], float]) -> float:
    """An image, or a picture."""
    calls, start = 0, clock()
    while clock() - start < seconds or not calls:
        run(images)
        calls += 1
    return (clock() - start) / calls / len(images) * 1e6


def compare(
    network: Network, batch: int, threads: int, names: tuple[str, ...], rounds: int, seconds: float
) -> dict[str, Any]:
    """The medians of one row."""
    from threadpoolctl import threadpool_limits

    images = some_images(network, batch)
    check = some_images(network, 64)
    left_out: dict[str, str] = {}
    runs: dict[str, Execution] = {}
    with threadpool_limits(threads):
        expected = network.answers(Classifier(network, "reference").logits(check))
        for name in names:
            try:
                runs[name] = open_execution(name, network, batch, threads, check)
                parts = [runs[name](check[i : i + batch]) for i in range(0, len(check), batch)]
            except Exception as error:  # what another library cannot do is a line in the table
                left_out[name] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
                runs.pop(name, None)
                continue
            agreement = float((network.answers(np.concatenate(parts)) == expected).mean())
            if agreement < (1 if name in OURS else AGREE):
                left_out[name] = f"only {100 * agreement:.0f} % of its answers agree"
                del runs[name]
            else:
                runs[name](images)
        clock = process_time if threads == 1 else perf_counter
        turns = [{name: microseconds(run, images, seconds, clock) for name, run in runs.items()} for _ in range(rounds)]
    faster = [min((turn[name] for name in BASE if name in turn), default=float("nan")) for turn in turns]
    return {
        "network": network.name,
        "batch": batch,
        "threads": threads,
        "microseconds": {name: median(turn[name] for turn in turns) for name in runs},
        "ratio": {name: median(base / turn[name] for base, turn in zip(faster, turns)) for name in runs},
        "left_out": left_out,
    }


def pictures_of(network: Network, size: int) -> list[Any]:
    """Pillow's pictures of `size` pixels a side: digits as written, of others the golden images that are pictures."""
    from PIL import Image

    assert network.golden is not None
    images = load_sample()[0][:16] if network.input.fit == "digit" else network.golden.images[8:]
    return [Image.fromarray(image.squeeze()).resize((size, size), Image.Resampling.BILINEAR) for image in images]


def labels_of(name: str, network: Network, images: np.ndarray) -> Callable[[list[Any]], list[str]]:
    """The function from pictures to their class names, one at a time, by one execution on one thread."""
    from PIL import Image

    if name in OURS:
        classifier = Classifier(network, name, 1, threads=1)

        def classified(pictures: list[Any]) -> list[str]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return [classifier.classify(picture).label for picture in pictures]

        return classified
    run = open_execution(name, network, 1, 1, images)
    height, width, channels = network.input_shape

    def by_hand(picture: Any) -> str:
        scaled = picture.convert("L" if channels == 1 else "RGB").resize((width, height), Image.Resampling.BILINEAR)
        array = np.asarray(scaled).reshape(1, height, width, channels)
        return network.classes[int(network.answers(run(array))[0])]

    return lambda pictures: [by_hand(picture) for picture in pictures]


def compare_pictures(
    network: Network, size: int, names: tuple[str, ...], rounds: int, seconds: float
) -> dict[str, float]:
    """Median microseconds a picture, one at a time, on one thread."""
    from threadpoolctl import threadpool_limits

    pictures = pictures_of(network, size)
    with threadpool_limits(1):
        runs: dict[str, Callable[[list[Any]], list[str]]] = {}
        for name in names:
            try:
                runs[name] = labels_of(name, network, some_images(network, 32))
                runs[name](pictures[:1])
            except Exception as error:  # as in the first table
                runs.pop(name, None)
                print(f"<!-- {network.name}: {name}: {type(error).__name__}: {error} -->".splitlines()[0], flush=True)
        turns = [
            {name: microseconds(run, pictures, seconds, process_time) for name, run in runs.items()}
            for _ in range(rounds)
        ]
    return {name: median(turn[name] for turn in turns) for name in runs}


def most_memory() -> float:
    """MiB of memory that this process has had at most; Linux alone says so."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def peak_memory(model: str, name: str, batch: int) -> float:
    """MiB that a process takes at most above what it has after the imports, for loading a network and running it."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import cpu\n"
        "from pynq_cnn.zoo import load_model\n"
        "name, batch = sys.argv[3], int(sys.argv[4])\n"
        "if name in cpu.OTHERS: import torch\n"
        "if name.startswith('ONNX'): import onnxruntime\n"
        "before = cpu.most_memory()\n"
        "network = load_model(sys.argv[2]); images = cpu.some_images(network, batch)\n"
        "run = cpu.open_execution(name, network, batch, 1, images); run(images); run(images)\n"
        "print(cpu.most_memory() - before)\n"
    )
    arguments = [sys.executable, "-c", script, str(Path(__file__).parent), model, name, str(batch)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def plot(rows: list[dict[str, Any]], path: str) -> None:
    """Ratios by batch, a panel for each network, a line for each execution and number of threads."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    networks = list(dict.fromkeys(row["network"] for row in rows))
    names = [name for name in (*OURS, *OTHERS) if any(name in row["ratio"] for row in rows)]
    threads = sorted({row["threads"] for row in rows})
    wide = min(3, len(networks))
    high = -(-len(networks) // wide)
    figure, panels = pyplot.subplots(
        high, wide, figsize=(3.6 * wide, 2.7 * high + 0.6), sharex=True, sharey=True, squeeze=False
    )
    for panel, network in zip(panels.flat, networks):
        for i, name in enumerate(names):
            for count, style in zip(threads, ("-", "--", ":", "-.")):
                found = [row for row in rows if (row["network"], row["threads"]) == (network, count)]
                points = [(row["batch"], row["ratio"][name]) for row in found if name in row["ratio"]]
                label = f"{name}, {count} thread{'s' * (count > 1)}"
                if points:
                    panel.plot(*zip(*points), style, marker=".", color=f"C{i}", label=label)
        panel.axhline(1, color="black", linewidth=0.8)
        panel.set(title=network, xscale="log", yscale="log")
        batches = sorted({row["batch"] for row in rows})
        panel.set_xticks(batches, [str(batch) for batch in batches])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    for panel in panels.flat[len(networks) :]:
        panel.set_visible(False)
    for panel in panels[-1]:
        panel.set_xlabel("batch")
    for panel in panels[:, 0]:
        panel.set_ylabel("speed")
    figure.suptitle("Speed, to the fastest of PyTorch and ONNX Runtime in float32", fontsize=10)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=7, ncol=5, loc="lower center")
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path, dpi=100)


def main() -> None:
    """Measure and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", default=",".join(pynq_cnn.models()), metavar="NAME,...")
    parser.add_argument("--batches", default="1,16,64,256", metavar="N,...")
    parser.add_argument("--threads", default="1,2", metavar="N,...")
    names = (*OURS, *OTHERS)
    parser.add_argument("--without", default="kernel", metavar="NAME,...", help=f"of {', '.join(names)} (kernel)")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="in which all take turns (7)")
    parser.add_argument("--seconds", type=float, default=0.2, metavar="S", help="of each in a round (0.2)")
    parser.add_argument("--memory", action="store_true", help="peak memory too, each in a process of its own")
    parser.add_argument("--pictures", action="store_true", help="pictures in and class names out too")
    parser.add_argument("--plot", metavar="FILE", help="ratios as a picture")
    parser.add_argument("--json", metavar="FILE", help="all numbers")
    args = parser.parse_args()
    names = tuple(name for name in names if name not in args.without.split(","))
    head = ["network", "batch", "threads", *(f"{name}, us" for name in names), *(f"{name}, ratio" for name in names)]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)
    rows = []
    for model in args.models.split(","):
        network = load_model(model)
        for threads in map(int, args.threads.split(",")):
            for batch in map(int, args.batches.split(",")):
                row = compare(network, batch, threads, names, args.rounds, args.seconds)
                rows.append(row)
                times = [f"{row['microseconds'][n]:,.1f}" if n in row["microseconds"] else "-" for n in names]
                ratios = [f"{row['ratio'][n]:.2f}" if n in row["ratio"] else "-" for n in names]
                print(f"| {' | '.join([model, str(batch), str(threads), *times, *ratios])} |", flush=True)
                for name, why in row["left_out"].items():
                    print(f"<!-- {model}: {name}: {why} -->", flush=True)
    if args.memory:
        print("\n| network | batch | cpu, MiB | PyTorch, MiB |\n|---|---|---|---|")
        for model in args.models.split(","):
            for batch in (1, 64):
                sizes = [f"{peak_memory(model, name, batch):.1f}" for name in ("cpu", "PyTorch")]
                print(f"| {model} | {batch} | {' | '.join(sizes)} |", flush=True)
    if args.pictures:
        print(f"\n| network | picture | {' | '.join(f'{name}, us' for name in names)} |\n|{'---|' * (len(names) + 2)}")
        for model in args.models.split(","):
            network = load_model(model)
            for size in dict.fromkeys((network.input.width, 280, 1024)):
                times = compare_pictures(network, size, names, args.rounds, args.seconds)
                cells = [f"{times[n]:,.0f}" if n in times else "-" for n in names]
                print(f"| {model} | {size} x {size} | {' | '.join(cells)} |", flush=True)
    if args.plot:
        plot(rows, args.plot)
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
