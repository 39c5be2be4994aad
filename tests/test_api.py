"""`classify` and `Classifier`, on the shipped network and real digits."""

from __future__ import annotations

import dataclasses
import gc
import io
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from PIL import Image
from virtual import network_of_kind, small_images, small_network

import pynq_cnn
from pynq_cnn import api
from pynq_cnn.api import classify
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.backends.select import make_backend
from pynq_cnn.classifier import Classifier
from pynq_cnn.errors import ArgumentError, BackendError, DeviceError, ImageError, ImageWarning, ModelPackageError
from pynq_cnn.model import Dense, InputSpec, Network, OutputSpec, save_package
from pynq_cnn.result import Classification
from pynq_cnn.zoo import load_model, load_sample

IMAGES, LABELS = load_sample()
LENET = load_model("lenet")
EXPECTED = ReferenceBackend(LENET).run(IMAGES[..., None])
CPU = ("reference", "cpu", "kernel")


@pytest.fixture
def forgotten(monkeypatch) -> dict:
    """`classify` without the classifiers that it made before."""
    monkeypatch.setattr(api._kept, "classifiers", {})
    return api._kept.classifiers


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def same(answer: Classification, i: int) -> None:
    """The answer is that for image `i` of the sample, to the last bit, and the network saw its very bytes."""
    assert answer.logits.dtype == np.float32
    np.testing.assert_array_equal(answer.logits, LENET.logits(EXPECTED[i : i + 1])[0])
    np.testing.assert_array_equal(answer.seen, IMAGES[i, :, :, None])
    assert answer.index == answer.logits.argmax()
    assert answer.seconds > 0


class TestKindsOfPictures:
    """The same digit in every form gives the same answer."""

    DIGIT = IMAGES[7]
    RGB = np.stack([DIGIT] * 3, 2)
    RGBA = np.concatenate([RGB, np.full((28, 28, 1), 255, np.uint8)], 2)
    ARRAYS = {
        "grey": DIGIT,
        "grey with an axis": DIGIT[:, :, None],
        "RGB": RGB,
        "RGBA": RGBA,
        "not contiguous": np.asfortranarray(RGB),
        "read-only": np.frombuffer(DIGIT.tobytes(), np.uint8).reshape(28, 28),
        "int64": DIGIT.astype(np.int64),
    }

    @pytest.mark.parametrize("name", ARRAYS)
    def test_bytes(self, name):
        same(classify(self.ARRAYS[name]), 7)

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    @pytest.mark.parametrize("name", ["grey", "RGB", "RGBA"])
    def test_floats(self, name, dtype):
        same(classify((self.ARRAYS[name] / 255).astype(dtype)), 7)

    @pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I;16", "CMYK", "F"])
    def test_pil(self, mode):
        pixels = self.DIGIT.astype(np.uint16) * 257 if mode == "I;16" else self.DIGIT
        picture = Image.fromarray(pixels) if mode == "I;16" else Image.fromarray(pixels).convert(mode)
        same(classify(picture), 7)

    def test_files(self, tmp_path):
        for pixels in (self.DIGIT, self.RGB, self.RGBA):
            data = png(pixels)
            path = tmp_path / "Ziffer 猫.png"
            path.write_bytes(data)
            for image in (path, str(path), data, bytearray(data), memoryview(data)):
                same(classify(image), 7)

    def test_a_drawing_of_another_size(self, tmp_path):
        """Three lines to an answer, for what no test set has: dark ink on light paper, larger, off the centre."""
        page = Image.fromarray(255 - IMAGES[7]).resize((280, 280), Image.BICUBIC)
        sheet = Image.new("RGB", (600, 450), (245, 243, 235))
        sheet.paste(page, (250, 90))
        sheet.save(tmp_path / "photo.jpg", quality=90)
        result = pynq_cnn.classify(tmp_path / "photo.jpg")
        assert result.label == str(LABELS[7])
        assert result.seen.shape == (28, 28, 1)


class TestWarnings:
    TWO = 255 - np.kron(np.hstack(IMAGES[:2]), np.ones((4, 4), np.uint8))

    @pytest.mark.parametrize("through", ["classify", "Classifier.classify"])
    def test_doubts_are_raised_as_warnings_of_the_line_that_asked(self, through):
        with (
            Classifier() as classifier,
            pytest.warns(ImageWarning, match="^the picture may show more than one digit") as caught,
        ):
            answer = classify(self.TWO) if through == "classify" else classifier.classify(self.TWO)
        assert (caught[0].filename, len(caught)) == (__file__, 1)
        assert answer.warnings == (str(caught[0].message),) and answer.label in LENET.classes

    def test_in_a_list_they_say_which(self):
        with pytest.warns(ImageWarning, match="^image 1 of the list: the picture may show more than one digit"):
            first, second = classify([IMAGES[0], self.TWO])
        assert not first.warnings and second.warnings

    def test_what_is_prepared_already_is_taken(self):
        with Classifier() as classifier:
            ready = classifier.prepare(IMAGES[7])
            same(classifier.classify(ready), 7)
        with Classifier(small_network()) as other, pytest.raises(ImageError, match="prepared for.*prepare it again"):
            other.classify(ready)


class TestLists:
    def test_a_list_or_tuple(self):
        mixed = [IMAGES[0], png(IMAGES[1]), Image.fromarray(IMAGES[2]), IMAGES[3] / 255]
        for images in (mixed, tuple(mixed)):
            start = perf_counter()
            answers = classify(images)
            seconds = perf_counter() - start
            assert isinstance(answers, list)
            for i, answer in enumerate(answers):
                same(answer, i)
            assert len({answer.run_seconds for answer in answers}) == 1  # the batch's time, in equal shares
            assert all(0 < answer.run_seconds < answer.seconds for answer in answers)
            assert sum(answer.seconds for answer in answers) <= seconds

    def test_more_than_a_batch(self):
        answers = classify(list(IMAGES[:50]), backend="kernel")
        assert [answer.backend for answer in answers] == ["kernel"] * 50
        for i, answer in enumerate(answers):
            same(answer, i)

    def test_of_one_and_of_none(self):
        (answer,) = classify([IMAGES[0]])
        same(answer, 0)
        assert classify([]) == [] == classify(())

    def test_a_bad_picture_is_named(self, tmp_path):
        with pytest.raises(ImageError, match=r"^image 2 of the list: .*nothing\.png.* does not exist"):
            classify([IMAGES[0], IMAGES[1], tmp_path / "nothing.png", IMAGES[3]])
        Image.new("L", (90, 90), 255).save(tmp_path / "blank.png")
        with pytest.raises(ImageError, match=r"^image 1 of the list: '.*blank\.png': no digit was found"):
            classify([IMAGES[0], tmp_path / "blank.png"])
        with pytest.raises(ImageError, match=r"^'.*blank\.png': no digit was found"):
            classify(tmp_path / "blank.png")
        with pytest.raises(ImageError, match=r"^image 0 of the list: an image must be a path") as caught:
            classify([[IMAGES[0]]])
        assert isinstance(caught.value.__cause__, ImageError)

    def test_a_bad_picture_alone_has_no_number(self, tmp_path):
        with pytest.raises(ImageError, match=r"^'.*nothing\.png' does not exist"):
            classify(tmp_path / "nothing.png")

    @pytest.mark.parametrize(
        "image", [None, 3, {"a": 1}, b"", b"not a picture", np.zeros((4, 28, 28, 1)), np.full((28, 28), np.nan)]
    )
    def test_no_picture(self, image):
        with pytest.raises(ImageError):
            classify(image)


class TestModels:
    def test_a_folder(self, tmp_path):
        save_package(LENET, tmp_path / "mine")
        for model in (tmp_path / "mine", str(tmp_path / "mine"), LENET):
            same(classify(IMAGES[0], model=model), 0)

    def test_a_folder_may_change_between_calls(self, tmp_path):
        for classes in (tuple("abcdefghij"), tuple("ABCDEFGHIJ")):
            save_package(dataclasses.replace(LENET, classes=classes, golden=None), tmp_path)
            answer = classify(IMAGES[0], model=str(tmp_path))
            assert answer.label == classes[answer.index]

    def test_a_damaged_folder(self, tmp_path):
        with pytest.raises(ModelPackageError, match="manifest.json"):
            classify(IMAGES[0], model=tmp_path)

    def test_unknown(self):
        with pytest.raises(ArgumentError, match="'resnet' is neither a shipped network"):
            classify(IMAGES[0], model="resnet")
        with pytest.raises(ArgumentError, match="model must be"):
            classify(IMAGES[0], model=None)

    def test_of_colour(self):
        """A network of colours sees the channels in its order."""
        weight = np.zeros((3, 4 * 4 * 3), np.int8)
        weight[0, 0::3], weight[1, 1::3], weight[2, 2::3] = 1, 1, 1  # one output sums each channel
        output = OutputSpec(np.ones(3, np.float32), np.zeros(3, np.float32))
        red = Image.new("RGB", (40, 40), (255, 0, 0))
        for color, label in (("RGB", "first"), ("BGR", "third")):
            spec = InputSpec(4, 4, 3, color, (0.5,) * 3, (0.5,) * 3)
            network = Network(
                "colours", spec, (Dense("fc", weight, np.zeros(3, np.int32)),), output, ("first", "second", "third")
            )
            answer = classify(red, model=network)
            assert (answer.label, answer.logits.max(), answer.color) == (label, 16 * 255, color)


class TestBackends:
    @pytest.mark.parametrize("name", CPU)
    def test_by_name(self, name):
        answer = classify(IMAGES[0], backend=name)
        same(answer, 0)
        assert answer.backend == name

    def test_unknown(self):
        with pytest.raises(
            ArgumentError, match="backend must be one of auto, overlay, cpu, kernel, reference, not 'gpu'"
        ):
            classify(IMAGES[0], backend="gpu")
        with pytest.raises(ArgumentError, match="backend must be one of"):
            Classifier(backend="gpu")

    def test_on_a_virtual_board(self, board):
        with Classifier(batch=16, bitfile=board.bitfile, device=board.device) as classifier:
            assert classifier.backend_name == "overlay"
            for i, answer in enumerate(classifier.classify(list(IMAGES[:20]))):
                same(answer, i)
                assert answer.backend == "overlay"
            np.testing.assert_array_equal(classifier.accumulators(IMAGES[:100]), EXPECTED[:100])

    @pytest.mark.once
    @pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files as Linux lists them")
    @pytest.mark.parametrize("name", [*CPU, "overlay"])
    def test_many_classifiers(self, request, name):
        """At once and one after another, closed and forgotten, they answer alike and leave no file, thread or
        contiguous memory behind.
        """
        network, images = small_network(), small_images(5)
        options, used = {"backend": name, "batch": 2}, lambda: 0
        if name == "overlay":
            board = request.getfixturevalue("board")
            options |= {"bitfile": board.bitfile, "device": board.device}
            used = lambda: board.memory.used  # noqa: E731
        expected = ReferenceBackend(network).run(images)

        def answer(classifier: Classifier) -> Classifier:
            np.testing.assert_array_equal(classifier.accumulators(images), expected)
            return classifier

        def held() -> tuple[int, int, int]:
            gc.collect()
            return len(os.listdir("/proc/self/fd")), threading.active_count(), used()

        answer(Classifier(network, **options)).close()
        before = held()
        for _ in range(3):
            answer(Classifier(network, **options)).close()
            answer(Classifier(network, **options))
        assert held() == before
        several = [answer(Classifier(network, **options)) for _ in range(50)]
        for classifier in several:
            answer(classifier)
        for classifier in several[:25]:
            classifier.close()
        del classifier, several
        assert held() == before
        with ThreadPoolExecutor(8) as pool:
            for classifier in pool.map(lambda _: answer(Classifier(network, **options)), range(16)):
                classifier.close()
        del classifier
        assert held() == before

    def test_a_board_that_fails(self, board):
        """The caller gets to know, and the next call is well again."""
        with Classifier(batch=16, bitfile=board.bitfile, device=board.device) as classifier:
            board.faults.bus_error = True
            with pytest.raises(DeviceError, match="bus error"):
                classifier.classify(IMAGES[0])
            board.faults.bus_error = False
            same(classifier.classify(IMAGES[0]), 0)


class TestClassifyKeepsItsClassifiers:
    def test_one_for_each_network_and_backend(self, forgotten):
        for backend in ("reference", "kernel", "reference"):
            classify(IMAGES[0], backend=backend)
        assert set(forgotten) == {("lenet", "reference", None), ("lenet", "kernel", None)}
        first = forgotten["lenet", "kernel", None]
        classify(IMAGES[1], backend="kernel")
        assert forgotten["lenet", "kernel", None] is first

    def test_not_for_folders_networks_and_failures(self, forgotten, tmp_path):
        save_package(LENET, tmp_path)
        classify(IMAGES[0], model=LENET)
        classify(IMAGES[0], model=tmp_path)
        classify(IMAGES[0], model=str(tmp_path))
        with pytest.raises(ArgumentError):
            classify(IMAGES[0], model="resnet")
        assert forgotten == {}

    def test_one_for_all_threads(self, forgotten, monkeypatch):
        made = []
        monkeypatch.setattr(
            "pynq_cnn.classifier.make_backend",
            lambda *args, **options: made.append(args[1]) or make_backend(*args, **options),
        )
        start = threading.Barrier(8)

        def work(i: int) -> Classification:
            start.wait()
            return classify(IMAGES[i], backend="kernel")

        with ThreadPoolExecutor(8) as pool:
            for i, answer in enumerate(pool.map(work, range(8))):
                same(answer, i)
        assert made == ["kernel"]


@pytest.mark.parametrize("backend", CPU)
class TestArrays:
    """NumPy in, NumPy out."""

    def test_shapes_and_types(self, backend):
        with Classifier(backend=backend, batch=7) as classifier:
            for images in (IMAGES[:20], IMAGES[:20, :, :, None]):
                accumulators, logits, classes = (
                    classifier.accumulators(images),
                    classifier.logits(images),
                    classifier.predict(images),
                )
                assert (accumulators.dtype, accumulators.shape) == (np.int32, (20, 10))
                assert (logits.dtype, logits.shape) == (np.float32, (20, 10))
                assert (classes.dtype, classes.shape) == (np.int64, (20,))
                np.testing.assert_array_equal(accumulators, EXPECTED[:20])
                np.testing.assert_array_equal(logits, LENET.logits(EXPECTED[:20]))
                np.testing.assert_array_equal(classes, logits.argmax(1))

    def test_of_nothing(self, backend):
        with Classifier(backend=backend) as classifier:
            assert classifier.accumulators(IMAGES[:0]).shape == (0, 10)
            assert classifier.predict(IMAGES[:0]).shape == (0,)

    @pytest.mark.once
    @pytest.mark.parametrize("kind", ["sigmoid", "independent", "values"])
    def test_every_kind_of_output(self, backend, kind):
        network = network_of_kind(kind)
        wanted = LENET.logits(EXPECTED)[:, : network.output.outputs]
        with Classifier(network, backend) as classifier:
            predicted, answers = classifier.predict(IMAGES), classifier.classify(list(IMAGES[:3]))
        assert all(
            answer.kind == kind and answer.logits.tolist() == row.tolist() for answer, row in zip(answers, wanted)
        )
        if kind == "sigmoid":
            assert predicted.dtype == np.int64 and predicted.tolist() == (wanted[:, 0] > 0).tolist()
            assert [answer.index for answer in answers] == predicted[:3].tolist() and set(predicted.tolist()) == {0, 1}
        elif kind == "independent":
            assert predicted.dtype == bool and np.array_equal(predicted, wanted > 0)
        else:
            assert predicted.dtype == np.float32 and np.array_equal(predicted, wanted)

    @pytest.mark.parametrize("batch", [1, 3, 64, 100])
    def test_batches_change_nothing(self, backend, batch):
        with Classifier(backend=backend, batch=batch) as classifier:
            np.testing.assert_array_equal(classifier.accumulators(IMAGES[:100]), EXPECTED[:100])

    def test_not_contiguous(self, backend):
        with Classifier(backend=backend) as classifier:
            np.testing.assert_array_equal(classifier.accumulators(IMAGES[::-3]), EXPECTED[::-3])

    @pytest.mark.parametrize(
        "images",
        [
            IMAGES[0],
            IMAGES / 255,
            IMAGES[:, :27],
            IMAGES[..., None, None],
            IMAGES.astype(np.int8),
            list(IMAGES[:2]),
            None,
            np.zeros((2, 28, 28, 3), np.uint8),
        ],
        ids=["one image", "floats", "another size", "five axes", "int8", "list", "None", "RGB"],
    )
    def test_unusable(self, backend, images):
        with Classifier(backend=backend) as classifier:
            for method in (classifier.accumulators, classifier.logits, classifier.predict):
                with pytest.raises(ArgumentError, match=r"lenet takes images as a uint8 array \[n, 28, 28, 1\], not"):
                    method(images)

    def test_results_stay_as_they_are(self, backend):
        """They are no views of a buffer that the next call overwrites."""
        with Classifier(backend=backend, batch=4) as classifier:
            first = classifier.accumulators(IMAGES[:4])
            classifier.accumulators(IMAGES[4:8])
        np.testing.assert_array_equal(first, EXPECTED[:4])

    def test_threads(self, backend):
        with Classifier(backend=backend, batch=5) as classifier, ThreadPoolExecutor(4) as pool:
            parts = np.split(np.arange(200), 10)
            for part, accumulators in zip(parts, pool.map(lambda part: classifier.accumulators(IMAGES[part]), parts)):
                np.testing.assert_array_equal(accumulators, EXPECTED[part])

    def test_after_close(self, backend):
        classifier = Classifier(backend=backend)
        classifier.close()
        classifier.close()
        for use in (
            classifier.classify,
            lambda image: classifier.predict(image[None]),
            lambda _: classifier.throughput_test(1),
        ):
            with pytest.raises(BackendError, match=f"this {backend} backend is closed"):
                use(IMAGES[0])


def test_accuracy_on_the_sample():
    with Classifier() as classifier:
        assert (classifier.predict(IMAGES) == LABELS).mean() >= 0.97


def test_a_small_network_of_ones_own():
    network = small_network()
    with Classifier(network, "kernel", batch=2) as classifier:
        images = small_images(5)
        np.testing.assert_array_equal(classifier.accumulators(images[..., 0]), ReferenceBackend(network).run(images))
        assert repr(classifier) == "Classifier('small', backend='kernel', batch=2)"


@pytest.mark.parametrize("batch", [0, 65536, "64", None])
def test_unusable_batch(batch):
    with pytest.raises(ArgumentError, match="batch must be an integer from 1 to 65535"):
        Classifier(batch=batch)


class TestThroughput:
    @pytest.mark.parametrize(
        ("backend", "steps"),
        [("reference", {"run", "logits"}), ("cpu", {"run", "logits"}), ("kernel", {"pack", "run", "unpack", "logits"})],
    )
    def test_report(self, backend, steps):
        with Classifier(backend=backend, batch=16) as classifier:
            report = classifier.throughput_test(np.int64(40))
        assert (report.backend, report.images, set(report.steps)) == (backend, 40, steps)
        assert report.images_per_second == 40 / report.seconds
        assert min(report.steps.values()) >= 0
        assert sum(report.steps.values()) <= report.seconds
        assert json.loads(json.dumps(report.to_dict(), allow_nan=False)) == report.to_dict()
        assert (
            str(report).startswith(f"{backend}: ")
            and "images/s over 40 images" in str(report)
            and "logits" in str(report)
        )

    def test_on_a_virtual_board(self, board):
        with Classifier(batch=16, bitfile=board.bitfile, device=board.device) as classifier:
            report = classifier.throughput_test(20)
        assert set(report.steps) == {"pack", "flush", "run", "invalidate", "unpack", "logits"}
        assert 0 < sum(report.steps.values()) <= report.seconds

    @pytest.mark.parametrize("images", [0, -1, 1.5, "10", None, True])
    def test_unusable(self, images):
        with Classifier() as classifier, pytest.raises(ArgumentError, match="images must be an integer from 1, not"):
            classifier.throughput_test(images)
