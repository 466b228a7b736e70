"""What there is to know about a kind of server, wherever one of it runs."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

SHORT = 2.0
"""How long a server on this machine may take to answer, in seconds."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of server: where one is found, and how one is started."""

    name: str
    setting: str
    """The environment variable of its URL; with `_IMAGE` behind it, that of its image."""
    address: str
    """Its URL where it lies by default and asks for no other password than the usual one."""
    image: str
    command: tuple[str, ...]
    """What the image is told to run: the official one and our own understand the same."""
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "SIGTERM"
    """The signal on which it ends in order, without waiting for its clients to leave."""
    answers: Callable[[str, int], bool]
    """Whether one is ready to work at a host and port. Being listened to is not enough: Docker
    accepts connections before the server does. May raise OSError, which is a no."""

    @property
    def port(self) -> int:
        """Its usual port."""
        port = urlsplit(self.address).port
        assert port is not None
        return port

    def url(self, host: str, port: int) -> str:
        """Its URL at another place."""
        parts = urlsplit(self.address)
        return self.address.replace(f"{parts.hostname}:{parts.port}", f"{host}:{port}")

    def is_ready(self, host: str, port: int) -> bool:
        """Whether one works there now."""
        try:
            return self.answers(host, port)
        except OSError:
            return False


def exchange(host: str, port: int, sent: bytes) -> bytes:
    """Send some bytes, and return the beginning of what comes back. May raise OSError."""
    with socket.create_connection((host, port), SHORT) as connection:
        connection.sendall(sent)
        return connection.recv(1024)
