"""A worker's lease, and its transitions cell by cell."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from cueline.domain.errors import IllegalTransition, WorkerEvicted
from cueline.domain.worker import (
    BEATS_PER_LEASE,
    LEASE,
    WORKER_TRANSITIONS,
    Worker,
    WorkerEvent,
    WorkerState,
)
from tests.unit.domain.factories import LATER, NOW, SECOND, WORKER_ID, a_worker

MOVES: dict[WorkerEvent, Callable[[Worker, datetime], Worker]] = {
    WorkerEvent.RENEW: lambda worker, now: worker.renew(now),
    WorkerEvent.STOP: lambda worker, _now: worker.stop(),
    WorkerEvent.EVICT: lambda worker, now: worker.evict(now),
}
STATES: dict[WorkerState, Callable[[], Worker]] = {
    WorkerState.LIVE: a_worker,
    WorkerState.STOPPED: lambda: a_worker().stop(),
    WorkerState.LOST: lambda: a_worker().evict(LATER),
}
CELLS = [(state, event) for state in WorkerState for event in WorkerEvent]
ALLOWED = [(state, event) for state, event in CELLS if event in WORKER_TRANSITIONS[state]]
REFUSED = [
    cell
    for cell in CELLS
    # A lost worker that renews is told more than that it cannot: see below.
    if cell not in ALLOWED and cell != (WorkerState.LOST, WorkerEvent.RENEW)
]


def test_the_table_has_a_row_for_every_state() -> None:
    assert set(WORKER_TRANSITIONS) == set(WorkerState)


@pytest.mark.parametrize(("state", "event"), ALLOWED)
def test_an_allowed_event_leads_where_the_table_says(
    state: WorkerState, event: WorkerEvent
) -> None:
    assert MOVES[event](STATES[state](), LATER).state is WORKER_TRANSITIONS[state][event]


@pytest.mark.parametrize(("state", "event"), REFUSED)
def test_an_event_that_is_not_in_the_table_is_refused_by_name(
    state: WorkerState, event: WorkerEvent
) -> None:
    with pytest.raises(IllegalTransition) as refused:
        MOVES[event](STATES[state](), LATER)
    error = refused.value
    assert (error.kind, error.identifier) == ("worker", WORKER_ID)
    assert (error.state, error.event) == (state, event)


def test_a_worker_that_was_evicted_learns_so_when_it_renews() -> None:
    with pytest.raises(WorkerEvicted) as refused:
        STATES[WorkerState.LOST]().renew(LATER)
    assert refused.value.worker_id == WORKER_ID


def test_a_lease_lapses_at_its_end_and_not_before() -> None:
    worker = a_worker()
    assert worker.lease_until == NOW + LEASE
    assert not worker.has_lapsed(worker.lease_until - SECOND)
    assert worker.has_lapsed(worker.lease_until)


def test_renewing_extends_the_lease_from_now_on() -> None:
    renewed = a_worker().renew(NOW + 10 * SECOND)
    assert renewed.lease_until == NOW + 10 * SECOND + LEASE
    assert renewed.started_at == NOW


def test_a_lease_that_lapsed_unnoticed_may_be_renewed() -> None:
    assert not a_worker().renew(LATER).has_lapsed(LATER)


def test_a_worker_is_not_evicted_while_its_lease_lasts() -> None:
    worker = a_worker()
    with pytest.raises(IllegalTransition, match="is live: it cannot evict"):
        worker.evict(worker.lease_until - SECOND)


@pytest.mark.parametrize("state", [WorkerState.STOPPED, WorkerState.LOST])
def test_only_a_live_worker_has_a_lease_that_can_lapse(state: WorkerState) -> None:
    assert not STATES[state]().has_lapsed(LATER)


def test_a_lease_outlives_a_few_lost_beats() -> None:
    beat = LEASE / BEATS_PER_LEASE
    assert not a_worker().has_lapsed(NOW + (BEATS_PER_LEASE - 1) * beat)
