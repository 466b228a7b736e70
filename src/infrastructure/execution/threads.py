"""Threads for handlers that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class HandlerThreads:
    """Runs blocking calls in threads, made as they are needed and kept for the next call.

    Unlike those of `concurrent.futures`, the threads do not hold up the end of the process: a
    handler that never returns must not keep a worker from shutting down.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._idle = 0
        self._count = 0
        self._lock = threading.Lock()

    async def run(self, call: Callable[[], T]) -> T:
        """Call in a thread and answer what it answers. If cancelled, the call goes on unheard."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        context = copy_context()

        def work() -> None:
            try:
                result = context.run(call)
            except BaseException as error:  # noqa: BLE001  # it is handed to whoever awaits
                _tell(loop, future, None, error)
            else:
                _tell(loop, future, result, None)

        self._calls.put(work)
        self._have_a_thread()
        return await future

    def close(self) -> None:
        """Let the idle threads end."""
        with self._lock:
            for _ in range(self._count):
                self._calls.put(None)

    def _have_a_thread(self) -> None:
        with self._lock:
            if self._idle > 0:
                self._idle -= 1  # it will take the call that was just put
                return
            self._count += 1
            number = self._count
        threading.Thread(target=self._serve, name=f"handler-{number}", daemon=True).start()

    def _serve(self) -> None:
        while (work := self._calls.get()) is not None:
            work()
            with self._lock:
                self._idle += 1


def _tell(
    loop: asyncio.AbstractEventLoop,
    future: asyncio.Future[Any],
    result: Any,
    error: BaseException | None,
) -> None:
    """Hand the result to the event loop, which may have gone home."""

    def settle() -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):  # which a future refuses
            future.set_exception(RuntimeError(f"the handler raised {error!r}"))
        else:
            future.set_exception(error)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:  # the loop is closed: nobody waits any more
        return
