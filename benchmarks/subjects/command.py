"""The command line that all subjects share, and the loops that are measured.

    python -m benchmarks.subjects.NAME settings
    python -m benchmarks.subjects.NAME prepare | remove
    python -m benchmarks.subjects.NAME enqueue --first 0 --count N [--bulk]
    python -m benchmarks.subjects.NAME chains | fans --first 0 --count N
    python -m benchmarks.subjects.NAME probe --first 0 --count N --pause S [--of chains | fans]
    python -m benchmarks.subjects.NAME steady --first 0 --count N --rate R
    python -m benchmarks.subjects.NAME work

A subject says how its system does one thing; that thing is repeated and timed here, for all alike.
What a system cannot do it answers with `Unable`, which is exit status 3.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import uvloop

from benchmarks.subjects.handlers import ledger
from benchmarks.subjects.steady import steadily

UNABLE = 3
"""The exit status that tells the harness: this system has no such thing."""

_POLL = 0.005
"""Between two looks at whether a probe has ended, in seconds. Looking does not make the figure, but
disturbs it: at 0.5 ms a system that waits for a disk took twice as long."""
_PATIENCE = 30.0


class Unable(Exception):
    """The system has no such thing."""


class Client(Protocol):
    """A connected producer. A number is that of a task, a chain or a fan in the ledger."""

    async def submit(self, number: int) -> None:
        """Submit one no-op task, and return when the system says that it has it."""

    async def submit_many(self, numbers: range) -> None:
        """Submit these no-op tasks the fastest way there is to submit many."""

    async def chain(self, number: int) -> None:
        """Submit four no-op steps, each started by the end of the one before."""

    async def fan(self, number: int) -> None:
        """Submit ten parallel no-op steps and one that starts when all of them are done."""


class Subject(Protocol):
    """One system under one configuration."""

    settings: str
    """What differs from the system's defaults, for the table."""

    def remove(self) -> None:
        """Remove all that the subject left in its servers."""

    def prepare(self) -> None:
        """Make the empty place in which the subject works."""

    def opened(self) -> AbstractAsyncContextManager[Client]:
        """A producer with its connections made, so that none is made while the clock runs."""

    def work(self, ready: Callable[[], None]) -> None:
        """Be one worker process until SIGTERM; say when it can take tasks."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a subject works, as the harness tells it in the environment."""

    url: str
    store_url: str
    namespace: str
    slots: int


def surroundings(subject: str, url: str, store_url: str = "") -> Surroundings:
    """What the environment says; as given where it says nothing."""
    return Surroundings(
        url=os.environ.get("BENCH_URL") or url,
        store_url=os.environ.get("BENCH_STORE_URL") or store_url,
        namespace=f"{os.environ.get('BENCH_NAMESPACE') or 'bench'}_{subject}",
        slots=int(os.environ.get("BENCH_SLOTS") or 100),
    )


def run(subject: Subject) -> None:
    """Do what the command line asks of the subject, and end the process with the right status."""
    options = _options()
    try:
        _do(subject, options)
    except Unable:
        raise SystemExit(UNABLE) from None


def _do(subject: Subject, options: argparse.Namespace) -> None:
    match options.verb:
        case "settings":
            print(json.dumps({"settings": subject.settings}))
        case "remove":
            subject.remove()
        case "prepare":
            subject.remove()
            subject.prepare()
        case "work":
            subject.work(lambda: print("ready", flush=True))
        case _:
            print(json.dumps({"seconds": uvloop.run(_timed(subject, options))}))


async def _timed(subject: Subject, options: argparse.Namespace) -> float:
    numbers = range(options.first, options.first + options.count)
    async with subject.opened() as client:
        began = time.perf_counter()
        if options.verb == "probe":
            await _probe(client, options.of, numbers, options.pause)
        elif options.verb == "steady":
            await steadily(client.submit, numbers, options.rate)
        elif options.verb == "enqueue" and options.bulk:
            _note(numbers)
            await client.submit_many(numbers)
        else:
            await _one_by_one(_submit_of(client, options.verb), numbers)
        return time.perf_counter() - began


def _note(numbers: range) -> None:
    for number in numbers:
        ledger().submitted(number)


async def _one_by_one(submit: Callable[[int], Awaitable[None]], numbers: range) -> None:
    note = ledger().submitted
    for number in numbers:
        note(number)
        await submit(number)


async def _probe(client: Client, kind: str, numbers: range, pause: float) -> None:
    """At idle, one at a time: submit, wait until it has ended, pause."""
    submit, notes = _submit_of(client, kind), ledger()
    for number in numbers:
        notes.submitted(number)
        await submit(number)
        async with asyncio.timeout(_PATIENCE):
            while not notes.done(number, 1):  # noqa: ASYNC110  # the end is in another process
                await asyncio.sleep(_POLL)
        await asyncio.sleep(pause)


def _submit_of(client: Client, kind: str) -> Callable[[int], Awaitable[None]]:
    return {"enqueue": client.submit, "chains": client.chain, "fans": client.fan}[kind]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="One subject of the benchmark.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("settings", "prepare", "remove", "work"):
        verbs.add_parser(verb)
    for verb in ("enqueue", "chains", "fans", "probe", "steady"):
        _numbered(verbs.add_parser(verb))
    verbs.choices["steady"].add_argument("--rate", type=float, required=True)
    verbs.choices["enqueue"].add_argument("--bulk", action="store_true")
    verbs.choices["probe"].add_argument("--pause", type=float, default=0.02)
    verbs.choices["probe"].add_argument(
        "--of", choices=["enqueue", "chains", "fans"], default="enqueue"
    )
    return parser.parse_args()


def _numbered(verb: Any) -> None:
    verb.add_argument("--first", type=int, default=0)
    verb.add_argument("--count", type=int, required=True)
