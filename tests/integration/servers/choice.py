"""Which server the tests use: a given URL, else Docker, else one at its usual place, else none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from tests.integration.servers import container
from tests.integration.servers.container import NoContainer
from tests.integration.servers.kind import Kind
from tests.integration.servers.server import Server

REQUIRE = "CUELINE_TEST_REQUIRE"
"""Set to `docker`, it allows containers only: what had been prepared must be used."""


class NoServer(Exception):
    """There is none to be had; the message tells what was tried."""


def choose(
    kind: Kind,
    environment: Mapping[str, str],
    start: Callable[[Kind, str], Server] = container.start,
) -> Server:
    """Find a server of a kind, or start one. Raises NoServer with all that was tried."""
    url = environment.get(kind.setting)
    if url:
        return Server(kind, url, f"the one that {kind.setting} names")
    image = environment.get(f"{kind.setting}_IMAGE") or kind.image
    try:
        return start(kind, image)
    except NoContainer as error:
        why = str(error)
    if environment.get(REQUIRE) == "docker":
        raise NoServer(f"{kind.name} has to run in a container ({REQUIRE}), but {why}")
    usual = urlsplit(kind.address)
    place = f"{usual.hostname}:{usual.port}"
    if kind.is_ready(str(usual.hostname), kind.port):
        return Server(kind, kind.address, f"the one at its usual place, {place}: {why}")
    raise NoServer(
        f"there is no {kind.name}: {kind.setting} is not set; {why}; "
        f"and nobody who needs no password answers at {place}"
    )
