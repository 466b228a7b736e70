"""Group commit: calls that arrive together share one write.

A call that finds nothing under way is written at once, so an idle system adds no delay. Calls that
arrive during a write form the next batch; the busier the system, the larger the batches and the
less each call costs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class GroupCommit(Generic[T, R]):
    """Turns single calls into batches of up to `limit`, written one batch after the other.

    `write` answers one result for each item, in order; a result that is an exception is raised to
    the caller of that item alone, while an exception that `write` raises goes to the whole batch.
    A caller that is cancelled does not take its item back.
    """

    def __init__(
        self, write: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]], limit: int = 500
    ) -> None:
        self._write = write
        self._limit = limit
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def __call__(self, item: T) -> R:
        """Write an item, together with whatever else waits, and answer its result."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all(), name="group-commit")
        return await future

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                count = min(len(self._waiting), self._limit)
                await self._write_batch([self._waiting.popleft() for _ in range(count)])
        finally:
            self._writer = None

    async def _write_batch(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._write([item for item, _ in batch])
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(_for_callers(error))
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


def _for_callers(error: BaseException) -> Exception:
    """What the waiting callers are told when the writer was cut off."""
    if isinstance(error, Exception):
        return error
    return RuntimeError("the write was cut off before it was confirmed; it may have happened")
