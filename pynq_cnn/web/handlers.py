"""The addresses of the page's server."""

from __future__ import annotations

import io
import json
import traceback
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import randrange
from types import TracebackType
from typing import Any, cast

from PIL import Image
from tornado.http1connection import HTTP1Connection
from tornado.web import Application, HTTPError, RequestHandler, StaticFileHandler, stream_request_body

from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.classifier import Classifier
from pynq_cnn.errors import ArgumentError, BackendError, ImageError, PynqCnnError
from pynq_cnn.web.desk import BusyError, Desk
from pynq_cnn.web.guard import Guard
from pynq_cnn.web.pictures import data_address, layer_pictures, png_of
from pynq_cnn.zoo import load_sample, models

PAGE = Path(__file__).parent / "page"
MOST_BYTES = 16 * 2**20  # of a picture's file
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # of the readers that Pillow has, these are for pictures

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STATUS: dict[type[PynqCnnError], int] = {ArgumentError: 400, ImageError: 422, BusyError: 429, BackendError: 503}


@dataclass
class Served:
    """The server, as every handler knows it.

    Parameters
    ----------
    desk : Desk
        The classifiers.
    guard : Guard
        Who may ask.
    model, backend : str
        Those that the page begins with.
    labels : dict
        How the page calls the executions.
    notes : list of str
        What the user should know of the board, as it comes up.
    cookie : str
        The name of the cookie with the token: cookies are for all ports of a machine.
    """

    desk: Desk
    guard: Guard
    model: str
    backend: str
    labels: dict[str, str]
    notes: list[str] = field(default_factory=list)
    cookie: str = "pynq-cnn"


class Guarded(RequestHandler):
    """Asks for nothing but a Host header of this server's."""

    served: Served

    def initialize(self, served: Served) -> None:
        self.served = served

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        if not self.served.guard.allows(self.request.headers.get("Host")):
            raise HTTPError(403, reason="this server is not called so: open it by its address or as the terminal says")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None))[1]
        message = "something went wrong in the server; its terminal says what"
        if isinstance(error, HTTPError):
            message = error.reason or error.log_message or self._reason
        elif isinstance(error, PynqCnnError):
            message = str(error)
        self.finish_json({"error": message})

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None))[1]
        for kind, status in STATUS.items():
            if isinstance(error, kind):
                status_code = status
                break
        else:
            status_code = 409 if isinstance(error, PynqCnnError) else status_code
        super().send_error(status_code, **kwargs)

    def log_exception(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, (PynqCnnError, HTTPError)):
            traceback.print_exception(kind, error, trace)

    def finish_json(self, value: Any) -> None:
        """Answer with JSON."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(value, allow_nan=False))


class Private(Guarded):
    """Asks for the token too, where there is one, and refuses the pages of other sites."""

    def prepare(self) -> None:
        super().prepare()
        if not self.knows_token():
            raise HTTPError(403, reason="open the address that the server printed: it has the token")
        if not self.served.guard.same_origin(self.request.headers.get("Origin"), self.request.headers.get("Host")):
            raise HTTPError(403, reason="only this server's own page may ask")

    def knows_token(self) -> bool:
        """Whether the cookie has the token."""
        return self.served.guard.knows(self.get_cookie(self.served.cookie))


class Front(Private):
    """The page; with a token in the address, the cookie; without either, the question for it."""

    def prepare(self) -> None:
        Guarded.prepare(self)

    def get(self) -> None:
        token = self.get_query_argument("token", "")
        if token and self.served.guard.token and self.served.guard.knows(token):
            # Lax: the address may be opened from a mail or a chat.
            self.set_cookie(self.served.cookie, token, expires_days=None, httponly=True, samesite="Lax")
            self.redirect("/")
            return
        self.set_header("Content-Type", "text/html; charset=utf-8")
        name = "index.html"
        if not self.knows_token():
            self.set_status(403)
            name = "token.html"
        self.finish((PAGE / name).read_bytes())


class Files(Guarded, StaticFileHandler):
    """The page's parts, which hold no secret: the question for the token needs its style."""

    def initialize(self, served: Served) -> None:  # type: ignore[override]
        Guarded.initialize(self, served)
        StaticFileHandler.initialize(self, str(PAGE))

    def set_extra_headers(self, path: str) -> None:
        self.set_header("Cache-Control", "no-cache")


class Choices(Private):
    """The networks and executions to choose from."""

    def get(self) -> None:
        served = self.served
        shipped = models()
        listed = []
        for name in served.desk.models:
            info = shipped.get(name)
            facts = {} if info is None else {"dataset": info.dataset, "accuracy": info.accuracy, "bytes": info.bytes}
            listed.append({"name": name, **facts})
        self.finish_json(
            {
                "models": listed,
                "backends": [{"name": name, "label": served.labels[name]} for name in served.desk.backends],
                "model": served.model,
                "backend": served.backend,
                "most_bytes": MOST_BYTES,
            }
        )


class Model(Private):
    """Facts of a network on an execution, which are opened for it."""

    async def get(self) -> None:
        with self.served.desk.place():
            facts = await self.served.desk.run(
                self.get_query_argument("model"), self.get_query_argument("backend"), self.facts
            )
        self.finish_json({**facts, "notes": self.served.notes})

    @staticmethod
    def facts(classifier: Classifier) -> dict[str, Any]:
        """The network's description for the page."""
        network = classifier.network
        return {
            "name": network.name,
            "backend": classifier.backend_name,
            "classes": list(network.classes),
            "kind": network.output.kind,
            "shape": list(network.input.shape),
            "color": network.input.color,
            "fit": network.input.fit,
            "layers": len(network.layers),
            "weights": sum(layer.weight_count for layer in network.layers),
        }


class Example(Private):
    """One of the shipped digits, as a PNG file."""

    def get(self) -> None:
        images, _ = load_sample()
        self.set_header("Content-Type", "image/png")
        self.finish(png_of(Image.fromarray(images[randrange(len(images))])))


@stream_request_body
class Picture(Private):
    """Takes a picture's file: whether it may come is decided before any of it is read."""

    def prepare(self) -> None:
        self._stack = ExitStack()
        self._parts = io.BytesIO()
        super().prepare()
        if self.request.method != "POST":
            raise HTTPError(405)
        length = self.request.headers.get("Content-Length", "")
        if not length.isdigit():
            raise HTTPError(411, reason="say how many bytes the picture has: Content-Length")
        if int(length) > MOST_BYTES:
            most = f"{MOST_BYTES // 2**20} MB"
            raise HTTPError(413, reason=f"the picture has {int(length) / 2**20:,.1f} MB, at most {most} are taken")
        self.model, self.backend = self.get_query_argument("model"), self.get_query_argument("backend", "reference")
        self.served.desk.check(self.model, self.backend)
        self._stack.enter_context(self.served.desk.place())
        cast(HTTP1Connection, self.request.connection).set_max_body_size(MOST_BYTES)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._parts.write(chunk)
        return None

    def on_finish(self) -> None:
        self._stack.close()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self._stack.close()

    async def answer(self, function: Callable[[Classifier, bytes], dict[str, Any]]) -> None:
        """JSON of a function of the classifier and the picture."""
        content = self._parts.getvalue()
        check_format(content)
        value = await self.served.desk.run(self.model, self.backend, lambda classifier: function(classifier, content))
        self.finish_json({**value, "notes": self.served.notes})


def check_format(content: bytes) -> None:
    """`ImageError` if it is no picture of a usual format: Pillow also reads programs that draw one, such as
    PostScript.
    """
    if not content:
        raise ImageError("the picture is empty (0 bytes); choose another file")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS):
            pass
    except Exception as error:  # Pillow's readers meet damaged files with a dozen types of exception
        raise ImageError(
            f"this is no picture that can be read, or it is damaged; {', '.join(FORMATS)} are taken"
        ) from error


class Classify(Picture):
    """The answer for a picture, or why it is refused: to a page that shows what is drawn, that is an answer too."""

    async def post(self) -> None:
        try:
            await self.answer(self.classified)
        except ImageError as error:
            self.finish_json({"refused": str(error), "notes": self.served.notes})

    @staticmethod
    def classified(classifier: Classifier, content: bytes) -> dict[str, Any]:
        """The answer, and the picture that the network saw."""
        result = classifier.classify(content)
        return {"answer": result.to_dict(), "seen": data_address(result.seen_png)}


class Layers(Picture):
    """Each layer's output for a picture, by the reference."""

    async def post(self) -> None:
        await self.answer(self.looked_into)

    @staticmethod
    def looked_into(classifier: Classifier, content: bytes) -> dict[str, Any]:
        """Every layer's output as a picture."""
        reference = cast(ReferenceBackend, classifier.backend)
        activations = reference.activations(classifier.prepare(content).pixels[None])
        return {"layers": layer_pictures(classifier.network, activations)}


class Nothing(Guarded):
    """There is nothing at this address."""

    def prepare(self) -> None:
        super().prepare()
        raise HTTPError(404, reason="there is nothing at this address; the page is at /")


def application(served: Served) -> Application:
    """All addresses of a server."""
    given = {"served": served}
    return Application(
        [
            ("/", Front, given),
            ("/page/([a-z]+[.](?:css|js|svg))", Files, given),
            ("/api/choices", Choices, given),
            ("/api/model", Model, given),
            ("/api/example", Example, given),
            ("/api/classify", Classify, given),
            ("/api/layers", Layers, given),
        ],
        default_handler_class=Nothing,
        default_handler_args=given,
        log_function=lambda handler: None,
    )
