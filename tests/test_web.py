"""The server of the page, asked over HTTP: answers, limits, and who is refused."""

from __future__ import annotations

import asyncio
import base64
import http.client
import io
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from virtual import NO_PYNQ, ROOT, small_network

pytest.importorskip("tornado")

from web_server import LONG, running  # noqa: E402

import pynq_cnn  # noqa: E402
from pynq_cnn.backends.reference import ReferenceBackend  # noqa: E402
from pynq_cnn.classifier import Classifier  # noqa: E402
from pynq_cnn.cli import main  # noqa: E402
from pynq_cnn.errors import ArgumentError, BackendError  # noqa: E402
from pynq_cnn.model import save_package  # noqa: E402
from pynq_cnn.web.desk import AT_ONCE, KEPT, BusyError, Desk  # noqa: E402
from pynq_cnn.web.handlers import MOST_BYTES, PAGE  # noqa: E402
from pynq_cnn.web.pictures import mosaic  # noqa: E402
from pynq_cnn.zoo import load_model, load_sample, models  # noqa: E402

IMAGES, LABELS = load_sample()
LENET = {"model": "lenet", "backend": "reference"}


def file_of(pixels: np.ndarray, format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


def drawing() -> bytes:
    """A seven in dark ink on white, larger than the network's input."""
    paper = np.full((336, 336), 255, np.uint8)
    paper[80:100, 100:240] = 20
    for row in range(100, 270):
        column = 230 - (row - 100) // 2
        paper[row, column - 10 : column + 10] = 20
    return file_of(paper)


def pixels_of(address: str) -> np.ndarray:
    """The picture that an address holds."""
    head, _, content = address.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


@pytest.fixture(scope="module")
def server():
    with running("--model", "lenet", "--backend", "reference") as server:
        yield server


class TestAnswers:
    @pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
    def test_as_classify_gives_it(self, server, format):
        content = file_of(IMAGES[7], format)
        reply = server.ask("/api/classify", LENET, content)
        expected = pynq_cnn.classify(content, backend="reference")
        answer, wanted = reply.json["answer"], expected.to_dict()
        for key in ("seconds", "run_seconds"):
            assert 0 < answer.pop(key) < LONG
            del wanted[key]
        assert reply.status == 200 and answer == wanted
        assert np.array_equal(pixels_of(reply.json["seen"]), expected.seen[:, :, 0])

    def test_a_drawing(self, server):
        reply = server.ask("/api/classify", LENET, drawing())
        assert reply.json["answer"]["label"] == "7"
        assert any("dark strokes" in step for step in reply.json["answer"]["preparation"])
        assert pixels_of(reply.json["seen"]).shape == (28, 28)

    def test_doubts_come_with_the_answer(self, server):
        two = np.full((200, 400), 255, np.uint8)
        two[40:160, 90:105] = two[40:160, 290:305] = 0
        with pytest.warns(pynq_cnn.ImageWarning):
            expected = pynq_cnn.classify(file_of(two), backend="reference").warnings
        assert expected
        assert server.ask("/api/classify", LENET, file_of(two)).json["answer"]["warnings"] == list(expected)

    @pytest.mark.parametrize("model", ["vgg_bnn_half", "nin"])
    def test_networks_of_other_pictures(self, server, model):
        network = load_model(model)
        image = network.golden.images[8]
        content = file_of(image[:, :, 0] if image.shape[2] == 1 else image)
        reply = server.ask("/api/classify", {"model": model, "backend": "reference"}, content)
        accumulators = network.golden.accumulators[8:9]
        assert reply.json["answer"]["logits"] == network.logits(accumulators)[0].tolist()

    @pytest.mark.parametrize("backend", ["auto", "cpu", "kernel", "virtual"])
    def test_every_backend_gives_the_same_logits(self, server, backend):
        if backend == "virtual" and find_spec("pynq") is None:
            pytest.skip(NO_PYNQ)
        content = file_of(IMAGES[3])
        same, other = (
            server.ask("/api/classify", {"model": "lenet", "backend": name}, content) for name in ("reference", backend)
        )
        if other.status == 503:  # not compiled here
            pytest.skip(other.json["error"])
        assert other.json["answer"]["logits"] == same.json["answer"]["logits"]

    def test_refusals_of_pictures_say_what_classify_says(self, server):
        blank = file_of(np.full((100, 100), 255, np.uint8))
        with pytest.raises(pynq_cnn.ImageError) as raised:
            pynq_cnn.classify(blank)
        reply = server.ask("/api/classify", LENET, blank)
        assert (reply.status, reply.json["refused"]) == (200, str(raised.value))

    @pytest.mark.parametrize(
        "content", [b"", b"text", file_of(IMAGES[0])[:60], b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
    )
    def test_what_is_no_picture_is_refused(self, server, content):
        assert re.search("empty|no picture|truncated", server.ask("/api/classify", LENET, content).json["refused"])
        reply = server.ask("/api/layers", LENET, content)
        assert reply.status == 422 and reply.json["error"]

    @pytest.mark.parametrize("model", ["lenet", "lenet5", "vgg_bnn_half"])
    def test_layers_are_those_of_the_reference(self, server, model):
        network = load_model(model)
        image = network.golden.images[8]
        content = file_of(image[:, :, 0] if image.shape[2] == 1 else image)
        layers = server.ask("/api/layers", {"model": model}, content).json["layers"]
        activations = ReferenceBackend(network, 1).activations(image[None])
        assert [layer["name"] for layer in layers] == [node.name for node in network.nodes]
        for layer, values in zip(layers, activations):
            assert layer["shape"] == list(values.shape[1:])
            assert (layer["low"], layer["high"]) == (values.min(), values.max())
            shown = pixels_of(layer["picture"])
            assert shown.shape[:2] == (layer["height"], layer["width"])
            assert np.array_equal(shown, np.asarray(mosaic(values[0])))

    def test_facts_of_a_network(self, server):
        facts = server.ask("/api/model", {"model": "vgg_bnn_half", "backend": "reference"}).json
        assert [facts[key] for key in ("backend", "shape", "color", "fit")] == ["reference", [32, 32, 3], "RGB", "crop"]
        assert facts["classes"][0] == "airplane" and facts["notes"] == []

    def test_choices(self, server):
        choices = server.ask("/api/choices").json
        assert [one["name"] for one in choices["models"]] == list(models())
        assert choices["models"][list(models()).index("lenet")]["accuracy"] == models()["lenet"].accuracy
        assert {one["name"] for one in choices["backends"]} == {
            "auto", "reference", "cpu", "kernel", "overlay", "virtual",
        }  # fmt: skip
        assert (choices["model"], choices["backend"], choices["most_bytes"]) == ("lenet", "reference", MOST_BYTES)

    def test_an_example_is_a_digit_of_the_sample(self, server):
        reply = server.ask("/api/example")
        pixels = np.asarray(Image.open(io.BytesIO(reply.body)))
        assert any(np.array_equal(pixels, image) for image in IMAGES)

    def test_an_execution_that_cannot_run_says_why(self, server):
        query = {"model": "lenet", "backend": "overlay"}
        with pytest.raises(BackendError) as raised:
            Classifier("lenet", "overlay")
        for reply in (server.ask("/api/model", query), server.ask("/api/classify", query, file_of(IMAGES[0]))):
            assert (reply.status, reply.json["error"]) == (503, str(raised.value))
        assert server.ask("/api/classify", LENET, file_of(IMAGES[0])).status == 200

    @pytest.mark.parametrize("model", ["../../etc", "/etc", "", "Lenet", "lenet/../lenet", "x" * 3000])
    def test_a_model_is_looked_up_and_never_opened_as_a_path(self, server, model):
        for reply in (
            server.ask("/api/model", {**LENET, "model": model}),
            server.ask("/api/classify", {**LENET, "model": model}, file_of(IMAGES[0])),
        ):
            assert reply.status == 400 and "lenet" in reply.json["error"] and len(reply.json["error"]) < 400

    def test_an_unknown_backend(self, server):
        reply = server.ask("/api/classify", {**LENET, "backend": "gpu"}, file_of(IMAGES[0]))
        assert reply.status == 400 and "'gpu'" in reply.json["error"]

    def test_a_missing_argument(self, server):
        assert server.ask("/api/model").json == {"error": "Missing argument model"}


class TestThePage:
    def test_every_part_is_there_and_comes_from_here(self, server):
        found, left = set(), ["/"]
        while left:
            path = left.pop()
            reply = server.ask(path)
            assert reply.status == 200, path
            found.add(path)
            text = reply.body.decode()
            assert not re.search(r"(https?:)?//[a-z]", text.replace("http://www.w3.org/2000/svg", "")), path
            for part in re.findall(r"""(?:src|href)="(/[^"]+)"|from "[.](/[^"]+)";""", text):
                part = part[0] or f"/page{part[1]}"
                if part not in found:
                    left.append(part)
        assert {path.name for path in PAGE.iterdir()} - {"index.html", "token.html"} == {
            path.rpartition("/")[2] for path in found if path != "/"
        }

    @pytest.mark.parametrize("path", ["/", "/page/page.css", "/page/nothing.js", "/api/choices", "/api/nothing", "/x"])
    def test_headers(self, server, path):
        for host in ("localhost", "evil.example"):
            headers = server.ask(path, headers={"Host": host}).headers
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "Server" not in headers

    @pytest.mark.parametrize("path", ["/page/../server.py", "/page/index.html", "/page/", "/page/%2e%2e/server.py"])
    def test_nothing_but_the_parts(self, server, path):
        assert server.ask(path).status == 404

    def test_there_is_nothing_else(self, server):
        reply = server.ask("/nothing")
        assert reply.status == 404 and "the page is at /" in reply.json["error"]
        assert server.ask("/api/classify", LENET).status == 405


class TestWhoMayAsk:
    PATHS = ("/", "/page/page.css", "/api/choices", "/api/example")

    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:{port}", "192.168.2.99", "", "localhost.evil.example", "[::"]
    )
    @pytest.mark.parametrize("path", PATHS)
    def test_another_name_for_this_server_is_refused(self, server, path, host):
        """A site that gives its name this machine's address (DNS rebinding)."""
        assert server.ask(path, headers={"Host": host.format(port=server.port)}).status in (400, 403)

    @pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost", "LOCALHOST:9", "[::1]:{port}", "localhost.:1"])
    def test_its_own_names(self, server, host):
        assert server.ask("/api/choices", headers={"Host": host.format(port=server.port)}).status == 200

    @pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", "file://"])
    def test_another_site_s_page_is_refused(self, server, origin):
        headers = {"Host": f"localhost:{server.port}", "Origin": origin}
        assert server.ask("/api/classify", LENET, file_of(IMAGES[0]), headers).status == 403
        assert "answer" not in server.ask("/api/classify", LENET, file_of(IMAGES[0]), headers).json

    def test_its_own_page(self, server):
        headers = {"Host": f"localhost:{server.port}", "Origin": f"http://localhost:{server.port}"}
        assert server.ask("/api/classify", LENET, file_of(IMAGES[0]), headers).status == 200


@pytest.fixture(scope="module")
def open_server():
    with running("--host", "0.0.0.0", "--backend", "reference") as server:
        yield server


class TestToken:
    @pytest.fixture
    def token(self, open_server):
        return re.search(r"/[?]token=([\w-]{24})$", open_server.url)[1]

    def test_this_machine_alone_needs_none(self, server):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", server.url)

    def test_without_it_nothing_but_the_question_for_it(self, open_server):
        front = open_server.ask("/")
        assert front.status == 403 and b'name="token"' in front.body and b"canvas" not in front.body
        assert open_server.ask("/page/page.css").status == 200
        for path in ("/api/choices", "/api/model", "/api/example"):
            reply = open_server.ask(path)
            assert reply.status == 403 and "token" in reply.json["error"]
        assert open_server.ask("/api/classify", LENET, file_of(IMAGES[0])).status == 403

    def test_a_picture_is_not_read_without_it(self, open_server):
        assert sent(open_server, f"Content-Length: {MOST_BYTES}").status == 403

    @pytest.mark.parametrize(
        "change", [str.upper, lambda token: token[:-1], lambda token: token + "a", lambda token: "ä"]
    )
    def test_a_wrong_one(self, open_server, token, change):
        reply = open_server.ask("/", {"token": change(token)})
        assert reply.status == 403 and "Set-Cookie" not in reply.headers
        headers = {"Cookie": f"pynq-cnn-{open_server.port}={change(token).encode().decode('latin-1')}"}
        assert open_server.ask("/api/choices", headers=headers).status == 403

    def test_the_right_one_becomes_a_cookie(self, open_server, token):
        reply = open_server.ask("/", {"token": token})
        assert (reply.status, reply.headers["Location"]) == (302, "/")
        cookie, *attributes = reply.headers["Set-Cookie"].split("; ")
        assert cookie == f"pynq-cnn-{open_server.port}={token}"
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(attributes)
        headers = {"Cookie": cookie}
        assert b"canvas" in open_server.ask("/", headers=headers).body
        assert open_server.ask("/api/classify", LENET, file_of(IMAGES[0]), headers).json["answer"]["label"]

    def test_names(self, open_server, token):
        headers = {"Cookie": f"pynq-cnn-{open_server.port}={token}"}
        for host in (
            "192.168.2.99",
            "[fe80::1]:80",
            socket.gethostname(),
            f"{socket.gethostname()}.local",
            "localhost",
        ):
            assert open_server.ask("/api/choices", headers={**headers, "Host": host}).status == 200
        assert open_server.ask("/api/choices", headers={**headers, "Host": "evil.example"}).status == 403

    @pytest.mark.once
    def test_every_server_has_its_own(self, open_server):
        with running("--host", "0.0.0.0", "--backend", "reference") as other:
            assert other.url.partition("token=")[2] != open_server.url.partition("token=")[2]


def sent(server, *headers: str, body: bytes = b"", wait: bool = True):
    """The reply to the head of a POST with these headers and the beginning of its body, or the open socket."""
    connection = socket.create_connection(("127.0.0.1", server.port), LONG)
    head = ["POST /api/classify?model=lenet&backend=reference HTTP/1.1", "Host: localhost", *headers, "", ""]
    connection.sendall("\r\n".join(head).encode() + body)
    if not wait:
        return connection
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.content = response.read()
    connection.close()
    return response


class TestLimits:
    def test_a_large_picture_is_refused_before_it_is_sent(self, server):
        reply = sent(server, f"Content-Length: {MOST_BYTES + 1}")
        assert reply.status == 413 and b"at most 16 MB" in reply.content

    def test_the_largest_is_taken(self, server):
        content = file_of(IMAGES[0])
        content += bytes(MOST_BYTES - len(content))
        assert server.ask("/api/classify", LENET, content).json["answer"]["label"] == str(LABELS[0])

    @pytest.mark.parametrize(
        "header", ["Transfer-Encoding: chunked", "Content-Length: many", "Content-Length: -1", "Accept: */*"]
    )
    def test_a_picture_of_unknown_size(self, server, header):
        assert sent(server, header).status in (400, 411)

    def test_other_bodies_are_small(self, server):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LONG)
        connection.request("GET", "/api/choices", headers={"Content-Length": str(2**20)})
        assert connection.getresponse().status == 400
        connection.close()

    def test_few_pictures_at_once(self, server):
        """Those that are still being sent count too."""
        slow = [sent(server, "Content-Length: 1000", "Expect: 100-continue", wait=False) for _ in range(AT_ONCE)]
        try:
            for connection in slow:
                assert b" 100 " in connection.recv(100)  # it may send the picture now
            reply = server.ask("/api/classify", LENET, file_of(IMAGES[0]))
            assert reply.status == 429
            assert f"{AT_ONCE} pictures" in reply.json["error"]
        finally:
            for connection in slow:
                connection.close()
        reply = wait_for(lambda: server.ask("/api/classify", LENET, file_of(IMAGES[0])), lambda r: r.status == 200)
        assert reply.json["answer"]["label"] == str(LABELS[0])

    def test_refused_ones_leave_the_queue(self, server):
        for _ in range(2 * AT_ONCE):
            assert server.ask("/api/classify", LENET, b"no picture").status == 200
            assert server.ask("/api/classify", {**LENET, "backend": "overlay"}, file_of(IMAGES[0])).status == 503
            assert sent(server, f"Content-Length: {MOST_BYTES + 1}").status == 413
        assert server.ask("/api/classify", LENET, file_of(IMAGES[0])).status == 200

    def test_many_at_once_are_answered_or_told_to_wait(self, server):
        replies = []
        content = file_of(IMAGES[0])

        def ask() -> None:
            replies.append(server.ask("/api/classify", LENET, content))

        threads = [threading.Thread(target=ask) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
        assert len(replies) == 30 and {reply.status for reply in replies} <= {200, 429}
        assert {reply.json["answer"]["label"] for reply in replies if reply.status == 200} == {str(LABELS[0])}


def wait_for(ask, wanted):
    """The first answer that is as wanted."""
    clock = threading.Event()
    for _ in range(200):
        answer = ask()
        if wanted(answer):
            return answer
        clock.wait(0.05)
    pytest.fail(f"never: the last was {answer}")


class TestDesk:
    """Classifiers behind the server, without one."""

    @pytest.fixture
    def opened(self):
        return []

    @pytest.fixture
    def desk(self, opened):
        @contextmanager
        def open_classifier(model, backend):
            with Classifier(model, backend, 1) as classifier:
                opened.append((model, "open"))
                yield classifier
            opened.append((model, "closed"))

        desk = Desk({name: name for name in models()}, ("reference", "overlay"), open_classifier)
        yield desk
        desk.close()

    def test_few_are_kept_open(self, desk, opened):
        async def work():
            for name in list(models())[: KEPT + 1]:
                assert await desk.run(name, "reference", lambda classifier: classifier.network.name) == name

        asyncio.run(work())
        first = next(iter(models()))
        assert [event for event in opened if event[1] == "closed"] == [(first, "closed")]
        desk.close()
        assert len(opened) == 2 * (KEPT + 1)

    def test_the_one_used_last_is_kept(self, desk, opened):
        names = list(models())

        async def work():
            for name in (*names[:KEPT], names[0], names[KEPT]):
                await desk.run(name, "reference", repr)

        asyncio.run(work())
        assert [event for event in opened if event[1] == "closed"] == [(names[1], "closed")]

    def test_one_at_a_time_on_a_classifier(self, desk):
        running = most = 0
        lock = threading.Lock()

        def work(classifier):
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            threading.Event().wait(0.01)
            with lock:
                running -= 1

        async def all_at_once():
            await asyncio.gather(*(desk.run("lenet", "reference", work) for _ in range(8)))

        asyncio.run(all_at_once())
        assert most == 1

    def test_one_in_use_is_not_closed(self, desk, opened):
        go, came = threading.Event(), threading.Event()

        def wait(classifier):
            came.set()
            go.wait(LONG)
            return classifier.predict(IMAGES[:1])

        async def work():
            slow = asyncio.ensure_future(desk.run("lenet", "reference", wait))
            await asyncio.get_running_loop().run_in_executor(None, came.wait, LONG)
            for name in [name for name in models() if name != "lenet"][: KEPT + 1]:
                await desk.run(name, "reference", repr)
            assert ("lenet", "closed") not in opened
            go.set()
            return await slow

        assert asyncio.run(work())[0] == LABELS[0]

    def test_what_could_not_be_opened_is_tried_again(self, desk, opened):
        async def work():
            for _ in range(2):
                with pytest.raises(BackendError, match="bitstream|device"):
                    await desk.run("lenet", "overlay", repr)

        asyncio.run(work())
        assert opened == []

    def test_places(self, desk):
        with pytest.raises(BusyError, match=f"{AT_ONCE} pictures"):
            places(desk, AT_ONCE + 1)
        places(desk, AT_ONCE)  # all have been given back

    @pytest.mark.parametrize("model, backend", [("no", "reference"), ("lenet", "no")])
    def test_unknown(self, desk, model, backend):
        with pytest.raises(ArgumentError, match="'no'"):
            asyncio.run(desk.run(model, backend, repr))


def places(desk: Desk, number: int) -> None:
    """Take so many places at once, and give them back."""
    if number:
        with desk.place():
            places(desk, number - 1)


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 30)).flatmap(
        lambda shape: arrays(np.int32, shape, elements=st.integers(-(2**31), 2**31 - 1))
    )
)
def test_a_mosaic_has_every_channel_once(values):
    height, width, channels = values.shape
    picture = np.asarray(mosaic(values))
    gap = int(height * width > 1)
    columns = (picture.shape[1] + gap) // (width + gap)
    assert picture.shape[0] + gap == ceil(channels / columns) * (height + gap)
    low, high = int(values.min()), int(values.max())
    shown = np.zeros(picture.shape[:2], bool)
    for channel in range(channels):
        row, column = divmod(channel, columns)
        part = np.s_[
            row * (height + gap) : row * (height + gap) + height,
            column * (width + gap) : column * (width + gap) + width,
        ]
        expected = np.rint((values[:, :, channel].astype(np.float64) - low) * 255 / max(high - low, 1))
        assert np.abs(picture[part][:, :, 0] - expected).max() <= 1
        assert (picture[part][:, :, 1] == 255).all()
        shown[part] = True
    assert (picture[~shown] == 0).all()


def suppressed(server, query, content) -> None:
    """Ask a server that ends meanwhile."""
    with suppress(OSError, http.client.HTTPException):
        server.ask("/api/classify", query, content)


class TestStartAndEnd:
    @pytest.mark.once
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_stops_it(self, number):
        with running("--backend", "reference") as server:
            assert server.stop(number) == 0
            assert "".join(server.said).endswith("stopping\n")
            with pytest.raises(ConnectionRefusedError):
                server.ask("/")

    @pytest.mark.once
    def test_open_connections_do_not_keep_it(self):
        with running("--backend", "reference") as server:
            idle = http.client.HTTPConnection("127.0.0.1", server.port)
            idle.request("GET", "/")
            idle.getresponse().read()
            half = sent(server, "Content-Length: 1000", wait=False)
            assert server.stop(signal.SIGINT) == 0
            assert "Traceback" not in "".join(server.said)
            idle.close()
            half.close()

    @pytest.mark.once
    def test_a_background_job_of_a_shell_does_not_hear_ctrl_c(self):
        script = (
            "import signal, sys; signal.signal(2, signal.SIG_IGN); from pynq_cnn.cli import main; main(sys.argv[1:])"
        )
        with running("--backend", "reference", script=script) as server:
            server.process.send_signal(signal.SIGINT)
            assert server.ask("/api/choices").status == 200
            assert server.stop() == 0

    @pytest.mark.once
    def test_it_ends_after_the_picture_that_is_worked_on(self):
        """Here one that takes the model of the hardware a while."""
        with running("--backend", "reference") as server:
            network = load_model("vgg_bnn_half")
            query = {"model": "vgg_bnn_half", "backend": "kernel"}
            if server.ask("/api/model", query).status == 503:
                pytest.skip("the kernel is not compiled here")
            content = file_of(network.golden.images[8])
            asking = threading.Thread(target=lambda: suppressed(server, query, content))
            asking.start()
            threading.Event().wait(0.2)
            assert server.stop(signal.SIGINT) == 0
            asking.join(LONG)
            assert "".join(server.said).endswith("Ctrl-C stops it.\nstopping\n")

    @pytest.mark.once
    def test_who_sends_too_slowly_is_cut_off(self):
        script = (
            "import sys; import pynq_cnn.web.server as server; server.PATIENCE = 0.5;"
            " from pynq_cnn.cli import main; sys.exit(main(sys.argv[1:]))"
        )
        with running("--backend", "reference", script=script) as server:
            slow = [sent(server, "Content-Length: 1000", body=b"x", wait=False) for _ in range(AT_ONCE)]
            for connection in slow:
                assert connection.recv(100) == b""
                connection.close()
            assert server.ask("/api/classify", LENET, file_of(IMAGES[0])).status == 200

    @pytest.mark.once
    @pytest.mark.parametrize("host", ["::1", "localhost"])
    def test_other_names_of_this_machine(self, host):
        try:  # a machine may be without IPv6, or a bare root without names
            family = socket.getaddrinfo(host, 0)[0][0]
            socket.create_server((host, 0), family=family).close()
        except OSError as error:
            pytest.skip(f"{host}: {error}")
        with running("--host", host, "--backend", "reference") as server:
            assert re.fullmatch(r"http://(localhost|\[::1\]):\d+/", server.url)
            connection = http.client.HTTPConnection(host, server.port, timeout=LONG)
            connection.request("GET", "/api/choices")
            assert connection.getresponse().status == 200
            connection.close()

    def test_the_port_is_in_use(self, server, capsys):
        assert main(["web", "--port", str(server.port)]) == 1
        error = capsys.readouterr().err
        assert f"port {server.port} of 127.0.0.1 is in use" in error and "--port" in error

    @pytest.mark.parametrize(
        "options, said",
        [
            (("--port", "65536"), "--port must be an integer from 0 to 65535, not 65536"),
            (("--port", "-1"), "--port"),
            (("--host", "203.0.113.7"), "'203.0.113.7' is no address of this machine"),
            (("--host", "no such name"), "'no such name'"),
            (("--model", "no_such_model"), "no_such_model"),
            (("--virtual", "--backend", "cpu"), "--virtual"),
        ],
    )
    def test_unusable_arguments(self, capsys, options, said):
        assert main(["web", "--port", "0", *options]) == 2
        assert said in capsys.readouterr().err

    def test_a_backend_that_cannot_run_is_known_at_the_start(self, capsys):
        assert main(["web", "--port", "0", "--backend", "overlay"]) == 1
        output = capsys.readouterr()
        assert "bitstream" in output.err and output.out == ""

    @pytest.mark.once
    def test_without_tornado(self):
        script = "import sys; sys.modules['tornado'] = None; from pynq_cnn.cli import main; sys.exit(main(['web']))"
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert "tornado" in done.stderr and "pip install 'pynq_cnn[web]'" in done.stderr

    @pytest.mark.once
    def test_a_package_of_one_s_own(self, tmp_path):
        network = small_network()
        save_package(network, tmp_path / "mine")
        with running("--model", str(tmp_path / "mine"), "--backend", "reference") as server:
            choices = server.ask("/api/choices").json
            assert (choices["models"][0], choices["model"]) == ({"name": "small"}, "small")
            image = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
            query = {"model": "small", "backend": "reference"}
            answer = server.ask("/api/classify", query, file_of(image)).json["answer"]
            assert answer["logits"] == Classifier(network, "reference").logits(image[None])[0].tolist()
            assert str(tmp_path) not in server.ask("/api/choices").body.decode()

    @pytest.mark.once
    def test_a_package_with_a_shipped_name_is_beside_that(self, tmp_path):
        save_package(load_model("lenet"), tmp_path / "mine")
        with running("--model", str(tmp_path / "mine"), "--backend", "reference") as server:
            names = [one["name"] for one in server.ask("/api/choices").json["models"]]
            assert names == ["lenet (folder)", *models()]

    @pytest.mark.once
    def test_what_the_user_of_a_board_should_know_is_on_the_page(self, tmp_path):
        """A board whose processor answers."""
        script = (
            "import sys; from pathlib import Path; import pynq_cnn.backends.host as host;"
            " host.FPGA_MANAGER = Path('/'); from pynq_cnn.cli import main; sys.exit(main(sys.argv[1:]))"
        )
        with running(script=script) as server:
            assert any(line.startswith("note: this board's CPU answers") for line in server.said)
            reply = server.ask("/api/classify", {"model": "lenet", "backend": "auto"}, file_of(IMAGES[0]))
            (note,) = reply.json["notes"]
            assert note.startswith("this board's CPU answers")

    @pytest.mark.once
    def test_a_fault_of_the_server_is_no_riddle(self):
        script = (
            "import sys; import pynq_cnn.web.handlers as handlers; handlers.load_sample = lambda: 1 / 0;"
            " from pynq_cnn.cli import main; sys.exit(main(sys.argv[1:]))"
        )
        with running("--backend", "reference", script=script) as server:
            reply = server.ask("/api/example")
            assert reply.status == 500 and "terminal" in reply.json["error"]
            server.wait_until_it_says("ZeroDivisionError")
            assert server.ask("/api/choices").status == 200


def test_help_names_it(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert re.search(r"web +serve a page for the browser", capsys.readouterr().out)


@pytest.mark.once
def test_nothing_of_all_this_is_on_the_terminal(server):
    assert "".join(server.said[-1:]) == "Ctrl-C stops it.\n"
