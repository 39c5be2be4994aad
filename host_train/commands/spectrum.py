"""`spectrum`: where a trained network's variance lies in frequency, and what keeping its weights at few bits costs.

With several runs that differ in their seeds, how much of that is chance.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from host_train.commands.options import add_data_dir, add_threads, set_threads

if TYPE_CHECKING:
    from host_train.runs.run import Run
    from host_train.spectrum.study import Point

BATCH = 512
CALIBRATION = "mse"  # of the activations, the same for every point of the comparison


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "spectrum", help="frequency-domain study of a run, or of several seeds", description=__doc__
    )
    runs = (
        "folder of a run, such as runs/lenet; several of one network, of different seeds, give means with their spread"
    )
    parser.add_argument("folders", type=Path, metavar="RUN", nargs="+", help=runs)
    parser.add_argument(
        "--rates", default="1,2,3,4,6,8", metavar="BITS", help="bits per weight, separated by commas (1,2,3,4,6,8)"
    )
    parser.add_argument(
        "--corners", action="store_true", help="draw frequency 0 in the corners, as the FFT gives it, not in the middle"
    )
    many = f"training images whose activations the spectra are of, beside those of one image (default: {BATCH})"
    parser.add_argument("--batch", type=int, metavar="N", help=many)
    where = "where plots and numbers go (default: RUN/spectrum; of several runs, NETWORK-spectrum beside the first)"
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=where)
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from host_train.files import write_text
    from host_train.runs.record import read_settings
    from host_train.runs.run import Run
    from host_train.spectrum.bits import check_rates
    from host_train.spectrum.numbers import save_points
    from host_train.spectrum.plots import plot_comparison
    from host_train.spectrum.spread import MEASURES, check_seeds, to_markdown
    from pynq_cnn.errors import ArgumentError

    set_threads(args.threads)
    try:
        rates = [int(rate) for rate in args.rates.split(",")]
    except ValueError:
        raise ArgumentError(f"--rates must be whole numbers separated by commas, not {args.rates!r}") from None
    check_rates(rates)
    if args.batch is not None and args.batch < 2:
        raise ArgumentError(f"--batch must be at least 2 images, not {args.batch}")
    settings = [read_settings(folder) for folder in args.folders]
    check_seeds(settings)
    several = len(settings) > 1
    first = args.folders[0]
    out = args.out or (first.parent / f"{settings[0].recipe}-spectrum" if several else first / "spectrum")
    points = {}
    for folder, asked in zip(args.folders, settings):
        trained = Run.open(folder, args.data_dir)  # one at a time: each has its data
        points[asked.seed] = _study(trained, rates, out / f"seed-{asked.seed}" if several else out, args)
    title = f"{trained.recipe.name} on {trained.dataset.spec.title}"
    form = "bits" if trained.recipe.binary else "int8"
    plot_comparison(points, out / "comparison.png", f"{title}: weights kept at few bits, run as {form} on the test set")
    save_points(points, out)
    trainings = [f"Over {len(points)} trainings:" if several else "One training, whose spread is not known:"]
    trainings += [f"    {one.command()}" for one in settings]
    tables = [f"{title}: {measure.title}\n\n{to_markdown(points, measure)}" for measure in MEASURES]
    text = "\n\n".join(["\n".join(trainings), *tables]) + "\n"
    write_text(out / "comparison.md", text)
    print(f"{text}\nPlots, tables and numbers (.csv, .npy) are in {out}.")


def _study(trained: Run, rates: list[int], out: Path, args: argparse.Namespace) -> list[Point]:
    """Spectra and bits of one run, drawn and saved in `out`; its points are for the comparison."""
    import torch
    from torch import nn

    from host_train.layers.binary import is_binary
    from host_train.quantisation.calibrate import calibrate
    from host_train.quantisation.fold import fold
    from host_train.runs.quantising import in_integers
    from host_train.spectrum.bits import bit_maps
    from host_train.spectrum.numbers import save_bits, save_spectra
    from host_train.spectrum.plots import plot_bits, plot_spectra
    from host_train.spectrum.study import as_planes, compare_codings, spectra
    from pynq_cnn.errors import ArgumentError
    from pynq_cnn.model import Network

    model = trained.float_model()
    assert isinstance(model, nn.Sequential)
    binary = is_binary(model)
    if not binary:
        model = fold(model)
    images = trained.calibration_batches()

    def to_integers(decoded: nn.Sequential) -> Network:
        return in_integers(trained, decoded if binary else calibrate(decoded, images, trained.std, CALIBRATION))

    title = f"{trained.recipe.name} on {trained.dataset.spec.title}, seed {trained.settings.seed}"
    if args.batch is not None and args.batch > len(trained.train):
        raise ArgumentError(f"--batch must be at most the {len(trained.train)} training images, not {args.batch}")
    batch = torch.cat([some for some, _ in trained.tensors(trained.train[: args.batch or BATCH]).batches()])
    found = spectra(model, batch)
    plot_spectra(
        found,
        out / "spectra.png",
        f"{title}: variance of the 2-D FFT coefficients (batch of {len(batch)})",
        args.corners,
    )
    save_spectra(found, out)
    shape = (trained.input.channels, trained.input.height, trained.input.width)
    bits = bit_maps(as_planes(model, shape), rates)
    if bits:
        plot_bits(bits, out / "bits.png", f"{title}: variance by frequency and bits by water-filling", args.corners)
    save_bits(bits, out)
    return compare_codings(model, to_integers, trained.input, trained.dataset.test, rates)
