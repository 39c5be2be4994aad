"""What a classification gives back, and how it shows itself."""

from __future__ import annotations

import base64
import io
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from pynq_cnn.errors import ArgumentError
from pynq_cnn.result import Classification, softmax

NASTY = ("<script>alert('x')</script>", 'a"b&amp;c', "Ä 猫 \u202e", "", "plain")


def answer(logits=(1.0, 3.0, -2.0, 3.0, 0.5), classes=NASTY, seen=None, color="RGB", preparation=(), warnings=()) -> Classification:
    seen = np.arange(12, dtype=np.uint8).reshape(4, 3, 1) if seen is None else seen
    return Classification(np.array(logits, np.float32), tuple(classes), "kernel", 0.0125, 0.0007, seen, color, preparation, warnings)


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
    assert str(result).splitlines()[-3:] == ["  warning: it may be <b>two</b> digits", "  prepared: turned", "  prepared: cut < 3"]
    page = Page(result._repr_html_())
    assert "turned; cut < 3" in page.texts and " it may be <b>two</b> digits" in page.texts
    assert "it may be <b>two</b> digits" in repr(result)


def test_text():
    result = answer((0, 2, 1), ("cat", "dog", "elephant"))
    assert repr(result) == "Classification(label='dog', probability=0.6652, backend='kernel', seconds=0.0125, run_seconds=0.0007)"
    assert str(result).splitlines() == [
        "dog  (kernel, 12.5 ms, of which the run 700.0 us)",
        "  dog        66.52 %  ####################",
        "  elephant   24.47 %  #######",
        "  cat         9.00 %  ###",
    ]


def test_text_of_one_class():
    assert str(answer([7], ["only"])).splitlines()[1].startswith("  only  100.00 %  ###")


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
