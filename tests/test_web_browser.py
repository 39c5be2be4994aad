"""The page in headless Chromium: as a person with a mouse, a phone, a keyboard or a screen reader meets it."""

from __future__ import annotations

import io
import re
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tornado")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

from virtual import network_of_kind  # noqa: E402
from web_server import running  # noqa: E402

from pynq_cnn.model import save_package  # noqa: E402
from pynq_cnn.web.handlers import MOST_BYTES  # noqa: E402
from pynq_cnn.zoo import load_model, load_sample  # noqa: E402

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; Debian: apt-get install chromium"),
]

IMAGES, LABELS = load_sample()
SEVEN = [(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)]  # corners, in parts of the paper
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
sync_api.expect.set_options(timeout=60_000)  # a busy machine


def film(path: Path, picture: Image.Image) -> None:
    """A film of one picture, as Chromium's stand-in for a camera plays it."""
    frame = np.asarray(picture)
    height, width = frame.shape
    grey = bytes([128]) * (width * height // 2)
    head = f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n".encode()
    path.write_bytes(head + (b"FRAME\n" + frame.tobytes() + grey) * 2)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    paper = Image.new("L", (640, 480), 230)
    digit = Image.fromarray(IMAGES[list(LABELS).index(3)]).resize((300, 300), Image.BICUBIC)
    paper.paste(20, (170, 90), digit)
    camera = tmp_path_factory.mktemp("camera") / "three.y4m"
    film(camera, paper)
    options = [
        "--no-sandbox",  # CI is root in a container
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
        f"--host-resolver-rules=MAP {socket.gethostname()} 127.0.0.1",
    ]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server():
    with running("--backend", "reference") as server:
        yield server


class Watched:
    """Pages of a test, on whose console and network an eye is kept."""

    def __init__(self, browser) -> None:
        self.browser = browser
        self.contexts, self.console, self.elsewhere = [], [], []

    def open(self, url: str, **options):
        context = self.browser.new_context(**options)
        context.set_default_timeout(60_000)
        self.contexts.append(context)
        page = context.new_page()
        own = re.match("http://[^/]+/", url)[0]
        page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        page.on(
            "request",
            lambda request: request.url.startswith((own, "data:", "blob:")) or self.elsewhere.append(request.url),
        )
        page.goto(url)
        return page

    def open_page(self, server, **options):
        """The page, ready."""
        page = self.open(server.url, **options)
        expect(page.locator("#facts")).to_contain_text("runs on")
        return page


@pytest.fixture
def watched(chromium):
    """Asserts that nothing was written on the console, and nothing fetched from elsewhere."""
    watched = Watched(chromium)
    yield watched
    for context in watched.contexts:
        context.close()
    assert watched.console == []
    assert watched.elsewhere == []


@pytest.fixture
def page(watched, server):
    return watched.open_page(server)


def corners(page, points):
    box = page.locator("#canvas").bounding_box()
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]


def draw(page, points=SEVEN):
    """By mouse, and what is on the page halfway."""
    first, *others = corners(page, points)
    page.mouse.move(*first)
    page.mouse.down()
    for point in others:
        page.mouse.move(*point, steps=8)
    page.mouse.up()


def label(page):
    return page.locator("#label")


def drop(page, content: bytes, name: str = "picture.png", kind: str = "image/png") -> None:
    """A file from the desktop, let go over the page."""
    transfer = page.evaluate_handle(
        """([bytes, name, type]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
            return transfer;
        }""",
        [list(content), name, kind],
    )
    for event in ("dragover", "drop"):
        page.locator("body").dispatch_event(event, {"dataTransfer": transfer})


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


class TestMouse:
    def test_a_digit_that_is_drawn(self, page):
        draw(page)
        expect(label(page)).to_have_text(re.compile(r"^7\d+\.\d %$"))
        expect(page.locator("#bars li")).to_have_count(10)
        expect(page.locator("#bars .best")).to_have_text(re.compile("^7"))
        expect(page.locator("#steps")).to_contain_text("dark strokes")
        expect(page.locator("#times")).to_contain_text("run on the processor, by the reference")
        assert page.locator("#seen").evaluate("image => image.naturalWidth") == 28

    def test_the_answer_is_there_while_drawing(self, page):
        first, second, _ = corners(page, SEVEN)
        page.mouse.move(*first)
        page.mouse.down()
        page.mouse.move(*second, steps=8)
        expect(label(page)).to_be_visible()
        page.mouse.up()

    def test_the_paper_does_not_move_under_the_pen(self, page):
        """Whatever comes up on the page: here a dot that is no digit, and then an answer."""
        before = page.locator("#canvas").bounding_box()
        draw(page, [(0.5, 0.5), (0.5, 0.5)])
        expect(page.locator("#nothing")).not_to_contain_text("Give a picture")
        assert page.locator("#canvas").bounding_box() == before
        draw(page)
        expect(label(page)).to_be_visible()
        assert page.locator("#canvas").bounding_box() == before

    def test_clear(self, page):
        draw(page)
        expect(label(page)).to_be_visible()
        page.get_by_role("button", name="Clear").click()
        expect(label(page)).to_be_hidden()
        expect(page.locator("#nothing")).to_contain_text("Give a picture")
        page.wait_for_timeout(300)
        expect(label(page)).to_be_hidden()

    def test_a_shipped_digit_and_then_a_drawing_on_new_paper(self, page):
        page.get_by_role("button", name="A digit of MNIST").click()
        expect(page.locator("#steps")).to_have_text("taken as it is")
        draw(page)
        expect(label(page)).to_have_text(re.compile("^7"))
        expect(page.locator("#steps")).to_contain_text("dark strokes")

    def test_layers(self, page):
        draw(page)
        expect(label(page)).to_be_visible()
        page.get_by_text("Layers", exact=True).click()
        figures = page.locator("figure img")
        expect(figures).to_have_count(6)
        assert page.locator("figure img").evaluate_all("images => images.every(image => image.naturalWidth > 0)")
        assert re.match(r"conv1: 4 of 28 x 28, 0 to \d+$", figures.first.get_attribute("alt"))
        was = figures.first.get_attribute("src")
        page.get_by_role("button", name="Clear").click()
        draw(page, [(0.5, 0.2), (0.5, 0.8)])
        expect(figures.first).not_to_have_attribute("src", was)

    def test_another_network_answers_anew(self, page):
        draw(page)
        expect(label(page)).to_be_visible()
        page.get_by_role("combobox", name="Network").select_option("convnet")
        expect(page.locator("#facts")).to_contain_text("5 layers")
        page.get_by_text("Layers", exact=True).click()
        expect(page.locator("figure")).to_have_count(5)
        expect(label(page)).to_have_text(re.compile("^7"))

    def test_the_last_choice_counts(self, watched, page):
        """Of two, where the first is answered after the second."""
        late = []
        page.context.route("**/api/model*backend=kernel*", lambda route: late.append(route))
        page.get_by_role("combobox", name="Runs on").select_option("kernel")
        page.get_by_role("combobox", name="Runs on").select_option("reference")
        expect(page.locator("#facts")).to_contain_text("runs on reference")
        late[0].fulfill(status=503, json={"error": "too late"})
        page.get_by_role("button", name="A digit of MNIST").click()
        expect(label(page)).to_be_visible()
        expect(page.get_by_role("alert")).to_be_hidden()
        expect(page.locator("#facts")).to_contain_text("runs on reference")
        watched.console.clear()

    def test_an_execution_that_cannot_run(self, watched, page):
        draw(page)
        expect(label(page)).to_be_visible()
        page.get_by_role("combobox", name="Runs on").select_option("overlay")
        expect(page.get_by_role("alert")).to_contain_text("bitstream")
        expect(label(page)).to_be_hidden()
        page.get_by_role("combobox", name="Runs on").select_option("reference")
        expect(label(page)).to_have_text(re.compile("^7"))
        expect(page.get_by_role("alert")).to_be_hidden()
        assert all("503" in line for line in watched.console)
        watched.console.clear()


class TestFiles:
    def test_a_picture_that_is_dropped(self, page):
        drop(page, png(IMAGES[7]))
        expect(label(page)).to_have_text(re.compile(f"^{LABELS[7]}"))
        expect(page.get_by_role("radio", name="File")).to_be_checked()
        expect(page.get_by_alt_text("The picture picture.png")).to_be_visible()
        assert page.get_by_label("Picture file").input_value().endswith("picture.png")

    def test_one_that_is_chosen(self, page, tmp_path):
        (tmp_path / "photo.png").write_bytes(png(IMAGES[9]))
        page.get_by_text("File", exact=True).click()
        page.get_by_label("Picture file").set_input_files(tmp_path / "photo.png")
        expect(label(page)).to_have_text(re.compile(f"^{LABELS[9]}"))

    def test_one_in_colour(self, watched, server):
        network = load_model("vgg_bnn_half")
        page = watched.open_page(server)
        page.get_by_role("combobox", name="Network").select_option("vgg_bnn_half")
        expect(page.locator("#facts")).to_contain_text("in colour")
        expect(page.get_by_role("button", name="A digit of MNIST")).to_be_hidden()
        drop(page, png(network.golden.images[8]))
        answer = network.answers(network.logits(network.golden.accumulators[8:9]))[0]
        expect(label(page)).to_contain_text(network.classes[answer])

    def test_doubts(self, page):
        two = np.full((200, 400), 255, np.uint8)
        two[40:160, 90:105] = two[40:160, 290:305] = 0
        drop(page, png(two))
        expect(page.get_by_role("list", name="Why the answer may be wrong")).to_be_visible()

    @pytest.mark.parametrize("content", [b"", b"no picture", png(np.full((50, 50), 255, np.uint8))])
    def test_no_picture_no_answer(self, page, content):
        drop(page, png(IMAGES[7]))
        expect(label(page)).to_be_visible()
        drop(page, content, "notes.txt", "text/plain")
        expect(page.locator("#nothing")).to_contain_text(re.compile("empty|no picture|no digit|nothing", re.I))
        expect(label(page)).to_be_hidden()

    def test_one_that_is_too_large_is_not_sent(self, page, tmp_path):
        (tmp_path / "large.png").write_bytes(png(IMAGES[7]) + bytes(MOST_BYTES))
        page.get_by_text("File", exact=True).click()
        sent = []
        page.on("request", lambda request: sent.append(request.url))
        page.get_by_label("Picture file").set_input_files(tmp_path / "large.png")
        expect(page.get_by_role("alert")).to_contain_text("at most 16 MB")
        assert not [url for url in sent if "classify" in url]


class TestCamera:
    def test_it_is_filmed(self, page):
        page.get_by_text("Camera", exact=True).click()
        expect(page.locator("#no-camera")).to_be_hidden()
        page.get_by_role("button", name="Start the camera").click()
        expect(label(page)).to_have_text(re.compile("^3"))
        page.get_by_role("button", name="Stop the camera").click()
        expect(page.get_by_role("button", name="Start the camera")).to_be_visible()
        expect(page.locator("#video")).to_be_hidden()

    def test_it_ends_when_another_source_is_chosen(self, page):
        page.get_by_text("Camera", exact=True).click()
        page.get_by_role("button", name="Start the camera").click()
        expect(label(page)).to_be_visible()
        page.get_by_text("Draw", exact=True).click()
        assert page.locator("#video").evaluate("video => video.srcObject") is None

    @pytest.mark.parametrize(
        ("name", "reason"),
        [("NotAllowedError", "was not allowed"), ("NotFoundError", "there is none"), ("NotReadableError", "another")]
        + [("AbortError", "as the test wants it")],
    )
    def test_a_refusal_says_why(self, page, name, reason):
        page.evaluate(
            """name => navigator.mediaDevices.getUserMedia = async () => {
                throw new DOMException("as the test wants it", name);
            }""",
            name,
        )
        page.get_by_text("Camera", exact=True).click()
        page.get_by_role("button", name="Start the camera").click()
        expect(page.get_by_role("alert")).to_contain_text(reason)
        expect(page.get_by_role("button", name="Start the camera")).to_be_enabled()

    @pytest.fixture
    def asking(self, page):
        """The page, with a browser that asks until `answer()` is called; what it gives then is in `streams`."""
        page.evaluate(
            """() => {
                const devices = navigator.mediaDevices, give = devices.getUserMedia.bind(devices);
                window.streams = [];
                devices.getUserMedia = async (wanted) => {
                    await new Promise((resolve) => (window.answer = resolve));
                    window.streams.push(await give(wanted));
                    return window.streams.at(-1);
                };
            }"""
        )
        page.get_by_text("Camera", exact=True).click()
        page.get_by_role("button", name="Start the camera").click()
        return page

    def test_it_is_asked_for_once(self, asking):
        expect(asking.get_by_role("button", name="Start the camera")).to_be_disabled()
        asking.evaluate("answer()")
        expect(asking.get_by_role("button", name="Stop the camera")).to_be_enabled()

    def test_another_source_while_the_browser_asks(self, asking):
        asking.get_by_text("Draw", exact=True).click()
        ended = asking.evaluate(  # waited for there: what Playwright would wait with, the page's own policy forbids
            """async () => {
                answer();
                for (let turn = 0; turn < 3000; turn++) {
                    if (window.streams[0]?.getTracks().every(track => track.readyState === "ended")) return true;
                    await new Promise((resolve) => setTimeout(resolve, 20));
                }
                return false;
            }"""
        )
        assert ended
        expect(label(asking)).to_be_hidden()

    def test_one_that_stops_by_itself(self, asking):
        asking.evaluate("answer()")
        expect(label(asking)).to_be_visible()
        asking.evaluate("window.streams[0].getTracks()[0].dispatchEvent(new Event('ended'))")
        expect(asking.get_by_role("alert")).to_contain_text("has stopped")
        expect(asking.get_by_role("button", name="Start the camera")).to_be_visible()

    def test_where_the_browser_gives_none_the_page_says_why(self, watched):
        """A page of another machine, over http: here this machine by its name."""
        with running("--host", "0.0.0.0", "--backend", "reference") as server:
            page = watched.open(f"http://{socket.gethostname()}:{server.port}/?token={server.url.partition('=')[2]}")
            expect(page.locator("#facts")).to_contain_text("runs on")
            page.get_by_text("Camera", exact=True).click()
            expect(page.get_by_role("button", name="Start the camera")).to_be_disabled()
            expect(page.locator("#no-camera")).to_contain_text(f"ssh -L {server.port}:localhost:{server.port}")


class TestPhone:
    @pytest.fixture
    def page(self, watched, server):
        return watched.open_page(server, **PHONE)

    def test_a_finger_draws_and_sees_the_answer(self, page):
        touch = page.context.new_cdp_session(page)
        first, *others = corners(page, SEVEN)

        def send(kind, *points):
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

        send("touchStart", first)
        last = first
        for corner in others:
            for step in np.linspace(0, 1, 8):
                send("touchMove", tuple(np.add(last, np.subtract(corner, last) * step)))
            last = corner
        send("touchEnd")
        expect(label(page)).to_have_text(re.compile("^7"))
        expect(label(page)).to_be_in_viewport()
        assert page.evaluate("scrollY") == 0

    @pytest.mark.parametrize("width", [320, 390, 700])
    def test_nothing_is_wider_than_the_screen(self, page, width):
        page.set_viewport_size({"width": width, "height": 700})
        page.get_by_role("button", name="A digit of MNIST").click()
        page.get_by_text("Layers", exact=True).click()
        expect(page.locator("figure")).to_have_count(6)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


class TestKeyboard:
    def test_everything_that_a_digit_needs(self, page):
        for stop in ("Network", "Runs on", "Draw", "Drawing area"):
            page.keyboard.press("Tab")
            expect(page.locator(":focus")).to_have_accessible_name(stop)
        expect(page.locator("#pen")).to_be_visible()
        for key, times in (("ArrowUp", 7), ("ArrowLeft", 5)):
            for _ in range(times):
                page.keyboard.press(key)
        for key, times in (("ArrowRight", 10), ("ArrowDown", 15)):
            for _ in range(times):
                page.keyboard.press(f"Shift+{key}")
        expect(label(page)).to_have_text(re.compile("^7"))
        page.keyboard.press("Delete")
        expect(label(page)).to_be_hidden()
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_accessible_name("Clear")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#steps")).to_have_text("taken as it is")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("figure")).to_have_count(6)

    def test_sources_by_arrows(self, page):
        page.get_by_role("radio", name="Draw").focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_label("Picture file")).to_be_visible()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("button", name="Start the camera")).to_be_visible()


class TestScreenReader:
    def names(self, page) -> list[tuple[str, str]]:
        """Role and name of whatever can have the focus, and of images."""
        session = page.context.new_cdp_session(page)
        found = []
        for node in session.send("Accessibility.getFullAXTree")["nodes"]:
            role = node.get("role", {}).get("value", "")
            focusable = any(p["name"] == "focusable" and p["value"]["value"] for p in node.get("properties", ()))
            if not node["ignored"] and (focusable or role == "image") and role != "RootWebArea":
                found.append((role, node.get("name", {}).get("value", "")))
        return found

    @pytest.mark.parametrize("source", ["Draw", "File", "Camera"])
    def test_every_control_and_image_has_a_name(self, page, source):
        page.get_by_role("button", name="A digit of MNIST").click()
        page.get_by_text("Layers", exact=True).click()
        expect(page.locator("figure")).to_have_count(6)
        page.get_by_text(source, exact=True).click()
        names = self.names(page)
        assert len(names) > 12
        assert [role for role, name in names if not name.strip()] == []

    def test_the_question_for_the_token(self, watched):
        with running("--host", "0.0.0.0", "--backend", "reference") as server:
            page = watched.open(f"http://localhost:{server.port}/")
            assert all(name for _, name in self.names(page))
            page.get_by_role("textbox", name="Token").fill("wrong")
            page.get_by_role("button", name="Open").click()
            expect(page.get_by_role("textbox", name="Token")).to_be_visible()
            page.get_by_role("textbox", name="Token").fill(server.url.partition("token=")[2])
            page.keyboard.press("Enter")
            expect(page.locator("#facts")).to_contain_text("runs on")
            assert page.url == f"http://localhost:{server.port}/"  # the token does not stay in it
            page.goto("about:blank")  # so that it asks nothing of a server that has ended
        assert all("403" in line or "Autofocus processing was blocked" in line for line in watched.console)
        watched.console.clear()

    def test_the_answer_is_said_when_the_pen_rests(self, page):
        draw(page)
        expect(page.get_by_role("status")).to_have_text(re.compile(r"^7, \d+\.\d %"))


class TestOtherOutputs:
    @pytest.mark.parametrize("kind, rows", [("values", 10), ("independent", 10), ("sigmoid", 2)])
    def test_are_shown(self, watched, tmp_path, kind, rows):
        save_package(network_of_kind(kind), tmp_path / kind)
        with running("--model", str(tmp_path / kind), "--backend", "reference") as server:
            page = watched.open_page(server)
            page.get_by_role("button", name="A digit of MNIST").click()
            expect(page.locator("#bars li")).to_have_count(rows)
            expect(page.locator("#bars .fill")).to_have_count(0 if kind == "values" else rows)


def test_a_server_that_has_ended(watched):
    with running("--backend", "reference") as server:
        page = watched.open_page(server)
        server.stop()
        draw(page)
        expect(page.get_by_role("alert")).to_contain_text("does not answer")
        page.close()  # and with it what it still asks
    assert all("ERR_CONNECTION" in line for line in watched.console)
    watched.console.clear()


def test_a_busy_server_is_asked_again(watched, page):
    """The first answer says that it is busy, as it does where six pictures are in it."""
    page.context.route(
        "**/api/classify*",
        lambda route: route.fulfill(status=429, json={"error": "6 pictures are being worked on"}),
        times=1,
    )
    draw(page)
    expect(label(page)).to_have_text(re.compile("^7"))
    expect(page.get_by_role("alert")).to_be_hidden()
    assert all("429" in line for line in watched.console)
    watched.console.clear()
