"""Other processes on an `EmbeddedBoard`, forked from one that has loaded pynq, which takes longer than what they do.

`python embedded_forks.py FD` takes requests at a socket: the words of a command line of
`pynq_cnn.virtual_board.embedded`, its folder and environment, and files for its output. It answers with the exit code.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from functools import cache


@cache
def _server() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """The process that forks, and the socket; it ends when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {name: value for name, value in os.environ.items() if name != "XILINX_XRT"}
    with theirs:
        command = [sys.executable, "-W", "ignore", __file__, str(theirs.fileno())]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, pass_fds=[theirs.fileno()])
    ours.settimeout(120)
    return server, ours


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with this process's folder and environment."""
    _, channel = _server()
    request = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        socket.send_fds(channel, [json.dumps(request).encode()], [out.fileno(), err.fileno()])
        code = int(channel.recv(64))
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read(), err.read())


def serve(channel: socket.socket) -> list[str]:
    """Fork a process for each request until there are no more; in the fork it returns, with the arguments."""
    while True:
        request, files, _, _ = socket.recv_fds(channel, 1 << 20, 2)
        if not request:
            sys.exit()
        child = os.fork()
        if not child:
            break
        for file in files:
            os.close(file)
        channel.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
    channel.close()
    for number, file in enumerate(files, 1):
        os.dup2(file, number)
        os.close(file)
    asked = json.loads(request)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.path[0] = ""
    return list(asked["arguments"])


if __name__ == "__main__":
    import pynq  # noqa: F401

    from pynq_cnn.virtual_board.embedded.__main__ import main

    main(serve(socket.socket(fileno=int(sys.argv[1]))))
