"""The door through which the command line reaches the rest, which the root module opens for it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cueline.application.application import Application

ROLES = ("api", "worker", "dispatcher", "scheduler")
"""What a process may do."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was said on the command line; None leaves it to the `CUELINE_*` settings."""

    app: str | None = None
    store: str | None = None
    broker: str | None = None
    host: str | None = None
    port: int | None = None
    concurrency: int | None = None
    queues: tuple[str, ...] | None = None
    roles: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """What `doctor` found about one thing; `ok` is None for what is told but cannot be wrong."""

    name: str
    ok: bool | None
    detail: str


class Entry(Protocol):
    """What the command line can start.

    Errors: `InvalidInput` for options and settings that cannot be used, `Unavailable` when a store
    or a broker that is needed does not answer.
    """

    def open(self, options: Options) -> AbstractAsyncContextManager[Application]:
        """The application as a client has it: no API, no worker, no loops."""
        ...

    async def serve(self, options: Options) -> None:
        """Run the API and the roles until SIGTERM or SIGINT."""
        ...

    async def work(self, options: Options) -> None:
        """Run the roles without the API until SIGTERM or SIGINT."""
        ...

    async def doctor(self, options: Options) -> Sequence[Check]:
        """What is selected, whether it answers, and what it can and cannot do."""
        ...
