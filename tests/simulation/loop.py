"""An event loop without files, sockets or waiting: its time jumps to whatever comes next."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any, Protocol, TypeAlias, TypeVar, TypeVarTuple, Unpack, cast

T = TypeVar("T")
Args = TypeVarTuple("Args")

BUSIEST = 20_000
"""How many callbacks may run before time moves on; more are a loop that spins."""


class Stuck(Exception):  # it is a finding, not a mistake of ours
    """Nothing can ever happen again, or everything happens at once without end."""


class Host(Protocol):
    """Whose callbacks may be held back, and which tasks belong to it."""

    is_frozen: bool
    held_back: list[asyncio.Handle]
    tasks: dict[asyncio.Task[Any], None]


HOST: ContextVar[Host | None] = ContextVar("host", default=None)
"""The simulated process to which the running code belongs; None for the world around them."""

_Job: TypeAlias = Coroutine[Any, Any, T]


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks in the order of their virtual times, which nothing else decides.

    A frozen host's callbacks, its timers included, are held back until it is thawed, as the kernel
    does with a process that was sent SIGSTOP.
    """

    _ready: deque[asyncio.Handle]

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._ran = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timer_count = 0
        self._begun: list[asyncio.Task[object]] = []
        self.set_task_factory(cast(Any, _new_task))  # its type knows no context

    def time(self) -> float:
        return self._now

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Args]], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call something at a time; of several at one time, the first that was asked for first."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timer_count += 1
        heapq.heappush(self._timers, (when, self._timer_count, timer))
        return timer

    def passing(self, seconds: float) -> asyncio.Future[None]:
        """Done after so much time: a sleep, at less cost."""
        future = self.create_future()
        self.call_at(self._now + seconds, _finish, future)
        return future

    def outside(self, seconds: float, callback: Callable[..., object], *args: object) -> None:
        """Call something after a time, on behalf of no host."""
        self.call_later(seconds, callback, *args, context=Context())

    def thaw(self, host: Host) -> None:
        """Let a frozen host go on, beginning with what it has missed."""
        host.is_frozen = False
        self._ready.extend(host.held_back)
        host.held_back.clear()

    def begin(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run something that nobody waits for; the loop knows its tasks, and ends them."""
        self._begun.append(self.create_task(coroutine))

    def _run_once(self) -> None:
        ready, timers = self._ready, self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not ready:
            if not timers:
                raise Stuck("nothing is ready and nothing is scheduled")
            self._now = max(self._now, timers[0][0])
            self._ran = 0
        while timers and timers[0][0] <= self._now:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle.cancelled():
                continue
            host: Host | None = handle._context.get(HOST)  # type: ignore[attr-defined]
            if host is not None and host.is_frozen:
                host.held_back.append(handle)
                continue
            self._ran += 1
            handle._run()
        if self._ran > BUSIEST:
            raise Stuck(f"{self._ran} callbacks ran at {self._now:.3f} s and time stood still")

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing: cancelled timers are dropped when their time comes."""

    def _process_events(self, event_list: list[object]) -> None:
        """Nothing: there are no files."""

    def _write_to_self(self) -> None:
        """Nothing: there are no other threads."""


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _new_task(
    loop: asyncio.AbstractEventLoop, coroutine: _Job[T], context: Context | None = None
) -> asyncio.Task[T]:
    task: asyncio.Task[T] = asyncio.Task(coroutine, loop=loop, context=context)
    host = HOST.get() if context is None else context.get(HOST)
    if host is not None:
        host.tasks[task] = None
        task.add_done_callback(host.tasks.pop)
    return task
