"""The journal: ended attempts, log lines, progress."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cueline.application.ports.journal import LogEntry
from cueline.application.ports.persistence import Store
from cueline.domain.attempt import Attempt, AttemptOutcome
from cueline.domain.definition import TaskDefinition
from cueline.domain.failure import Failure
from cueline.domain.identifiers import TaskId, WorkerId
from cueline.domain.json import Json
from cueline.domain.text import storable
from tests.contracts.store_suite import StoreSuite, put
from tests.contracts.store_tasks import EVERY_KIND
from tests.doubles import NOW
from tests.factories import a_task, a_task_id, a_worker


class JournalContract(StoreSuite):
    async def test_attempts_come_back_in_order(self, store: Store) -> None:
        task, other = a_task(), a_task()
        await put(store, task, other)
        first = _attempt(task.id, 1, AttemptOutcome.FAILED, Failure("E", "m", "t", permanent=True))
        second = _attempt(task.id, 2, AttemptOutcome.SNOOZED)
        third = _attempt(task.id, 3, AttemptOutcome.RELEASED)
        async with store.write() as uow:
            await uow.journal.add_attempts([first, _attempt(other.id, 1, AttemptOutcome.FAILED)])
            await uow.journal.add_attempts([second, third])
            await uow.journal.add_attempts([])
            await uow.commit()
        async with store.read() as uow:
            assert await uow.journal.attempts(task.id) == [first, second, third]
            assert len(await uow.journal.attempts(other.id)) == 1
            assert await uow.journal.attempts(a_task_id()) == []

    async def test_log_lines_come_back_in_order_with_rising_positions(self, store: Store) -> None:
        task, other = a_task(), a_task()
        await put(store, task, other)
        entries = [_line(task.id, f"line {n}", {"every": EVERY_KIND}) for n in range(5)]
        async with store.write() as uow:
            await uow.journal.add_logs(entries[:3])
            await uow.journal.add_logs([_line(other.id, "other")])
            await uow.commit()
        async with store.write() as uow:
            await uow.journal.add_logs(entries[3:])
            await uow.journal.add_logs([])
            await uow.commit()
        async with store.read() as uow:
            found = await uow.journal.logs(task.id, 0, 99)
            positions = [position for position, _ in found]
            assert [entry for _, entry in found] == entries
            assert positions == sorted(set(positions))
            assert positions[0] > 0
            assert await uow.journal.logs(task.id, positions[1], 2) == found[2:4]
            assert await uow.journal.logs(task.id, positions[-1], 9) == []
            assert await uow.journal.logs(a_task_id(), 0, 9) == []

    async def test_any_storable_text_is_kept_as_it_is(self, store: Store) -> None:
        odd = storable("".join(map(chr, range(0x300))) + "\ud800 \uffff \u2028 🚀 ' \" \\ %s :x $1")
        task = a_task()
        failure = Failure("E", odd, odd)
        worker = a_worker(name=odd[:200])
        definition = TaskDefinition("odd", {}, description=odd)
        attempt = _attempt(task.id, 1, AttemptOutcome.FAILED, failure)
        entry = _line(task.id, odd, {"text": odd + "\0", odd: 1})
        async with store.write() as uow:
            await uow.tasks.add_many([task])
            await uow.tasks.save_many([task.claim(worker.id, NOW)])
            await uow.workers.add(worker)
            await uow.definitions.put_many([definition])
            await uow.journal.add_attempts([attempt])
            await uow.journal.add_logs([entry])
            await uow.commit()
        async with store.read() as uow:
            assert await uow.journal.attempts(task.id) == [attempt]
            assert [line for _, line in await uow.journal.logs(task.id, 0, 9)] == [entry]
            assert await uow.workers.get(worker.id) == worker
            assert await uow.definitions.list_all() == [definition]

    @pytest.mark.parametrize(
        "odd", ["", "\x1f", "\x1e", "a\x1fb", "a\x1eb", "NULL", "{}", "a,b", "'"]
    )
    async def test_of_several_texts_each_stays_itself(self, store: Store, odd: str) -> None:
        task = a_task()
        await put(store, task)
        for texts in ([odd], [odd, odd], [odd, "and", odd], ["and", odd, ""]):
            async with store.write() as uow:
                await uow.journal.add_logs([_line(task.id, text, {text: text}) for text in texts])
                await uow.commit()
        async with store.read() as uow:
            lines = [line for _, line in await uow.journal.logs(task.id, 0, 99)]
        expected = [odd, odd, odd, odd, "and", odd, "and", odd, ""]
        assert [line.message for line in lines] == expected
        assert [line.fields for line in lines] == [{text: text} for text in expected]

    async def test_a_line_of_a_megabyte_is_kept(self, store: Store) -> None:
        task = a_task(input={"large": "x" * 1_000_000})
        await put(store, task)
        entry = _line(task.id, "é" * 500_000)
        async with store.write() as uow:
            await uow.journal.add_logs([entry])
            await uow.commit()
        async with store.read() as uow:
            assert [line for _, line in await uow.journal.logs(task.id, 0, 9)] == [entry]
            assert await uow.tasks.get_many([task.id]) == [task]

    async def test_progress_is_the_latest_that_was_reported(self, store: Store) -> None:
        task, other, silent = a_task(), a_task(), a_task()
        await put(store, task, other, silent)
        latest = _line(task.id, "half", {"percent": 50.0}, "progress")
        async with store.write() as uow:
            await uow.journal.add_logs(
                [
                    _line(task.id, "begun", {"percent": 1.0}, "progress"),
                    _line(other.id, "done", {"percent": 100.0}, "progress"),
                    latest,
                    _line(task.id, "a line"),
                    _line(silent.id, "a line"),
                ]
            )
            await uow.commit()
        async with store.read() as uow:
            found = await uow.journal.progress([task.id, other.id, silent.id, a_task_id()])
            assert found.keys() == {task.id, other.id}
            assert found[task.id] == latest
            assert await uow.journal.progress([]) == {}

    async def test_progress_and_log_lines_are_one_sequence(self, store: Store) -> None:
        task = a_task()
        await put(store, task)
        entries = [_line(task.id, "a"), _line(task.id, "b", level="progress"), _line(task.id, "c")]
        async with store.write() as uow:
            await uow.journal.add_logs(entries)
            await uow.commit()
        async with store.read() as uow:
            assert [entry for _, entry in await uow.journal.logs(task.id, 0, 9)] == entries

    async def test_changing_the_fields_of_a_line_does_not_change_the_store(
        self, store: Store
    ) -> None:
        task = a_task()
        await put(store, task)
        fields: dict[str, Json] = {"a": [1]}
        async with store.write() as uow:
            await uow.journal.add_logs([_line(task.id, "x", fields)])
            await uow.commit()
        fields["b"] = 2
        for _ in range(2):
            async with store.read() as uow:
                [(_, found)] = await uow.journal.logs(task.id, 0, 9)
            assert found.fields == {"a": [1]}
            assert isinstance(found.fields, dict)
            found.fields["b"] = 2


def _attempt(
    task_id: TaskId, number: int, outcome: AttemptOutcome, failure: Failure | None = None
) -> Attempt:
    ended = NOW + timedelta(seconds=number, microseconds=1)
    return Attempt(task_id, number, WorkerId(a_worker().id), NOW, ended, outcome, failure)


def _line(
    task_id: TaskId, message: str, fields: dict[str, Json] | None = None, level: str = "info"
) -> LogEntry:
    return LogEntry(task_id, 1, NOW, level, message, {} if fields is None else fields)
