"""The command line as tests use it: on an application in memory, its output caught."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

from typer.testing import CliRunner, Result

from cueline.application.application import Application
from cueline.application.queries import Queries, RunDetail, TaskDetail
from cueline.domain.identifiers import RunId, TaskId
from cueline.domain.task import Task
from cueline.interfaces.cli import Check, Entry, Options, build_cli
from tests.harness import Harness

T = TypeVar("T")

WIDE = {"COLUMNS": "200", "LINES": "50", "NO_COLOR": "", "FORCE_COLOR": "", "TERM": "xterm"}


class SteppedQueries(Queries):
    """Queries that let the world go on by one step after each look at a task or a run."""

    steps: list[Callable[[], Awaitable[object]]]

    async def task(self, id: TaskId) -> TaskDetail:
        found = await super().task(id)
        await self._go_on()
        return found

    async def run(self, id: RunId) -> RunDetail:
        found = await super().run(id)
        await self._go_on()
        return found

    async def _go_on(self) -> None:
        if self.steps:
            await self.steps.pop(0)()


class MemoryEntry(Entry):
    """Opens the application of a harness, and remembers what it was asked for."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.opened: list[Options] = []
        self.served: list[Options] = []
        self.worked: list[Options] = []
        self.checks: Sequence[Check] = ()
        self.failure: BaseException | None = None
        self.steps: list[Callable[[], Awaitable[object]]] = []

    @asynccontextmanager
    async def open(self, options: Options) -> AsyncIterator[Application]:
        self.opened.append(options)
        self._fail()
        h = self.harness
        queries = SteppedQueries(h.store, h.link, h.bus, h.clock, h.metrics)
        queries.steps = self.steps
        yield replace(h.app, queries=queries)

    async def serve(self, options: Options) -> None:
        self._fail()
        self.served.append(options)

    async def work(self, options: Options) -> None:
        self._fail()
        self.worked.append(options)

    async def doctor(self, options: Options) -> Sequence[Check]:
        self._fail()
        return self.checks

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


class CommandLine:
    """Runs commands. Each call is a process of its own, on the same store."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.entry = MemoryEntry(harness)

    def __call__(
        self,
        *words: str,
        stdin: str | bytes | None = None,
        env: Mapping[str, str] | None = None,
        charset: str = "utf-8",
    ) -> Result:
        """Run a command."""
        runner = CliRunner(charset, env={**WIDE, **(env or {})})
        return runner.invoke(build_cli(self.entry), list(words), input=stdin, prog_name="cueline")

    def document(self, *words: str, stdin: str | None = None, code: int = 0) -> Any:
        """Run a command with --json; the one document that it answers."""
        result = self(*words, "--json", stdin=stdin)
        assert (result.exit_code, result.stderr) == (code, "")
        return json.loads(result.stdout)

    def lines(self, *words: str, code: int = 0) -> list[Any]:
        """Run a command with --json; the documents that it answers, one on each line."""
        result = self(*words, "--json")
        assert (result.exit_code, result.stderr) == (code, "")
        return [json.loads(line) for line in result.stdout.splitlines()]

    def error(self, *words: str, stdin: str | None = None) -> tuple[int, Any]:
        """Run a command with --json that fails: its exit code and the error object."""
        result = self(*words, "--json", stdin=stdin)
        assert result.stdout == ""
        return result.exit_code, json.loads(result.stderr)["error"]

    def text(self, *words: str, stdin: str | None = None, code: int = 0) -> str:
        """Run a command; what it writes for people."""
        result = self(*words, stdin=stdin)
        assert result.exit_code == code, result.output
        return result.stdout

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something beside the command line."""
        return asyncio.run(work)

    def new_id(self) -> TaskId:
        """An id that no task of this application has; those of `a_task` may be the same."""
        return TaskId(self.harness.ids.new())

    def put(self, *tasks: Task) -> None:
        """Put tasks into the store as they are, whatever their state."""

        async def put() -> None:
            async with self.harness.store.write() as uow:
                await uow.tasks.add_many(tasks)
                await uow.commit()

        self.do(put())

    def meanwhile(self, *steps: Callable[[], Awaitable[object]]) -> None:
        """Have the world go on by a step after each look that the next command takes."""
        self.entry.steps = list(steps)
