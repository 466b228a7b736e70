"""A server that runs, and the faults that can be made in it if it is ours."""

from __future__ import annotations

import asyncio
from typing import Protocol
from urllib.parse import urlsplit

from tests.integration.servers.absence import out_of_reach
from tests.integration.servers.kind import Kind


class Controls(Protocol):
    """What can be done to a server that the tests have started."""

    def start(self) -> None:
        """Start it where it was, with what it had stored, and wait until it is ready."""

    def stop(self) -> None:
        """End it in order."""

    def kill(self, signal: str) -> None:
        """Send a signal to its first process, and wait for its end."""

    def pause(self) -> None:
        """Freeze all of its processes: connections stay open, and nothing answers."""

    def unpause(self) -> None:
        """Let them go on, and wait until it is ready."""

    def run(self, *command: str) -> str:
        """Run a command inside, and return what it printed."""

    def remove(self) -> None:
        """End it, and leave nothing of it."""


class Server:
    """A server to test against.

    A fault that is made here and not undone is undone when the test ends. Where the server is not
    ours to break, trying to skips the test (and fails it in CI).
    All calls block until what they do is done: in `async` tests that have work going on meanwhile,
    use `asyncio.to_thread`.
    """

    def __init__(self, kind: Kind, url: str, where: str, controls: Controls | None = None) -> None:
        self.kind = kind
        self.url = url
        self.where = where
        self._controls = controls
        self._is_down = False
        self._is_paused = False

    @property
    def port(self) -> int:
        """The port it is reached at; a restart does not change it."""
        return urlsplit(self.url).port or self.kind.port

    @property
    def controllable(self) -> bool:
        """Whether it is ours, so that faults can be made."""
        return self._controls is not None

    # --- faults -----------------------------------------------------------------------------------

    def restart(self) -> None:
        """Stop it in order, and start it at the same port with what it had stored."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """Stop it in order. Its clients are cut off, and new ones refused."""
        self._ours().stop()
        self._is_down = True

    def kill(self, signal: str = "SIGKILL") -> None:
        """End it at once, as a crash does; only what it had written to disk remains."""
        self._ours().kill(signal)
        self._is_down = True

    def start(self) -> None:
        """Start it after a stop or kill, and wait until it is ready."""
        self._ours().start()
        self._is_down = False

    def pause(self) -> None:
        """Freeze it: connections stay open, new ones are accepted, and nothing answers."""
        self._ours().pause()
        self._is_paused = True

    def unpause(self) -> None:
        """Let it go on after a pause, and wait until it answers."""
        self._ours().unpause()
        self._is_paused = False

    def run(self, *command: str) -> str:
        """Run a command beside it (`psql`, `redis-cli`, `rabbitmqctl`); what that printed.

        Raises RuntimeError with what it printed if it fails.
        """
        return self._ours().run(*command)

    # --- the fixtures' part -----------------------------------------------------------------------

    async def mend(self) -> None:
        """Undo the faults that a test has left."""
        if self._is_paused:
            await asyncio.to_thread(self.unpause)
        if self._is_down:
            await asyncio.to_thread(self.start)

    def remove(self) -> None:
        """End it, if it is ours."""
        if self._controls is not None:
            self._controls.remove()

    def _ours(self) -> Controls:
        if self._controls is None:
            out_of_reach(f"{self.kind.name} is not ours to break: it is {self.where}")
        return self._controls
