"""Worker processes, as those see them who start, freeze and kill them."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[2]


class Worker:
    """One process. It is known by a descriptor: its number may be another's once it has ended."""

    def __init__(self, name: str, number: int, trace: Path) -> None:
        self.name = name
        self.trace = trace
        self._number = number
        self._process = os.pidfd_open(number)
        self._is_gone = False

    @property
    def has_begun(self) -> bool:
        """Whether it has begun a task yet."""
        return self.trace.exists()

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, for whatever reason."""
        if not self._is_gone:
            readable, _, _ = select.select([self._process], [], [], 0)
            self._is_gone = bool(readable)
        return self._is_gone

    @property
    def memory(self) -> int:
        """How many bytes it has of its own; nothing if it has ended."""
        try:
            pages = Path(f"/proc/{self._number}/statm").read_text().split()[1]
        except (FileNotFoundError, ProcessLookupError, IndexError):
            return 0
        return 0 if self.is_gone else int(pages) * resource.getpagesize()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        if not self.is_gone:
            signal.pidfd_send_signal(self._process, number)

    async def kill(self) -> None:
        """Kill it, and wait until it has ended."""
        self.send(signal.SIGKILL)
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        loop.add_reader(self._process, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(self._process)
        self.forget()

    def forget(self) -> None:
        """Give its descriptor back."""
        self._is_gone = True
        os.close(self._process)


class Nursery:
    """Starts workers, quickly."""

    def __init__(self) -> None:
        clean = {name: value for name, value in os.environ.items() if "CUELINE" not in name}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.nursery"],
            cwd=ROOT,
            env=clean,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()  # its workers go with it
        self._process.communicate()

    def start(self, name: str, environment: Mapping[str, str], folder: Path) -> Worker:
        """Start a worker that leaves its traces and its log in a folder."""
        trace = folder / f"{name}.trace"
        own = {"CUELINE_WORKER_NAME": name, "CHAOS_TRACE": str(trace)}
        order = {"environment": {**environment, **own}, "log": str(folder / "workers.log")}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Worker(name, int(self._process.stdout.readline()), trace)
