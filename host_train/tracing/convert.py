"""`from_torch`: a model of the user's own, in integers."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from host_train.layers.binary import is_binary
from host_train.quantisation.calibrate import METHODS
from host_train.quantisation.golden import with_golden
from host_train.reason import reason_of
from host_train.tracing.attempts import BATCH, Conversion, Target, closest
from host_train.tracing.brought import model_in
from host_train.tracing.calibration import normalise, read_calibration
from host_train.tracing.doubts import check_images, doubts
from host_train.tracing.evaluating import evaluating
from host_train.tracing.fidelity import MIN_AGREEMENT, check_agreement, check_min_agreement, partings
from host_train.tracing.kind import check_kind, output_kind
from host_train.tracing.recording import held
from host_train.tracing.trace import Traced, trace
from pynq_cnn.checks import integer
from pynq_cnn.compiler import compile_network
from pynq_cnn.errors import ArgumentError, CompileError, NetworkError
from pynq_cnn.model import InputSpec, Network, save_package

FINE_TUNE_EPOCHS = 3


def from_torch(
    model: nn.Module,
    calibration_data: Any,
    *,
    name: str,
    spec: InputSpec | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    classes: Sequence[str] | None = None,
    output: str | None = None,
    method: str = "auto",
    shared: bool = False,
    fine_tune: Iterable[Any] | None = None,
    fine_tune_epochs: int = FINE_TUNE_EPOCHS,
    images: int = 1024,
    min_agreement: float = MIN_AGREEMENT,
    metadata: dict[str, Any] | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Network:
    """A trained model in integers, for any backend.

    The model is traced (`host_train.tracing.trace`), folded, calibrated and put in integers
    (docs/contract/numerics.md, section 9); binary layers (`host_train.layers.binary`) become bits. It is tried as it is
    and with channels equalised across layers (`host_train.quantisation.equalise`), both with corrected biases
    (`host_train.quantisation.correct`), and what is closest to the model is taken.

    Weights that are 0, by pruning or otherwise, stay exactly 0. With `shared`, weights that are equal stay equal within
    their layer. (Otherwise each output channel has a scale of its own, and equalisation multiplies weights by input
    channel. Batch norm, which differs by output channel, and in the first layer `1 / std`, which may differ by input
    channel, multiply weights in any case.)

    Parameters
    ----------
    model : torch.nn.Module
        Trained, float32; it is converted as it behaves in evaluation mode, and not changed.
    calibration_data : torch.Tensor, numpy.ndarray or iterable of batches
        Training images: normalised float [n, channels, height, width] as the model takes them, or uint8 (NumPy [n,
        height, width, channels], tensors [n, channels, height, width]), or an iterable of batches, with or without
        labels, such as a DataLoader.
    name : str
        The network's.
    spec : InputSpec, optional
        Its input: size, colour, mean and std of the normalisation, how pictures are fitted. Without it, the size is
        that of the images, whose channels are grey if there is 1 and RGB if there are 3; 2 and 4 are plain channels,
        for arrays only, as nothing says whether one is alpha: an `InputSpec` does, with "LA" or "RGBA".
    mean, std : float or sequence of float, optional
        The normalisation `(image - mean) / std` of images in 0..1, per channel, where no `spec` is given; 0 and 1 if
        not given.
    classes : sequence of str, optional
        Names of the outputs; numbers if not given. Of one probability two names, the first for a probability near 0.
    output : {"softmax", "sigmoid", "independent", "values"}, optional
        Kind of the outputs (`pynq_cnn.model.OutputSpec`). A Softmax, LogSoftmax or Sigmoid at the end says it too, and
        is left to the host; otherwise two or more outputs are classes by softmax. One output without either, and
        without two names in `classes`, is refused.
    method : {"auto", "max", "percentile", "mse"}
        How activations are scaled; "auto" takes the one that most often chooses the model's class, and where the others
        do so less often by no more than chance (one standard error, or one image), that of the closest logits. Of no
        concern to a binary network.
    shared : bool
        For pruned and weight-shared models: one scale for all weights of a layer, and weights kept as codebook and
        stream in the package (docs/contract/model-package.md, "Shared weights"). Of no concern to a binary network.
    fine_tune : iterable of batches, optional
        Training images, in the forms of `calibration_data` and with or without labels, which are not looked at: the
        weights are trained on the integers' grids to answer as the model does, and taken if that brings them closer to
        it. Gone through once each epoch. Of no concern to a binary network.
    fine_tune_epochs : int
        How many times.
    images : int
        How many calibration images to use at most.
    min_agreement : float
        Least `agreement` of integers and model on them (`host_train.tracing.fidelity.agreement`), 0 to 1; 0 takes any
        network.
    metadata : dict, optional
        For the package.
    folder : path, optional
        Where to write the model package.

    Returns
    -------
    Network
        With golden vectors; `metadata["conversion"]` says how close its logits are to the model's (`Fidelity`), how it
        was made (`"method"`), and what each layer keeps (`"signal_to_noise"`, in decibels).

    Raises
    ------
    NetworkError
        If the model cannot be mapped: names the first operation that cannot, with its source line, and what to use
        instead. If its integers agree with it less than `min_agreement`: names the layer in which they part.
    ArgumentError
        If another argument is unusable, calibration images are all of one colour, or `output` is needed or contradicts
        the model.

    Warns
    -----
    UserWarning
        If the model has layers that it does not use, or the network does not fit the accelerator, so that only the
        CPU runs it. If the calibration images look like noise, are far from `mean` and `std`, or all get one
        answer; this is then in `metadata["conversion"]["doubts"]` too. (Binary networks do not depend on them.)

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3))
    >>> pictures = torch.nn.functional.interpolate(torch.rand(50, 1, 4, 4), 8)
    >>> network = from_torch(model, pictures, name="mine", classes=["a", "b", "c"])
    >>> [layer.name for layer in network.layers], network.metadata["conversion"]["agreement"] > 0.9
    (['0', '2', '4'], True)
    """
    model = held(model_in(model))
    _check(model, spec, method, images, metadata, folder)
    integer("fine_tune_epochs", fine_tune_epochs, 1)
    check_kind(output)
    check_min_agreement(min_agreement)
    spec, octets, inputs = read_calibration(calibration_data, spec, mean, std, images)
    check_images(octets)
    device = _device(model)
    traced = trace(model, inputs[:1].repeat(2, 1, 1, 1).to(device))
    with evaluating(model), _exact_products():
        theirs = _run(model, inputs, device)
    logits = _run(traced.layers, inputs, torch.device("cpu"))
    _check_trace(model, traced, logits, theirs)
    _warn_unused(model, traced)
    given = _names(classes)
    kind = output_kind(output, traced.ending, logits.shape[1], given, type(model).__name__)
    names = _checked_names(given, 2 if kind == "sigmoid" else logits.shape[1], kind)
    target = Target(name, spec, names, kind)
    binary = is_binary(traced.layers)
    if binary:  # what the model gives for the very bytes, the integers must give too
        planar = torch.from_numpy(octets.transpose(0, 3, 1, 2).copy())
        logits = _run(traced.layers, normalise(planar, spec), torch.device("cpu"))
    conversion = Conversion(target, octets, inputs, logits.numpy())
    try:
        if binary:
            found = conversion.binary(traced.layers)
        else:
            methods = METHODS if method == "auto" else [method]
            found = closest(conversion.bytes(traced.layers, methods, shared), min_agreement)
    except NetworkError as error:
        raise traced.located(error) from error
    if binary:
        _check_exact(type(model).__name__, found.network, found.logits, logits.numpy())
    elif fine_tune is not None:
        found = closest([found, conversion.fine_tuned(found, fine_tune, fine_tune_epochs)], min_agreement)
    parting = cache(lambda: [] if found.folded is None else partings(found.folded, found.network, octets))
    what = f"the {len(octets)} calibration images"
    check_agreement(found.fidelity.agreement, min_agreement, what, kind, parting, traced.places)
    doubtful = [] if binary else doubts(octets, spec, logits.numpy(), kind)
    for doubt in doubtful:
        warnings.warn(doubt, stacklevel=2)
    about = {
        "source": type(model).__name__,
        "torch": str(torch.__version__),
        "method": found.label,
        **asdict(found.fidelity),
        "signal_to_noise": {one.name: round(one.decibels, 1) for one in parting()},
        "doubts": doubtful,
    }
    network = with_golden(replace(found.network, metadata={**(metadata or {}), "conversion": about}), octets)
    if folder is not None:
        save_package(network, folder)
    _warn_unfit(network)
    return network


def _check(model: nn.Module, spec: Any, method: Any, images: Any, metadata: Any, folder: Any) -> None:
    if method not in ("auto", *METHODS):
        raise ArgumentError(f"method must be one of auto, {', '.join(METHODS)}, not {method!r}")
    integer("images", images, 1)
    if spec is not None and not isinstance(spec, InputSpec):
        raise ArgumentError(f"spec must be a pynq_cnn.model.InputSpec, not {spec!r:.60}")
    if metadata is not None and not isinstance(metadata, dict):
        raise ArgumentError(f"metadata must be a dict of JSON values, not {metadata!r:.60}")
    if folder is not None and not isinstance(folder, (str, os.PathLike)):
        raise ArgumentError(f"folder must be a path, not {folder!r:.60}")
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if is_lazy(tensor):
            raise NetworkError(f"{name} has no shape yet; load the weights, or run the model once on an image")
        if tensor.is_complex() or (tensor.is_floating_point() and tensor.dtype != torch.float32):
            raise NetworkError(f"{name} is {tensor.dtype}; convert the model first: model.float()")
        if tensor.is_meta:
            raise NetworkError(
                f"{name} is on the meta device and has no values; make the model on the cpu, and load its weights"
            )


def _names(classes: Any) -> list[str] | None:
    """The names of classes that are given."""
    if classes is None:
        return None
    if not isinstance(classes, Iterable) or isinstance(classes, (dict, set, bytes)):
        raise ArgumentError(
            f"classes must be strings, one for each output of the model in their order, not {classes!r:.60}"
        )
    return [str(one) for one in classes]


def _checked_names(given: list[str] | None, count: int, kind: str) -> list[str]:
    """Names of all classes; numbers if none are given."""
    if given is None:
        return [str(i) for i in range(count)]
    if len(given) != count:
        which = (
            "first for a probability near 0, then for one near 1"
            if kind == "sigmoid"
            else "one for each output of the model in their order"
        )
        raise ArgumentError(f"classes must be {count} strings, {which}, not {given!r:.60}")
    return given


def _device(model: nn.Module) -> torch.device:
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


@contextmanager
def _exact_products() -> Iterator[None]:
    """float32 products on GPUs too, which may round them to TensorFloat-32: that error would be taken for another
    network.
    """
    precision, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32 = convolutions


def _run(model: nn.Module, inputs: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Outputs of `model`, [n, classes] on the CPU."""
    with torch.no_grad():
        try:
            return torch.cat([model(batch.to(device)).cpu().reshape(len(batch), -1) for batch in inputs.split(BATCH)])
        except Exception as error:  # whatever the user's code raises: it took the two images that it was traced with
            raise NetworkError(
                f"{type(model).__name__} does not take a batch of any size: {reason_of(error)}; use x.flatten(1), not a"
                " size"
            ) from error


def _check_trace(model: nn.Module, traced: Traced, logits: torch.Tensor, theirs: torch.Tensor) -> None:
    """Compare what was traced with the model itself."""
    with torch.no_grad():
        ours = traced.ending(logits)
    name = type(model).__name__
    if not torch.isfinite(theirs).all():
        raise NetworkError(
            f"{name} gives NaN or infinity on the calibration images; it has not been trained to finite weights"
        )
    if ours.shape != theirs.shape or not torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max())):
        raise NetworkError(
            f"{name} gives something else than the layers that were found in it; it has a hook that changes values, a"
            " layer of its own kind that computes otherwise, or draws random numbers in evaluation mode; put what is"
            " computed into forward"
        )


def _check_exact(name: str, network: Network, integer: np.ndarray, real: np.ndarray) -> None:
    """Bits are no approximation: refuse logits [n, classes] that stand for other accumulators than the model's."""
    error = np.abs(integer - real)
    rounding = 1e-6 * np.abs(real).max()
    wrong = (error > network.output.scale / 2 + rounding).any(1)
    if wrong.any():
        raise NetworkError(
            f"{name} gives other logits in PyTorch than in bits, on {wrong.sum()} of {len(wrong)} calibration images by"
            f" up to {error.max():.3g}; its sums are rounded in float32: use input_step=1/128 with mean and std 128/255"
        )


def _warn_unused(model: nn.Module, traced: Traced) -> None:
    """Say which layers with weights the model never calls."""
    if traced.unused:
        warnings.warn(f"{type(model).__name__} does not use {', '.join(traced.unused)}; not converted", stacklevel=3)


def _warn_unfit(network: Network) -> None:
    """Say that the accelerator cannot run a network, and why."""
    try:
        compile_network(network, capacity=1)
    except CompileError as error:
        warnings.warn(
            f"{network.name} does not fit the accelerator, so that it runs on the CPU only: {error}", stacklevel=3
        )
