"""Evaluation against scikit-learn and by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn import metrics
from virtual import network_of_kind

from host_train.data import Split
from host_train.evaluation.evaluate import evaluate, predict_integers, predict_torch
from host_train.evaluation.plot import plot_confusion
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import ArgumentError
from pynq_cnn.zoo import load_sample

CLASSES = tuple("abcdefgh")


@pytest.fixture
def case():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 8, 500)
    logits = generator.normal(0, 2, (500, 8)) + 3 * np.eye(8)[labels]
    return Split(np.zeros((500, 1, 1, 1), np.uint8), labels), logits


def test_one_probability_is_measured_as_two_classes():
    network, (images, labels) = network_of_kind("sigmoid"), load_sample()
    result = evaluate(
        predict_integers(network), Split(images[..., None], (labels == 0).astype(np.int64)), network.classes
    )
    logits = network.logits(ReferenceBackend(network).run(images[..., None]))[:, 0]
    assert result.top1 == ((logits > 0) == (labels == 0)).mean() and result.confusion.shape == (2, 2)
    assert result.loss == pytest.approx(metrics.log_loss(labels == 0, 1 / (1 + np.exp(-logits.astype(np.float64)))))


@pytest.mark.parametrize(
    ("kind", "message"), [("independent", "gives independent probabilities"), ("values", "gives plain values")]
)
def test_what_has_no_one_class_is_not_measured_as_if_it_had(kind, message):
    with pytest.raises(ArgumentError, match=f"lenet {message}, not one class for each image"):
        predict_integers(network_of_kind(kind))


def test_measures_are_scikit_learns(case):
    split, logits = case
    result = evaluate(lambda images: logits, split, CLASSES)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert result.top1 == pytest.approx(metrics.accuracy_score(split.labels, logits.argmax(1)))
    assert result.top5 == pytest.approx(metrics.top_k_accuracy_score(split.labels, logits, k=5))
    assert result.loss == pytest.approx(metrics.log_loss(split.labels, probabilities))
    assert result.per_class == pytest.approx(
        metrics.recall_score(split.labels, logits.argmax(1), average=None).tolist()
    )
    assert result.confusion.tolist() == metrics.confusion_matrix(split.labels, logits.argmax(1)).tolist()
    assert result.confusion.sum() == 500 == result.images


def test_large_logits_do_not_overflow(case):
    split, logits = case
    missing = logits.max(1) - logits[np.arange(500), split.labels]
    assert evaluate(lambda images: logits * 1e6, split, CLASSES).loss == pytest.approx(1e6 * missing.mean())


def test_ties_go_to_the_first_as_in_the_classifier():
    split = Split(np.zeros((3, 1, 1, 1), np.uint8), np.array([0, 1, 2]))
    assert evaluate(lambda images: np.zeros((3, 3)), split, ("a", "b", "c")).confusion[:, 0].tolist() == [1, 1, 1]


def test_agreement_is_of_answers_right_or_wrong(case):
    split, logits = case
    other = logits.copy()
    other[:50] = -other[:50]  # the worst answer in place of the best
    first, second = (evaluate(lambda images, values=values: values, split, CLASSES) for values in (logits, other))
    assert first.agreement(second) == second.agreement(first) == 0.9 and first.agreement(first) == 1.0


def test_a_class_without_images_is_none_in_json(case):
    split, logits = case
    without = split[split.labels != 3]
    result = evaluate(lambda images: logits[split.labels != 3], without, CLASSES)
    assert json.loads(json.dumps(result.to_json()))["per_class"]["d"] is None


def test_the_text_tells_what_was_mistaken_for_what():
    split = Split(np.zeros((4, 1, 1, 1), np.uint8), np.array([0, 0, 1, 1]))
    text = str(evaluate(lambda images: np.eye(2)[[0, 1, 1, 1]], split, ("cat", "automobile")))
    assert "top-1 75.00 % (3 of 4)" in text
    row = next(line for line in text.splitlines() if line.lstrip().startswith("cat") and "%" in line)
    assert row.split() == ["cat", "50.00", "%", "1", "1"]


def test_the_text_says_of_which_class_there_are_no_images():
    split = Split(np.zeros((2, 1, 1, 1), np.uint8), np.array([0, 0]))
    lines = str(evaluate(lambda images: np.eye(2)[[0, 1]], split, ("cat", "dog"))).splitlines()
    cat, dog = lines[-2:]
    assert dog.split() == ["dog", "no", "images", "·", "·"] and len(dog) == len(cat)


@pytest.mark.parametrize("logits", [np.zeros((500, 7)), np.zeros((499, 8)), np.full((500, 8), np.nan)])
def test_unusable_answers_are_refused(case, logits):
    with pytest.raises(ArgumentError):
        evaluate(lambda images: logits, case[0], CLASSES)


def test_no_images_are_refused():
    with pytest.raises(ArgumentError, match="no images"):
        evaluate(lambda images: images, Split(np.zeros((0, 1, 1, 1), np.uint8), np.zeros(0, np.int64)), ("a", "b"))


def test_torch_predictions_see_normalised_images_in_channel_order():
    images = np.random.default_rng(0).integers(0, 256, (1003, 2, 3, 2), np.uint8)
    predict = predict_torch(torch.nn.Flatten(), mean=(0.25, 0.5), std=(0.5, 0.2))
    expected = ((images / 255 - (0.25, 0.5)) / (0.5, 0.2)).transpose(0, 3, 1, 2).reshape(1003, -1)
    assert np.allclose(predict(images), expected, atol=1e-5)


def test_torch_predictions_may_have_pixels_or_be_squeezed():
    """As of networks that end with average pooling; the last of 101 images is a batch of its own."""
    images = np.random.default_rng(0).integers(0, 256, (101, 1, 1, 2), np.uint8)
    for model in (torch.nn.Identity(), torch.nn.Sequential(torch.nn.Flatten(0))):
        assert np.allclose(predict_torch(model, (0.0, 0.0), (1.0, 1.0))(images), images.reshape(101, 2) / 255)


def test_names_with_dollars_are_drawn_as_they_are(case, tmp_path):
    result = evaluate(lambda images: case[1], case[0], ("$x^{$", *CLASSES[1:]))
    plot_confusion(result, tmp_path / "c.png", "a $\\frac$ b")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_the_confusion_matrix_is_drawn(case, tmp_path):
    plot_confusion(evaluate(lambda images: case[1], *[case[0], CLASSES]), tmp_path / "c.png", "test")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
