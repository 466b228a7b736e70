"""Runs: stored whole, locked before they are advanced, with a history in order."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from cueline.application.ports.persistence import Store
from cueline.application.ports.questions import Page, RunFilter
from cueline.domain.events import Event, Subject
from cueline.domain.failure import Failure
from cueline.domain.identifiers import RunId
from cueline.domain.json import Json
from cueline.domain.retry import RetryPolicy
from cueline.domain.task import Priority
from cueline.domain.workflow.compensation import Compensation
from cueline.domain.workflow.definition import Step
from cueline.domain.workflow.run import Run, RunState, StepState
from tests.contracts.store_suite import StoreSuite, get_run, put_run
from tests.contracts.store_tasks import EVERY_KIND
from tests.doubles import NOW
from tests.factories import a_run, a_step, a_workflow

FULL = a_workflow(
    name="full",
    version=3,
    steps=[
        a_step("reserve", input={"order": "${input.order}", "every": EVERY_KIND}),
        Step(
            "charge",
            "charge",
            {"of": ["${steps.reserve.output}"]},
            after=("reserve",),
            compensate=Compensation("refund", {"a": 1}, RetryPolicy(2), timedelta(seconds=2)),
            queue="money",
            priority=Priority.CRITICAL,
            retry=RetryPolicy(attempts=7),
            timeout=timedelta(minutes=1),
        ),
    ],
    output={"receipt": "${steps.charge.output}"},
)


class RunContract(StoreSuite):
    async def test_a_run_comes_back_as_it_was_given(self, store: Store) -> None:
        run = a_run(workflow=FULL, input=EVERY_KIND, key="run-key")
        await put_run(store, run)
        assert await get_run(store, run.id) == run

    async def test_a_run_keeps_every_fact_of_its_steps(self, store: Store) -> None:
        run = a_run(workflow=FULL, input=[1])
        await put_run(store, run)
        advanced = _advanced(run)
        async with store.write() as uow:
            assert await uow.runs.lock_many([run.id]) == [run]
            await uow.runs.save_many([advanced])
            await uow.commit()
        assert await get_run(store, run.id) == advanced

    async def test_steps_keep_their_order(self, store: Store) -> None:
        names = ["zebra", "ant", "mule", "bee"]
        run = a_run(workflow=a_workflow(steps=[a_step(name) for name in names]))
        await put_run(store, run)
        found = await get_run(store, run.id)
        assert list(found.steps) == names
        assert [step.name for step in found.workflow.steps] == names

    async def test_unknown_runs_are_left_out(self, store: Store) -> None:
        run = a_run()
        await put_run(store, run)
        async with store.write() as uow:
            wanted = [a_run().id, run.id, RunId("no uuid")]
            assert await uow.runs.get_many(wanted) == [run]
            assert await uow.runs.lock_many(wanted) == [run]
            assert await uow.runs.lock_many([]) == []

    async def test_runs_are_locked_in_the_order_of_their_ids(self, store: Store) -> None:
        runs = [a_run() for _ in range(5)]
        await put_run(store, *runs)
        async with store.write() as uow:
            locked = await uow.runs.lock_many([run.id for run in reversed(runs)])
        assert locked == runs

    async def test_a_run_key_belongs_to_the_first_that_has_it(self, store: Store) -> None:
        first, second, third = a_run(key="k"), a_run(key="k"), a_run(key="k2")
        await put_run(store, first)
        async with store.write() as uow:
            assert await uow.runs.add_many([second, third]) == {third.id}
            await uow.commit()
        async with store.read() as uow:
            assert await uow.runs.by_keys(["k", "unknown"]) == [first]
            assert await uow.runs.by_keys([]) == []

    async def test_a_run_key_used_twice_in_one_batch_belongs_to_the_first(
        self, store: Store
    ) -> None:
        first, second = a_run(key="k"), a_run(key="k")
        async with store.write() as uow:
            assert await uow.runs.add_many([first, second]) == {first.id}

    async def test_runs_and_tasks_do_not_share_their_keys(self, store: Store) -> None:
        await put_run(store, a_run(key="same"))
        async with store.read() as uow:
            assert await uow.tasks.by_keys(["same"]) == []

    async def test_a_run_may_be_saved_in_the_unit_of_work_that_added_it(self, store: Store) -> None:
        run = a_run(workflow=FULL)
        async with store.write() as uow:
            await uow.runs.add_many([run])
            [locked] = await uow.runs.lock_many([run.id])
            await uow.runs.save_many([_advanced(locked)])
            await uow.commit()
        assert await get_run(store, run.id) == _advanced(run)

    async def test_runs_are_listed_newest_first_by_workflow_and_state(self, store: Store) -> None:
        other = a_workflow(name="other")
        runs = [a_run(), a_run(workflow=other), a_run(), a_run(workflow=other)]
        await put_run(store, *runs)
        async with store.write() as uow:
            await uow.runs.lock_many([runs[1].id])
            await uow.runs.save_many([replace(runs[1], state=RunState.PAUSED, version=2)])
            await uow.commit()
        assert await _listed(store, RunFilter()) == [run.id for run in runs[::-1]]
        assert await _listed(store, RunFilter(workflow="other")) == [runs[3].id, runs[1].id]
        assert await _listed(store, RunFilter((RunState.PAUSED,))) == [runs[1].id]
        assert await _listed(store, RunFilter((RunState.PAUSED,), "order")) == []
        assert await _listed(store, RunFilter(), Page(2)) == [runs[3].id, runs[2].id]
        assert await _listed(store, RunFilter(), Page(2, runs[2].id)) == [runs[1].id, runs[0].id]

    async def test_the_history_of_a_run_is_in_order(self, store: Store) -> None:
        run, other = a_run(), a_run()
        await put_run(store, run, other)
        events = [_entry(run, number, {"every": EVERY_KIND}) for number in range(1, 6)]
        async with store.write() as uow:
            await uow.runs.append_history(events[:2])
            await uow.runs.append_history([*events[2:], _entry(other, 1)])
            await uow.runs.append_history([])
            await uow.commit()
        async with store.read() as uow:
            assert await uow.runs.history(run.id, 0, 99) == events
            assert await uow.runs.history(run.id, 2, 2) == events[2:4]
            assert await uow.runs.history(run.id, 5, 9) == []
            assert await uow.runs.history(run.id, 10**18, 9) == []
            assert await uow.runs.history(a_run().id, 0, 9) == []

    async def test_history_may_be_appended_before_its_run_is_added(self, store: Store) -> None:
        run = a_run()
        async with store.write() as uow:
            await uow.runs.append_history([_entry(run, 1)])
            await uow.runs.add_many([run])
            await uow.commit()
        async with store.read() as uow:
            assert len(await uow.runs.history(run.id, 0, 9)) == 1

    async def test_changing_json_of_a_run_does_not_change_the_store(self, store: Store) -> None:
        given: list[Json] = [1]
        run = a_run(input={"given": given})
        await put_run(store, run)
        given.append(2)
        found = await get_run(store, run.id)
        assert found.input == {"given": [1]}
        assert isinstance(found.input, dict)
        found.input["more"] = 1
        assert (await get_run(store, run.id)).input == {"given": [1]}

    async def test_parallel_writers_that_lock_a_run_lose_no_update(self, store: Store) -> None:
        run = a_run()
        await put_run(store, run)

        async def advance() -> None:
            async with store.write() as uow:
                [locked] = await uow.runs.lock_many([run.id])
                await asyncio.sleep(0)
                changed = replace(locked, version=locked.version + 1, events=locked.events + 1)
                await uow.runs.save_many([changed])
                await uow.commit()

        await asyncio.gather(*(advance() for _ in range(20)))
        found = await get_run(store, run.id)
        assert (found.events, found.version) == (20, 21)

    async def test_who_waited_for_a_run_sees_the_steps_as_they_were_left(
        self, store: Store
    ) -> None:
        run = a_run(workflow=FULL)
        await put_run(store, run)
        has_it = asyncio.Event()

        async def first() -> None:
            async with store.write() as uow:
                [locked] = await uow.runs.lock_many([run.id])
                has_it.set()
                await asyncio.sleep(0.05)  # so that the other waits, where writers wait for a row
                await uow.runs.save_many([_advanced(locked)])
                await uow.commit()

        async def second() -> Run:
            await has_it.wait()
            async with store.write() as uow:
                [locked] = await uow.runs.lock_many([run.id])
                return locked

        _, seen = await asyncio.gather(first(), second())
        assert seen == _advanced(run)


def _advanced(run: Run) -> Run:
    """A run somewhere in the middle, with a value in every field."""
    steps = {
        "reserve": replace(
            run.steps["reserve"],
            state=StepState.SUCCEEDED,
            starts=2,
            started_at=NOW,
            ended_at=NOW + timedelta(seconds=1),
            completed=1,
            output=EVERY_KIND,
        ),
        "charge": replace(
            run.steps["charge"],
            state=StepState.COMPENSATION_FAILED,
            starts=1,
            undo_starts=3,
            failure=Failure("E", "m\nn", "trace", permanent=True),
        ),
    }
    return replace(
        run,
        state=RunState.COMPENSATION_FAILED,
        version=run.version + 3,
        steps=steps,
        remaining=1,
        active=1,
        completions=1,
        events=17,
        cancelled=True,
        output=EVERY_KIND,
        failure=Failure("E", "m"),
        ended_at=NOW + timedelta(microseconds=5),
    )


def _entry(run: Run, sequence: int, data: dict[str, Json] | None = None) -> Event:
    return Event(Subject.RUN, run.id, sequence, "step.started", NOW, data or {})


async def _listed(store: Store, wanted: RunFilter, page: Page | None = None) -> list[RunId]:
    async with store.read() as uow:
        return [run.id for run in await uow.runs.search(wanted, page or Page())]
