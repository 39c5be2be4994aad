"""Helpers of the tests of the page: `pynq-cnn web` as a process of its own, and requests to it."""

from __future__ import annotations

import http.client
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from virtual import ROOT

LONG = 120  # seconds after which a server that says nothing is taken for hung


@dataclass
class Reply:
    """The answer to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["Content-Type"] == "application/json; charset=utf-8", self.body[:200]
        return json.loads(self.body, parse_constant=lambda name: f"{name} is no JSON")


class Server:
    """`pynq-cnn web` at a free port, or a script that runs it."""

    def __init__(self, *options: str, script: str = "") -> None:
        start = ["-c", script] if script else ["-m", "pynq_cnn"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
        self.process = subprocess.Popen(
            [sys.executable, "-u", *start, "web", "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            restore_signals=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # as in a terminal
        )
        self.said: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.said.append(line)
            self._lines.put(line)
        self._lines.put("")

    def wait_until_it_says(self, pattern: str) -> str:
        """The line in which it does."""
        while True:
            line = self._lines.get(timeout=LONG)
            assert line, f"it ended before it said {pattern!r}: {''.join(self.said)}"
            if re.search(pattern, line):
                return line

    def ready(self) -> Server:
        self.url = self.wait_until_it_says("http://").strip()
        self.port = int(urlsplit(self.url).port)
        self.wait_until_it_says("Ctrl-C stops it")
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """The exit code."""
        self.process.send_signal(number)
        code = self.process.wait(LONG)
        self._reader.join(LONG)
        return code

    def ask(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        method: str | None = None,
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        try:
            address = path + ("?" + urlencode(query) if query else "")
            connection.request(method or ("GET" if body is None else "POST"), address, body, dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            connection.close()


@contextmanager
def running(*options: str, script: str = "") -> Iterator[Server]:
    """A server for as long as the block takes."""
    server = Server(*options, script=script)
    try:
        yield server.ready()
    finally:
        if server.process.poll() is None:
            server.stop()
        server.process.stdout.close()
