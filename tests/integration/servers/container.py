"""A server in a container of our own, started by testcontainers."""

from __future__ import annotations

import gc
import os
import random
import socket
import warnings
from contextlib import suppress
from pathlib import Path

from docker.errors import DockerException  # type: ignore[import-untyped]
from docker.types import Ulimit  # type: ignore[import-untyped]
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.wait_strategies import WaitStrategy
from testcontainers.core.waiting_utils import WaitStrategyTarget

from tests.integration.servers.kind import Kind
from tests.integration.servers.server import Controls, Server

STARTING = 90
"""How long a server may take until it is ready, in seconds."""

STOPPING = 20
"""How long one may take to end in order before it is killed, in seconds."""

RUN_LABEL = "cueline.test-run"
"""The label by which CI finds the containers of its run, with the value of CUELINE_TEST_RUN."""


class NoContainer(Exception):
    """There is no Docker, or it does not have the image and cannot get it."""


class Ready(WaitStrategy):
    """Wait until the server does what its kind does, asked as its clients ask it."""

    def __init__(self, kind: Kind, port: int) -> None:
        super().__init__()
        self._kind = kind
        self._port = port
        self.with_startup_timeout(STARTING).with_poll_interval(0.1)

    def wait_until_ready(self, container: WaitStrategyTarget) -> None:
        """Raises TimeoutError if it never is, and RuntimeError if the container ends before."""
        host = container.get_container_host_ip()

        def ready() -> bool:
            container.reload()
            if container.status == "exited":
                raise RuntimeError(f"{self._kind.name} has ended: {container.get_logs()}")
            return self._kind.is_ready(host, self._port)

        if not self._poll(ready):
            raise TimeoutError(f"{self._kind.name} is not ready after {STARTING} s")


class ContainerControls(Controls):
    """What Docker can do to one server."""

    def __init__(self, container: DockerContainer, ready: Ready) -> None:
        self._container = container
        self._ready = ready

    def start(self) -> None:
        self._container.get_wrapped_container().start()
        self._ready.wait_until_ready(self._container)

    def stop(self) -> None:
        self._container.get_wrapped_container().stop(timeout=STOPPING)

    def kill(self, signal: str) -> None:
        self._container.get_wrapped_container().kill(signal)
        self._container.wait()

    def pause(self) -> None:
        self._container.get_wrapped_container().pause()

    def unpause(self) -> None:
        self._container.get_wrapped_container().unpause()
        self._ready.wait_until_ready(self._container)

    def run(self, *command: str) -> str:
        result = self._container.exec(list(command))
        printed = str(result.output, errors="replace")
        if result.exit_code != 0:
            raise RuntimeError(f"{' '.join(command)} ended with {result.exit_code}: {printed}")
        return printed

    def remove(self) -> None:
        self._container.stop()


def start(kind: Kind, image: str) -> Server:
    """Start one, and wait until it is ready. Raises NoContainer if that is not possible here."""
    port = a_port_of_its_own()
    ready = Ready(kind, port)
    if not docker_answers():
        raise NoContainer("Docker does not answer")
    container = DockerContainer(image)
    container.with_command(list(kind.command)).with_envs(**kind.environment)
    container.with_bind_ports(kind.port, port).waiting_for(ready)
    container.with_kwargs(
        hostname=kind.name.lower(),  # RabbitMQ keeps its data under it
        stop_signal=kind.stop_signal,
        shm_size="256m",
        # Erlang makes room for as many files as it may open, and Docker may allow a billion.
        ulimits=[Ulimit(name="nofile", soft=16384, hard=16384)],
        labels={RUN_LABEL: os.environ.get("CUELINE_TEST_RUN", "")},
    )
    try:
        container.start()
    except BaseException as error:
        container.stop()
        # What comes over the line to Docker is an OSError too; being late is not about Docker.
        if isinstance(error, DockerException | OSError) and not isinstance(error, TimeoutError):
            why = getattr(error, "explanation", None) or error
            raise NoContainer(f"no container of {image} can be had ({why})") from error
        raise
    host = container.get_container_host_ip()
    return Server(
        kind,
        kind.url(host, port),
        f"a container of {image} at {host}:{port}",
        ContainerControls(container, ready),
    )


def docker_answers() -> bool:
    """Whether there is a daemon."""
    try:
        DockerClient().client.close()
    except DockerException:
        pass
    else:
        return True
    # Where it cannot connect, the library forgets to close its socket: not the fault of a test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return False


def a_port_of_its_own() -> int:
    """A free port that stays free while the server is down.

    The kernel gives clients ports of a range that it names. One of those could be taken meanwhile,
    or a client that tries to reconnect be given the very port it asks for, and meet itself.
    """
    ephemeral = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(ephemeral.read_text().split()[0]) if ephemeral.exists() else 32768
    while True:
        port = random.randrange(first // 2, first)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", port))
            return port
