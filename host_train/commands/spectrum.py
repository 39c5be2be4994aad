"""`spectrum`: where a trained network's variance lies in frequency, and what keeping its weights at few bits costs."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from host_train.commands.options import add_data_dir, add_threads, set_threads

BATCH = 512
CALIBRATION = "mse"  # of the activations, the same for every point of the comparison


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("spectrum", help="frequency-domain study of a run", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="RUN", help="folder of the run, such as runs/lenet")
    parser.add_argument("--rates", default="1,2,3,4,6,8", metavar="BITS", help="bits per weight, separated by commas (1,2,3,4,6,8)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where plots and figures go (default: RUN/spectrum)")
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    import torch
    from torch import nn

    from host_train.quantisation.bits import is_binary
    from host_train.quantisation.calibrate import calibrate
    from host_train.quantisation.fold import fold
    from host_train.run import Run
    from host_train.spectrum.plots import plot_comparison, plot_spectra
    from host_train.spectrum.study import check_rates, compare, spectra
    from host_train.training.checkpoint import write_text
    from pynq_cnn.errors import ArgumentError
    from pynq_cnn.model import Network

    set_threads(args.threads)
    try:
        rates = [int(rate) for rate in args.rates.split(",")]
    except ValueError:
        raise ArgumentError(f"--rates must be whole numbers separated by commas, not {args.rates!r}") from None
    check_rates(rates)
    trained = Run.open(args.folder, args.data_dir)
    model, form, out = trained.float_model(), "bits", args.out or args.folder / "spectrum"
    assert isinstance(model, nn.Sequential)
    if not is_binary(model):
        form, model = "int8", fold(model)
    images = trained.calibration_batches()

    def integers(decoded: nn.Sequential) -> Network:
        return trained.integers(decoded if form == "bits" else calibrate(decoded, images, trained.std, CALIBRATION))

    title = f"{trained.recipe.name} on {trained.dataset.spec.title}"
    batch = torch.cat(images)[:BATCH]
    plot_spectra(spectra(model, batch), out / "spectra.png", f"{title}: variance of the 2-D FFT coefficients (batch of {len(batch)})")
    points = compare(model, integers, trained.input, trained.dataset.test, rates)
    plot_comparison(points, out / "comparison.png", f"{title}: weights kept at few bits, run as {form} on the test set")
    write_text(out / "comparison.json", json.dumps([asdict(point) for point in points], indent=1))
    print(f"{title}: integer accuracy on the {len(trained.dataset.test)} test images\n")
    print(f"{'bits':>4}  {'method':<24} {'stored bytes':>12} {'weight error':>13} {'logit error':>12} {'top-1':>9}")
    for point in points:
        print(
            f"{point.rate:>4}  {point.method:<24} {point.stored_bits / 8:>12,.0f} {point.weight_error:>13.2e} "
            f"{point.logit_error:>12.2e} {100 * point.top1:>7.2f} %"
        )
    print(f"\nPlots and figures are in {out}.")
