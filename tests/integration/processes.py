"""Running Cueline in processes of its own, and asking it over HTTP and the command line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
"""How long anything may take, in seconds."""


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class World:
    """A folder with a store and the traces of handlers, and the processes that work on it."""

    folder: Path
    port: int = field(default_factory=free_port)
    app: str = "tests.integration.app.tasks:app"
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What the processes are told."""
        return {
            **{name: value for name, value in os.environ.items() if "CUELINE" not in name},
            "CUELINE_STORE": f"sqlite:///{self.folder / 'cueline.db'}",
            "CUELINE_PORT": str(self.port),
            "CUELINE_LEASE": "1s",
            "EFFECTS": str(self.effects_file),
            **self.settings,
        }

    @property
    def effects_file(self) -> Path:
        """Where handlers leave their traces."""
        return self.folder / "effects.txt"

    @property
    def effects(self) -> list[str]:
        """The names of the effects so far, in order."""
        return [line.split()[0] for line in self.traces]

    @property
    def traces(self) -> list[str]:
        """The traces so far: `name key attempt` each."""
        if not self.effects_file.exists():
            return []
        return self.effects_file.read_text().splitlines()

    def hold(self, name: str) -> None:
        """Have the handler called `name` wait."""
        Path(f"{self.effects_file}.hold-{name}").touch()

    def let_go(self, name: str) -> None:
        """Let it go on."""
        Path(f"{self.effects_file}.hold-{name}").unlink()

    def start(self, command: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a Cueline process."""
        log = (self.folder / f"{command}.log").open("ab")
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", "cueline", command, "--app", self.app, *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def log(self, command: str = "serve") -> str:
        """What processes that were started so have written."""
        return (self.folder / f"{command}.log").read_text()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[subprocess.Popen[bytes], httpx2.AsyncClient]]:
        """A service that begins, and a client of its API; killed on leaving."""
        process = self.start("serve")
        base = f"http://127.0.0.1:{self.port}/api/v1"
        try:
            async with httpx2.AsyncClient(base_url=base, timeout=PATIENCE) as client:
                yield process, client
        finally:
            process.kill()
            await asyncio.to_thread(process.wait)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[tuple[subprocess.Popen[bytes], httpx2.AsyncClient]]:
        """A service that is ready, and a client of its API; killed on leaving."""
        async with self.running() as (process, client):
            await self.until_ready(process, client)
            yield process, client

    async def cli(self, *arguments: str, code: int = 0) -> Any:
        """What the command line answers with --json, in a process of its own."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cueline", "--json", *arguments),
            cwd=ROOT,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await process.communicate()
        assert process.returncode == code, error.decode()
        return json.loads(out or error.splitlines()[-1])  # warnings may come before the error

    async def health(self, client: httpx2.AsyncClient) -> str:
        """What the service says of itself: `ok`, `degraded`, or nothing while it cannot work."""
        try:
            answer = await client.get(f"http://127.0.0.1:{self.port}/health/ready")
        except httpx2.TransportError:
            return ""
        return str(answer.json()["status"]) if answer.status_code == 200 else ""

    async def figures(self, client: httpx2.AsyncClient) -> dict[str, float]:
        """The service's metrics, by name and labels."""
        answer = await client.get(f"http://127.0.0.1:{self.port}/metrics")
        lines = (line for line in answer.text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    async def until_ready(
        self, process: subprocess.Popen[bytes], client: httpx2.AsyncClient
    ) -> None:
        """Return once the service can work; it must not end before."""

        async def ready() -> bool:
            assert process.poll() is None, self.log()
            return await self.health(client) != ""

        await until_async(ready)


async def submit(
    client: httpx2.AsyncClient, task: str, input: dict[str, Any], **options: Any
) -> str:
    """Submit a task, which must be accepted; its id."""
    answer = await client.post("/tasks", json={"name": task, "input": input, **options})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def ended(client: httpx2.AsyncClient, *tasks: str, state: str = "succeeded") -> None:
    """Return once all of these tasks have come to that state."""
    for id in tasks:

        async def has_ended(path: str = f"/tasks/{id}") -> bool:
            return bool((await client.get(path)).json().get("state") == state)

        await until_async(has_ended)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""

    async def ask() -> bool:
        return condition()

    await until_async(ask)


async def until_async(condition: Callable[[], Any]) -> None:
    """Wait until something is so that takes asking."""
    deadline = time.monotonic() + PATIENCE
    while not await condition():
        assert time.monotonic() < deadline, "waited too long"
        await asyncio.sleep(0.02)


async def stopped(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> int:
    """Send a signal and wait for the end; the exit code."""
    process.send_signal(how)
    return await asyncio.to_thread(process.wait, PATIENCE)
