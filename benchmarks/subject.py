"""A subject as the harness sees it: a command line, run in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Event, Thread
from typing import Any

from benchmarks.ledger import Ledger
from benchmarks.processes import Usage, usage_of

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0
"""How long a process may take to be ready or to end, and work may stand still, in seconds."""
UNABLE = 3
"""The exit status with which a subject says that its system has no such thing."""
LONGEST = 1800.0
"""How long one verb may take, in seconds."""

_POLL = 0.005


class Failed(Exception):
    """The subject did not do what was asked of it; the message ends with what it wrote."""


class Unable(Exception):
    """The subject has no such thing."""


@dataclass(frozen=True)
class Subject:
    """One system under one configuration."""

    name: str
    module: str
    python: Path
    kind: str
    """What it keeps its state in: postgres, redis, rabbitmq, sqlite or memory."""
    environment: Mapping[str, str]
    folder: Path
    """Where it may leave files, its ledger among them; its own."""
    is_cueline: bool = False
    store_url: str = ""
    """The database, if it is Cueline's."""
    share: float = 1.0
    """How much of the usual number of tasks it is given, as it is slower than most."""

    @property
    def is_alone(self) -> bool:
        """Whether it is one process only, which works while it submits."""
        return self.kind == "memory"

    @property
    def own_settings(self) -> dict[str, str]:
        """The same surroundings as Cueline's own variables say them."""
        return {
            "CUELINE_STORE": self.store_url,
            "CUELINE_BROKER": self.environment["BENCH_URL"],
            "CUELINE_NAMESPACE": f"{self.environment['BENCH_NAMESPACE']}_cueline",
        }

    @cached_property
    def settings(self) -> str:
        """What it says that it is tuned to."""
        return str(self._answer("settings")["settings"])

    def prepare(self, count: int) -> Ledger:
        """Make its place empty, and a new ledger for so many numbers."""
        self._answer("prepare")
        return self.begin(count)

    def begin(self, count: int) -> Ledger:
        """Make a new ledger, and leave its place as it is."""
        return Ledger(self._ledger, create=count)

    def remove(self) -> None:
        """Have it leave nothing in its servers."""
        self._answer("remove")

    def ask(self, verb: str, *, count: int, **options: object) -> float:
        """Have it do something with the numbers up to count; the seconds that took."""
        words = [f"--count={count}"]
        for name, value in options.items():
            if value is not False:
                words.append(f"--{name}" if value is True else f"--{name}={value}")
        return float(self._answer(verb, *words)["seconds"])

    def fill(self, count: int) -> None:
        """Have the numbers up to count submitted, in bulk if it can."""
        try:
            self.ask("enqueue", count=count, bulk=True)
        except Unable:
            self.ask("enqueue", count=count)

    @contextmanager
    def workers(self, number: int) -> Iterator[list[Process]]:
        """So many worker processes, started together; ended on leaving. None where it is alone."""
        command = [str(self.python), "-m", self.module, "work"]
        with ExitStack() as stack:
            yield [
                stack.enter_context(Process.of(command, self._environment, self._log, "ready"))
                for _ in range(0 if self.is_alone else number)
            ]

    @contextmanager
    def running(self, *command: str, **environment: str) -> Iterator[Process]:
        """Another process of this system, in its surroundings; ended on leaving."""
        words = [str(self.python), "-m", *command]
        settings = {**self._environment, **environment}
        with Process.of(words, settings, self._log, None) as process:
            yield process

    def _answer(self, *words: str) -> Any:
        command = [str(self.python), "-m", self.module, *words]
        with self._log.open("ab") as log:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                timeout=LONGEST,
                check=False,
            )
        if done.returncode == UNABLE:
            raise Unable(self.name)
        if done.returncode:
            raise Failed(f"{self.name}: {words[0]} ended with {done.returncode}\n{self.last_words}")
        return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}

    @property
    def last_words(self) -> str:
        """The end of what its processes have written of errors."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    @property
    def _ledger(self) -> Path:
        return self.folder / "ledger"

    @property
    def _environment(self) -> dict[str, str]:
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("BENCH_", "CUELINE_"))
        }
        return {**inherited, **self.environment, "BENCH_LEDGER": str(self._ledger)}


@dataclass
class Process:
    """A process that runs until we are done with it; with its children it is a session."""

    popen: subprocess.Popen[bytes]
    started_at: float
    ready_at: float = 0.0
    _ready: Event = field(default_factory=Event)

    @classmethod
    @contextmanager
    def of(
        cls, command: list[str], environment: Mapping[str, str], log: Path, ready: str | None
    ) -> Iterator[Process]:
        """Start it; end it on leaving. `ready` is the line it prints when it is."""
        with log.open("ab") as file:
            process = cls(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=file,
                    start_new_session=True,
                ),
                time.monotonic(),
            )
        Thread(target=process._listen, args=[ready], daemon=True).start()
        try:
            yield process
        finally:
            process._end()

    def until_ready(self) -> float:
        """Wait until it has said that it is ready; how many seconds that took from its start."""
        if not self._ready.wait(PATIENCE):
            raise Failed("a process was not ready in time")
        if not self.ready_at:
            raise Failed(f"a process ended before it was ready, with {self.popen.wait()}")
        return self.ready_at - self.started_at

    @property
    def usage(self) -> Usage:
        """What it and its children use now."""
        return usage_of(self.popen.pid)

    def _listen(self, ready: str | None) -> None:
        """Take all that it prints, or it would stand still some day."""
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            if not self.ready_at and line.decode(errors="replace").strip() == ready:
                self.ready_at = time.monotonic()
                self._ready.set()
        self._ready.set()

    def _end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.popen.poll() is None:
                self.popen.send_signal(number)
                try:
                    self.popen.wait(PATIENCE / 2)
                except subprocess.TimeoutExpired:
                    continue
            break
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)  # the children that it may have left


def until_ended(ledger: Ledger, count: int) -> None:
    """Wait until the first so many numbers have ended; `Failed` if nothing moves any more."""
    reached, seen, looked_at, moved_at = 0, 0, time.monotonic(), time.monotonic()
    while True:
        while reached < count and ledger.has_ended(reached):
            reached += 1
        if reached == count:
            return
        time.sleep(_POLL)
        now = time.monotonic()
        if now - looked_at < 1:  # counting all is dear
            continue
        looked_at, done = now, ledger.done()
        if done > seen:
            seen, moved_at = done, now
        elif now - moved_at > PATIENCE:
            raise Failed(f"only {done} of {count} have ended, and nothing moves")
