"""The backends of this machine give what is stored, and what comes with the package is whole."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import pynq_cnn
from pynq_cnn.cli import main
from pynq_cnn.cli.common import EXECUTIONS
from pynq_cnn.zoo import load_model, load_sample

HERE = Path(pynq_cnn.__file__).parent


@pytest.fixture(scope="module")
def report() -> dict[str, tuple[str, str]]:
    """The lines of `pynq-cnn selftest` on each execution: passed, failed or skipped, and why."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        main(["selftest", "--json"])
    return {row["backend"]: (row["result"], row["why"]) for row in json.loads(printed.getvalue())["backends"]}


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_stored_images_give_the_stored_sums(report: dict[str, tuple[str, str]], execution: str) -> None:
    result, why = report[EXECUTIONS[execution]]
    if result == "skipped":
        pytest.skip(why)
    assert result == "passed", why


@pytest.mark.parametrize("name", sorted(pynq_cnn.models()))
def test_a_shipped_network_is_whole(name: str) -> None:
    """Its files are those of its manifest, and an image of its own gives the sums that are stored."""
    network = load_model(name)
    golden = network.golden
    assert golden is not None
    with pynq_cnn.Classifier(network, backend="auto", batch=1) as classifier:
        assert np.array_equal(classifier.accumulators(golden.images[:1]), golden.accumulators[:1])


def test_real_digits() -> None:
    images, labels = load_sample()
    with pynq_cnn.Classifier("lenet", backend="auto") as classifier:
        assert (classifier.predict(images) == labels).mean() > 0.97


def test_a_picture_from_a_file(tmp_path: Path) -> None:
    picture = Image.new("L", (200, 200), 255)
    ImageDraw.Draw(picture).line([(60, 50), (140, 50), (90, 160)], fill=0, width=12)
    picture.save(tmp_path / "seven.png")
    answer = pynq_cnn.classify(tmp_path / "seven.png", backend="reference")
    assert answer.label == "7"


def test_a_wrong_call_is_told() -> None:
    with pytest.raises(pynq_cnn.PynqCnnError, match="backend must be one of"):
        pynq_cnn.classify(np.zeros((28, 28), np.uint8), backend="gpu")


def test_what_comes_with_it() -> None:
    assert (HERE / "py.typed").is_file()
    for folder, pattern in (("overlays", "*.hwh"), ("notebooks", "*.ipynb"), ("samples", "*.npz")):
        # In a source folder overlays and notebooks lie beside the package.
        places = [HERE / folder, HERE.parent / folder]
        assert any(list(place.glob(pattern)) for place in places), f"{folder} has no {pattern}"
