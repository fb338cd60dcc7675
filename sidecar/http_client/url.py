"""The parts of a URL. The settings have checked its syntax."""

import re
from typing import NamedTuple

DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(r"(https?)://(\[[0-9A-Fa-f:]+\]|[\w.-]+)(?::(\d{1,5}))?(/[!-~]*)?", re.ASCII)


class Url(NamedTuple):
    """A URL without user, query and fragment."""

    scheme: str
    host: str
    """A name or an address; IPv6 without brackets."""

    port: int
    path: str = "/"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def authority(self) -> str:
        """`host:port` as in the header Host: without the scheme's own port."""
        return self._bracketed if self.port == DEFAULT_PORTS[self.scheme] else self.host_and_port

    @property
    def host_and_port(self) -> str:
        """`host:port` as CONNECT names it: always with the port."""
        return f"{self._bracketed}:{self.port}"

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def parse_url(text: str) -> Url:
    """Split a URL; raise ValueError if it has other parts than `Url`."""
    found = _URL.fullmatch(text)
    if not found:
        raise ValueError(f"not a URL of a server: {text!r}")
    scheme, host, port, path = found.groups()
    return Url(scheme, host.strip("[]"), int(port or DEFAULT_PORTS[scheme]), path or "/")
