"""Post tasks over a number of connections, each sending its next one as it is answered.

    python -m benchmarks.web.load --port 8000 --path /api/v1/tasks --count 20000 --connections 64

A process of its own on bare protocols, so that it is not what is measured. Prints the seconds, and
how many were not answered with 202.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from typing import cast

import uvloop

_HOST = "127.0.0.1"
_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Poster(asyncio.Protocol):
    """One connection. It sends requests as long as there are any, and is done then."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self.refused = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Nothing is sent before all are connected."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none of asyncio's

    def send(self) -> None:
        """Send the next request, or end."""
        assert self._transport is not None
        request = next(self._requests, None)
        if request is not None:
            self._transport.write(request)
        elif not self.done.done():
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Send the next request once the answer is complete."""
        self._received += data
        head, found, body = self._received.partition(_END)
        if not found or len(body) < _length_in(head):
            return
        self._received = b""
        if not head.startswith(b"HTTP/1.1 202"):
            self.refused += 1
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Being cut off is a failure of the measurement."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the service hung up"))

    def close(self) -> None:
        """Hang up."""
        assert self._transport is not None
        self._transport.close()


def _length_in(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.find(_LENGTH)
    if at < 0:
        return 0
    return int(lowered[at + len(_LENGTH) :].split(b"\r\n", 1)[0])


def _requests(path: str, count: int) -> Iterator[bytes]:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {_HOST}\r\nContent-Type: application/json\r\n"
        "Accept: application/json\r\nContent-Length: "
    ).encode()
    for number in range(count):
        body = b'{"name":"nothing","input":{"number":%d}}' % number
        yield b"%s%d%s%s" % (head, len(body), _END, body)


async def post(port: int, path: str, count: int, connections: int) -> tuple[float, int]:
    """The seconds that all took together, and how many were refused."""
    loop = asyncio.get_running_loop()
    requests = _requests(path, count)
    posters = []
    for _ in range(connections):
        _, poster = await loop.create_connection(lambda: Poster(requests), _HOST, port)
        posters.append(poster)
    begin = time.perf_counter()
    for poster in posters:
        poster.send()
    await asyncio.gather(*(poster.done for poster in posters))
    took = time.perf_counter() - begin
    for poster in posters:
        poster.close()
    return took, sum(poster.refused for poster in posters)


def main() -> None:
    """Post, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    seconds, refused = uvloop.run(
        post(options.port, options.path, options.count, options.connections)
    )
    print(json.dumps({"seconds": seconds, "refused": refused}))


if __name__ == "__main__":
    main()
