"""`web`: serve a page for the browser, to draw, drop or film a picture and see what the network makes of it."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AbstractContextManager

from pynq_cnn.checks import integer
from pynq_cnn.classifier import Classifier
from pynq_cnn.cli.common import EXECUTIONS, add_backend, add_model, check_virtual, open_classifier
from pynq_cnn.errors import PynqCnnError
from pynq_cnn.model import Network
from pynq_cnn.zoo import load_model, models

PORT = 8765
INSTALL = "pip install 'pynq_cnn[web]'"
LABELS = {"auto": "auto", **EXECUTIONS}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="where to listen (127.0.0.1: this machine alone); 0.0.0.0 is for every network, with a token",
    )
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help=f"port ({PORT}); 0 takes a free one")
    add_model(parser)
    add_backend(parser)


def opener(model: str | Network, backend: str) -> AbstractContextManager[Classifier]:
    """A network on an execution by its name here, for one picture at a time."""
    virtual = backend == "virtual"
    return open_classifier(model, "overlay" if virtual else backend, virtual, batch=1)


def run(args: argparse.Namespace) -> None:
    """Serve until Ctrl-C."""
    integer("--port", args.port, 0, 65535)
    if args.virtual:
        check_virtual(args.backend)
    try:
        from pynq_cnn.web.server import serve
    except ImportError as error:
        raise PynqCnnError(
            f"the page needs tornado, which Jupyter brings to every board ({error}); {INSTALL}"
        ) from error
    choices: dict[str, str | Network] = {name: name for name in models()}
    name = args.model
    if name not in choices:
        network = load_model(name)
        name = network.name if network.name not in choices else f"{network.name} (folder)"
        choices = {name: network, **choices}
    backend = "virtual" if args.virtual else args.backend
    asyncio.run(serve(choices, LABELS, opener, name, backend, args.host, args.port))
