"""What can be remembered of tasks."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from cueline.application.ports.journal import LogEntry
from cueline.application.ports.persistence import UnitOfWork
from cueline.domain.attempt import Attempt, AttemptOutcome
from cueline.domain.identifiers import TaskId
from tests.integration.three_stores import drawing as some
from tests.integration.three_stores.everything import in_order, ordered
from tests.integration.three_stores.machine import Machine

attempts = st.builds(
    Attempt,
    task_id=some.talkative_ids,
    number=st.integers(1, 30),
    worker_id=some.worker_ids,
    started_at=some.moments,
    ended_at=st.none() | some.moments,
    outcome=st.sampled_from(AttemptOutcome),
    failure=st.none() | some.failures,
)
lines = st.builds(
    LogEntry,
    task_id=some.talkative_ids,
    attempt=st.integers(1, 3),
    at=some.moments,
    level=st.sampled_from(["info", "progress", "PROGRESS", "x" * 20]),
    message=some.texts,
    fields=some.json_objects,
)


class JournalRules(Machine):
    @rule(ended=st.lists(attempts, max_size=3))
    def record_attempts(self, ended: list[Attempt]) -> None:
        """An attempt that is recorded already is refused."""
        self.write(lambda uow: uow.journal.add_attempts(ended))

    @rule(entries=st.lists(lines, max_size=4))
    def log_lines(self, entries: list[LogEntry]) -> None:
        self.write(lambda uow: uow.journal.add_logs(entries))

    @rule(
        ids=st.lists(some.talkative_ids, max_size=3),
        beyond=st.integers(0, 3),
        limit=some.limits,
        inside=st.booleans(),
    )
    def read_the_journal(self, ids: list[TaskId], beyond: int, limit: int, inside: bool) -> None:
        """Of the lines those after one of the first, by the position that the store gave it."""

        async def read(uow: UnitOfWork) -> list[Any]:
            told: list[Any] = [ordered(await uow.journal.progress(ids))]
            for id in ids:
                known = await uow.journal.logs(id, 0, beyond + 1)
                after = known[-1][0] if known else 0
                told.append(in_order(await uow.journal.logs(id, after, limit)))
                told.append(await uow.journal.attempts(id))
            return told

        self.ask(read, inside=inside)
