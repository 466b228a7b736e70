"""The processes of the demo: each is started, waited for and stopped here."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

ROOT = Path(__file__).resolve().parents[2]  # where `examples` can be imported from
STARTING = 30.0
STOPPING = 20.0


class NotStartedError(Exception):
    """A process ended or stayed silent instead of serving."""


@asynccontextmanager
async def ninox(token: str, *, hiccups: int) -> AsyncIterator[str]:
    """Run the Ninox-like server within the block; gives its address."""
    command = ("-m", "examples.invoices.ninox", "--port", "0", "--hiccups", str(hiccups))
    async with _python(*command, environment={"NINOX_TOKEN": token}) as process:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), STARTING)
        if not line:
            raise NotStartedError("the Ninox-like server did not start")
        yield line.decode().strip()


@asynccontextmanager
async def service(
    port: int, environment: Mapping[str, str], log: Path
) -> AsyncIterator[httpx2.AsyncClient]:
    """Run `cueline serve` within the block, its output in `log`; gives a client of its API."""
    command = ("-m", "cueline", "serve", "--app", "examples.invoices.tasks:app")
    everything = {**environment, "CUELINE_HOST": "127.0.0.1", "CUELINE_PORT": str(port)}
    async with (
        _python(*command, environment=everything, log=log) as process,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        try:
            async with asyncio.timeout(STARTING):
                while not await _is_ready(client):
                    if process.returncode is not None:
                        raise NotStartedError(f"the service ended; see {log}")
                    await asyncio.sleep(0.1)
        except TimeoutError as error:
            raise NotStartedError(f"the service is not ready; see {log}") from error
        yield client


async def _is_ready(client: httpx2.AsyncClient) -> bool:
    try:
        return (await client.get("/health/ready")).is_success
    except httpx2.TransportError:
        return False


@asynccontextmanager
async def _python(
    *arguments: str, environment: Mapping[str, str], log: Path | None = None
) -> AsyncIterator[Process]:
    """A Python process that is stopped at the end of the block, gently first."""
    output = asyncio.subprocess.PIPE if log is None else os.open(log, os.O_WRONLY | os.O_CREAT)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=output,
            stderr=None if log is None else asyncio.subprocess.STDOUT,
            # A session of its own: Ctrl-C reaches the demo alone, which stops the others in order.
            start_new_session=True,
        )
    finally:
        if log is not None:
            os.close(output)
    try:
        yield process
    finally:
        await asyncio.shield(_stop(process))


async def _stop(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOPPING)
        except TimeoutError:
            process.kill()
            await process.wait()


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
