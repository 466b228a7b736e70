"""Group commit: calls that arrive together share one write.

A call that finds nothing under way is written at once, so an idle system adds no delay. Calls that
arrive during a write form the next batch; the busier the system, the larger the batches and the
less each call costs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

from cueline.domain.errors import Unavailable

T = TypeVar("T")
R = TypeVar("R")


class GroupCommit(Generic[T, R]):
    """Turns single calls into batches of up to `limit`, written one batch after the other.

    `write` answers one result for each item, in order; a result that is an exception is raised to
    the caller of that item alone. When `write` itself raises, nothing of the batch was written:
    `Unavailable` goes to every caller, and after any other error each item is tried alone. A caller
    that is cancelled does not take its item back.
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
        batch: list[tuple[T, asyncio.Future[R]]] = []
        try:
            while self._waiting:
                count = min(len(self._waiting), self._limit)
                batch = [self._waiting.popleft() for _ in range(count)]
                await self._write_batch(batch)
        except BaseException:  # cut off: nobody else would tell those who wait
            _refuse([*batch, *self._waiting], RuntimeError(CUT_OFF))
            self._waiting.clear()
            raise
        finally:
            self._writer = None

    async def _write_batch(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._write([item for item, _ in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{len(results)} results for {len(batch)} items")
        except Exception as error:  # noqa: BLE001  # it goes to the callers
            if isinstance(error, Unavailable) or len(batch) == 1:
                _refuse(batch, error)
                return
            for one in batch:  # something in it is poison: the others must not suffer from it
                await self._write_batch([one])
            return
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


CUT_OFF = "the write was cut off before it was confirmed; it may have happened"


def _refuse(batch: Iterable[tuple[object, asyncio.Future[R]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
