"""Group commit, and the bell."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from cueline.application.batching import GroupCommit
from cueline.application.bell import Bell
from cueline.domain.errors import Unavailable


class Writer:
    """Writes batches one at a time, each when the test says so."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = asyncio.Event()
        self.go = asyncio.Semaphore(0)
        self.error: BaseException | None = None

    async def __call__(self, items: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(items))
        self.begun.set()
        await self.go.acquire()
        if self.error is not None:
            raise self.error
        return [ValueError(str(item)) if item < 0 else 10 * item for item in items]


async def test_a_call_that_finds_nothing_under_way_is_written_at_once() -> None:
    writer = Writer()
    writer.go.release()
    assert await GroupCommit(writer)(4) == 40
    assert writer.batches == [[4]]


async def test_calls_that_arrive_during_a_write_form_the_next_batch() -> None:
    writer = Writer()
    commit = GroupCommit(writer)
    calls = [asyncio.create_task(commit(1))]
    await writer.begun.wait()
    calls += [asyncio.create_task(commit(item)) for item in (2, 3, 4)]
    await asyncio.sleep(0)
    writer.go.release()
    writer.go.release()
    assert await asyncio.gather(*calls) == [10, 20, 30, 40]
    assert writer.batches == [[1], [2, 3, 4]]


async def test_a_batch_is_no_larger_than_the_limit() -> None:
    writer = Writer()
    commit = GroupCommit(writer, limit=2)
    for _ in range(3):
        writer.go.release()
    assert await asyncio.gather(*(commit(item) for item in range(5))) == [0, 10, 20, 30, 40]
    assert writer.batches == [[0, 1], [2, 3], [4]]


async def test_an_error_of_one_item_goes_to_its_caller_alone() -> None:
    writer = Writer()
    commit = GroupCommit(writer)
    writer.go.release()
    results = await asyncio.gather(commit(1), commit(-2), commit(3), return_exceptions=True)
    assert results[0] == 10
    assert isinstance(results[1], ValueError)
    assert results[2] == 30


async def test_a_store_that_is_away_is_told_to_the_batch_and_not_to_the_next() -> None:
    writer = Writer()
    writer.error = Unavailable("the store", "disk full")
    commit = GroupCommit(writer)
    writer.go.release()
    results = await asyncio.gather(commit(1), commit(2), return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable, Unavailable]
    assert len(writer.batches) == 1
    writer.error = None
    writer.go.release()
    assert await commit(3) == 30


async def test_a_poisonous_item_does_not_fail_its_neighbours() -> None:
    async def write(items: Sequence[int]) -> list[int | Exception]:
        if 2 in items:
            raise ValueError("poison")
        return [item * 10 for item in items]

    commit = GroupCommit(write)
    results = await asyncio.gather(*(commit(n) for n in (1, 2, 3)), return_exceptions=True)
    assert [results[0], str(results[1]), results[2]] == [10, "poison", 30]


async def test_a_write_that_answers_too_few_results_is_an_error_to_its_callers() -> None:
    async def write(items: Sequence[int]) -> list[int | Exception]:
        return []

    with pytest.raises(RuntimeError, match="0 results for 1 items"):
        await GroupCommit(write)(1)


async def test_a_caller_that_gives_up_does_not_take_its_item_back() -> None:
    writer = Writer()
    commit = GroupCommit(writer)
    first = asyncio.create_task(commit(1))
    await writer.begun.wait()
    second, third = asyncio.create_task(commit(2)), asyncio.create_task(commit(3))
    await asyncio.sleep(0)
    second.cancel()
    writer.go.release()
    writer.go.release()
    assert [await first, await third] == [10, 30]
    assert writer.batches == [[1], [2, 3]]
    assert second.cancelled()


async def test_the_first_caller_s_giving_up_does_not_stop_the_write_of_others() -> None:
    writer = Writer()
    commit = GroupCommit(writer)
    first = asyncio.create_task(commit(1))
    second = asyncio.create_task(commit(2))
    await writer.begun.wait()
    first.cancel()
    writer.go.release()
    assert await second == 20


async def test_callers_of_a_write_that_was_cut_off_are_told() -> None:
    writer = Writer()
    commit = GroupCommit(writer)
    call = asyncio.create_task(commit(1))
    await writer.begun.wait()
    assert commit._writer is not None
    commit._writer.cancel()
    with pytest.raises(RuntimeError, match="it may have happened"):
        await call
    writer.go.release()
    assert await commit(2) == 20


async def test_a_rung_bell_ends_the_next_wait_at_once() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    assert await bell.wait(30)
    assert not await bell.wait(0)


async def test_a_bell_wakes_who_waits() -> None:
    bell = Bell()
    waiting = asyncio.create_task(bell.wait(30))
    await asyncio.sleep(0)
    bell.ring()
    assert await waiting
