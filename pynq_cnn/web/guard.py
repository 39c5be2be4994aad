"""Who may ask a server: by the Host header, by the token, by the page that asks."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

TOKEN_BYTES = 18  # 24 letters


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an IP address.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


@dataclass(frozen=True)
class Guard:
    """The rules of one server.

    Parameters
    ----------
    names : frozenset of str
        The names by which the server may be called, in small letters, besides IP addresses.
    token : str
        What whoever asks must know. Empty: nothing, as only this machine reaches the server.

    Examples
    --------
    >>> here = Guard.local()
    >>> here.allows("localhost:8765"), here.allows("127.0.0.1"), here.allows("evil.example:8765")
    (True, True, False)
    >>> board = Guard.open_to_all("pynq", token="abc")
    >>> board.allows("pynq:8765"), board.allows("192.168.2.99:8765"), board.allows("evil.example")
    (True, True, False)
    >>> board.knows("abc"), board.knows("abd"), board.knows(None)
    (True, False, False)
    """

    names: frozenset[str]
    token: str = ""

    @classmethod
    def local(cls, host: str = "localhost") -> Guard:
        """Of a server that only this machine reaches, by a loopback address or as `--host` calls it."""
        return cls(frozenset({"localhost", host.lower()}))

    @classmethod
    def open_to_all(cls, host: str, token: str = "") -> Guard:
        """Of a server that others reach: by an address, by this machine's name, or as `--host` calls it."""
        own = socket.gethostname().lower()
        return cls(
            frozenset({"localhost", own, f"{own}.local", host.lower()}), token or secrets.token_urlsafe(TOKEN_BYTES)
        )

    def allows(self, host: str | None) -> bool:
        """Whether a Host header is one of this server's.

        Another site can give its own name this server's address (DNS rebinding), and then a browser takes the two for
        one site; the header still has that name. An address in place of a name cannot be faked so.
        """
        name = _host_name(host)
        if name is None:
            return False
        address = _address(name)
        if address is None:
            return name in self.names
        return bool(self.token) or address.is_loopback

    def knows(self, token: str | None) -> bool:
        """Whether this is the token; how long it takes says nothing about it."""
        return not self.token or hmac.compare_digest((token or "").encode(errors="replace"), self.token.encode())

    @staticmethod
    def same_origin(origin: str | None, host: str | None) -> bool:
        """Whether a request comes from a page of this very server; one without an Origin header is from no page.

        Examples
        --------
        >>> Guard.same_origin("http://localhost:8765", "localhost:8765"), Guard.same_origin("null", "localhost:8765")
        (True, False)
        """
        return origin is None or (host is not None and urlsplit(origin).netloc.lower() == host.lower())


def _host_name(host: str | None) -> str | None:
    """The name or address in a Host header, without its port; None if there is none.

    >>> _host_name("LOCALHOST.:80"), _host_name("[::1]:80"), _host_name(""), _host_name("[:")
    ('localhost', '::1', None, None)
    """
    try:
        name = urlsplit(f"//{host or ''}").hostname
    except ValueError:
        return None
    return name.rstrip(".") or None if name else None
