"""The result of a classification, and how it shows itself."""

from __future__ import annotations

import base64
import io
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from pynq_cnn.errors import ArgumentError
from pynq_cnn.model.output import softmax
from pynq_cnn.result import Classification

NASTY = ("<script>alert('x')</script>", 'a"b&amp;c', "Ä 猫 \u202e", "", "plain")


def answer(
    logits=(1.0, 3.0, -2.0, 3.0, 0.5), classes=NASTY, seen=None, color="RGB", preparation=(), warnings=()
) -> Classification:
    seen = np.arange(12, dtype=np.uint8).reshape(4, 3, 1) if seen is None else seen
    return Classification(
        np.array(logits, np.float32), tuple(classes), "kernel", 0.0125, 0.0007, seen, color, preparation, warnings
    )


class Page(HTMLParser):
    """Tags, attributes and text; fails on tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.open, self.texts, self.images = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs)["src"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_first_of_equals_wins():
    assert (answer().index, answer().label) == (1, NASTY[1])
    assert [name for name, _ in answer().top(2)] == [NASTY[1], NASTY[3]]


def test_probabilities():
    result = answer()
    assert result.probabilities.dtype == np.float64
    assert result.probabilities.sum() == pytest.approx(1)
    assert result.probability == result.probabilities[1] == pytest.approx(np.exp(3) / np.exp([1, 3, -2, 3, 0.5]).sum())


@pytest.mark.parametrize("logits", [(3e38, -3e38), (-3e38, -3e38), (0, 0), (1e-45, 0)])
def test_softmax_of_any_logits(logits):
    with np.errstate(all="raise", under="ignore"):
        probabilities = softmax(np.array(logits, np.float32))
    assert np.isfinite(probabilities).all()
    assert probabilities.sum() == pytest.approx(1)
    assert (probabilities[0] > probabilities[1]) == (logits[0] > logits[1] + 1e-40)


def test_softmax_of_a_batch():
    logits = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32)
    np.testing.assert_allclose(softmax(logits), np.stack([softmax(row) for row in logits]))


def test_top():
    result = answer()
    assert result.top(0) == []
    assert result.top(np.int64(2)) == result.top()[:2]
    assert len(result.top(99)) == 5
    assert [p for _, p in result.top(99)] == sorted(result.probabilities, reverse=True)


@pytest.mark.parametrize("k", [-1, 1.5, "2", None, True])
def test_top_of_something_else(k):
    with pytest.raises(ArgumentError, match="k must be an integer from 0, not"):
        answer().top(k)


def test_json():
    data = json.loads(json.dumps(answer().to_dict(), allow_nan=False))
    assert data["label"] == NASTY[1]
    assert data["index"] == 1
    assert data["probabilities"] == dict(zip(NASTY, answer().probabilities.tolist()))
    assert np.array_equal(np.array(data["logits"], np.float32), answer().logits)  # to the last bit
    assert (data["backend"], data["seconds"], data["probability"]) == ("kernel", 0.0125, answer().probability)
    assert (data["run_seconds"], data["preparation"], data["warnings"]) == (0.0007, [], [])


def test_what_was_done_and_what_is_in_doubt_is_shown_everywhere():
    result = answer(preparation=("turned", "cut < 3"), warnings=("it may be <b>two</b> digits",))
    data = json.loads(json.dumps(result.to_dict()))
    assert (data["preparation"], data["warnings"]) == (["turned", "cut < 3"], ["it may be <b>two</b> digits"])
    assert str(result).splitlines()[-3:] == [
        "  warning: it may be <b>two</b> digits",
        "  prepared: turned",
        "  prepared: cut < 3",
    ]
    page = Page(result._repr_html_())
    assert "turned; cut < 3" in page.texts and " it may be <b>two</b> digits" in page.texts
    assert "it may be <b>two</b> digits" in repr(result)


def test_text():
    result = answer((0, 2, 1), ("cat", "dog", "elephant"))
    assert (
        repr(result)
        == "Classification(label='dog', probability=0.6652, backend='kernel', seconds=0.0125, run_seconds=0.0007)"
    )
    assert str(result).splitlines() == [
        "dog  (kernel, 12.5 ms, of which the run 700.0 us)",
        "  dog        66.52 %  ####################",
        "  elephant   24.47 %  #######",
        "  cat         9.00 %  ###",
    ]


def test_text_of_one_class():
    assert str(answer([7], ["only"])).splitlines()[1].startswith("  only  100.00 %  ###")


def of_kind(kind, logits, classes) -> Classification:
    return Classification(
        np.array(logits, np.float32), classes, "kernel", 0.0125, 0.0007, np.zeros((4, 3, 1), np.uint8), kind=kind
    )


@pytest.mark.parametrize(("logit", "index"), [(-3.0, 0), (0.0, 0), (1e-30, 1), (3.0, 1)])
def test_one_probability(logit, index):
    """One logit, two classes: never one class at probability 1."""
    result = of_kind("sigmoid", [logit], ("bad", "good"))
    chance = 1 / (1 + np.exp(-logit))
    assert (result.index, result.label, result.labels) == (index, ("bad", "good")[index], (("bad", "good")[index],))
    assert (
        result.probabilities.tolist() == pytest.approx([1 - chance, chance])
        and result.probabilities.dtype == np.float64
    )
    assert result.probability == pytest.approx((1 - chance, chance)[index])
    assert [name for name, _ in result.top(1)] == [result.label] and len(result.top()) == 2
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert (data["kind"], data["label"], data["index"], data["values"]) == ("sigmoid", result.label, index, None)
    assert data["probabilities"] == pytest.approx({"bad": 1 - chance, "good": chance})
    for text in (str(result), repr(result), result._repr_html_()):
        assert result.label in text


def test_independent_probabilities():
    result = of_kind("independent", [3, -2, 0, 0.5], ("sea", "dog", "even", "sun"))
    assert (result.labels, result.label) == (("sea", "sun"), "sea, sun")
    assert result.probabilities.tolist() == pytest.approx([0.952574, 0.119203, 0.5, 0.622459], abs=1e-6)
    assert [name for name, _ in result.top(2)] == ["sea", "sun"]
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert (data["kind"], data["labels"], data["index"], data["probability"]) == (
        "independent",
        ["sea", "sun"],
        None,
        None,
    )
    assert str(result).splitlines()[:2] == [
        "sea, sun  (kernel, 12.5 ms, of which the run 700.0 us)",
        "  sea    95.26 %  #############################",
    ]
    assert repr(result) == "Classification(label='sea, sun', backend='kernel', seconds=0.0125, run_seconds=0.0007)"
    assert "sea, sun" in Page(result._repr_html_()).texts
    for name in ("index", "probability"):
        with pytest.raises(ArgumentError, match="gives independent probabilities .see labels and probabilities"):
            getattr(result, name)
    assert (of_kind("independent", [-1, -2], ("a", "b")).labels, of_kind("independent", [-1], ("a",)).label) == (
        (),
        "none",
    )


def test_plain_values():
    result = of_kind("values", [0.25, -1234.5], ("angle", "<speed>"))
    assert (result.label, result.labels, result.logits.tolist()) == ("angle 0.25, <speed> -1234.5", (), [0.25, -1234.5])
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert (data["values"], data["index"], data["probabilities"]) == ({"angle": 0.25, "<speed>": -1234.5}, None, None)
    assert str(
        result
    ) == "angle 0.25, <speed> -1234.5  (kernel, 12.5 ms, of which the run 700.0 us)" and "%" not in repr(result)
    page = Page(result._repr_html_())
    assert "angle 0.25, <speed> -1234.5" in page.texts and "tr" not in page.tags
    for ask in (lambda: result.index, lambda: result.probability, lambda: result.probabilities, lambda: result.top(1)):
        with pytest.raises(ArgumentError, match="plain values"):
            ask()


def test_two_probabilities_that_round_to_the_same_stay_in_the_order_of_their_logits():
    assert [name for name, _ in of_kind("independent", [50, 60, 70], ("a", "b", "c")).top(2)] == ["c", "b"]


def test_html_is_well_formed_and_shows_names_as_text():
    page = Page(answer()._repr_html_())
    assert set(page.tags) == {"div", "img", "b", "small", "table", "tr", "td"}
    for name in NASTY:
        assert name in page.texts or not name
    assert "kernel, 12.5 ms, of which the run 700.0 us" in page.texts
    assert page.texts.count(NASTY[1]) == 2  # the answer, and its row of the table


@pytest.mark.parametrize("channels, color", [(1, "L"), (3, "RGB"), (3, "BGR")])
def test_html_shows_what_the_network_saw(channels, color):
    picture = np.random.default_rng(channels).integers(0, 256, (5, 7, channels), np.uint8)
    seen = picture[:, :, ::-1] if color == "BGR" else picture
    (source,) = Page(answer(seen=seen, color=color)._repr_html_()).images
    head, data = source.split(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as shown:
        assert np.array_equal(np.array(shown).reshape(picture.shape), picture)  # a picture file is RGB


def test_it_cannot_be_changed():
    with pytest.raises(AttributeError):
        answer().backend = "overlay"
