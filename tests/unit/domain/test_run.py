"""The transitions of runs and of their steps, cell by cell, driven through `advance`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cueline.domain.errors import IllegalTransition
from cueline.domain.workflow.compensation import Compensation
from cueline.domain.workflow.definition import Step, Workflow
from cueline.domain.workflow.messages import (
    CancelRun,
    PauseRun,
    ResumeRun,
    RetryRun,
    RunInput,
)
from cueline.domain.workflow.run import (
    RUN_TRANSITIONS,
    STEP_TRANSITIONS,
    RunEvent,
    RunState,
    StepEvent,
    StepRun,
    StepState,
)
from tests.unit.domain.factories import LATER, NOW, RUN_ID, a_chain, a_run, a_step
from tests.unit.domain.rehearsal import Rehearsal

UNUSABLE = {"x": "${input.missing}"}


def undoable() -> tuple[Step, ...]:
    return a_chain("ab", undo=True)


def undo_without_input() -> tuple[Step, ...]:
    return a_step("a", compensate=Compensation("undo", UNUSABLE)), a_step("b", "a")


def running() -> Rehearsal:
    return Rehearsal.of(*undoable())


def compensating() -> Rehearsal:
    return running().succeed("a").fail("b")


def waiting_for_a_sibling() -> Rehearsal:
    return Rehearsal.of(a_step("a"), a_step("b")).fail("a")


IN_STATE: dict[RunState, Callable[[], Rehearsal]] = {
    RunState.RUNNING: running,
    RunState.PAUSED: lambda: running().tell(PauseRun()),
    RunState.COMPENSATING: compensating,
    RunState.SUCCEEDED: lambda: running().succeed("a", "b"),
    RunState.COMPENSATED: lambda: compensating().undone("a"),
    RunState.FAILED: lambda: running().fail("a"),
    RunState.COMPENSATION_FAILED: lambda: compensating().undo_fails("a"),
    RunState.CANCELLED: lambda: running().tell(CancelRun()).cancelled("a"),
}

# --- runs: what can be requested ------------------------------------------------------------------

REQUESTS: dict[RunEvent, RunInput] = {
    RunEvent.PAUSE: PauseRun(),
    RunEvent.RESUME: ResumeRun(),
    RunEvent.CANCEL: CancelRun(),
    RunEvent.RETRY: RetryRun(),
}
RUN_CELLS = [(state, event) for state in RunState for event in RunEvent]
ALLOWED_REQUESTS = [(s, e) for s, e in RUN_CELLS if e in REQUESTS and e in RUN_TRANSITIONS[s]]
REFUSED_REQUESTS = [(s, e) for s, e in RUN_CELLS if e in REQUESTS and e not in RUN_TRANSITIONS[s]]


def test_the_tables_have_a_row_for_every_state() -> None:
    assert set(RUN_TRANSITIONS) == set(RunState)
    assert set(STEP_TRANSITIONS) == set(StepState)


@pytest.mark.parametrize("state", RunState)
def test_every_state_of_a_run_can_be_reached(state: RunState) -> None:
    assert IN_STATE[state]().state is state


@pytest.mark.parametrize(("state", "event"), ALLOWED_REQUESTS)
def test_an_allowed_request_leads_where_the_table_says(state: RunState, event: RunEvent) -> None:
    rehearsal = IN_STATE[state]()
    version = rehearsal.run.version
    rehearsal.tell(REQUESTS[event])
    assert rehearsal.state is RUN_TRANSITIONS[state][event]
    assert rehearsal.run.version == version + 1


@pytest.mark.parametrize(("state", "event"), REFUSED_REQUESTS)
def test_a_request_that_is_not_in_the_table_is_refused_by_name(
    state: RunState, event: RunEvent
) -> None:
    rehearsal = IN_STATE[state]()
    with pytest.raises(IllegalTransition) as refused:
        rehearsal.tell(REQUESTS[event])
    error = refused.value
    assert (error.kind, error.identifier) == ("run", RUN_ID)
    assert (error.state, error.event) == (state, event)


# --- runs: what they decide -----------------------------------------------------------------------

DECISIONS: dict[tuple[RunState, RunEvent], tuple[Callable[[], Rehearsal], RunState]] = {
    (RunState.RUNNING, RunEvent.COMPLETE): (
        lambda: running().succeed("a", "b"),
        RunState.SUCCEEDED,
    ),
    (RunState.RUNNING, RunEvent.COMPENSATE): (waiting_for_a_sibling, RunState.COMPENSATING),
    (RunState.COMPENSATING, RunEvent.FAIL): (
        lambda: waiting_for_a_sibling().fail("b"),
        RunState.FAILED,
    ),
    (RunState.COMPENSATING, RunEvent.END_COMPENSATED): (
        lambda: compensating().undone("a"),
        RunState.COMPENSATED,
    ),
    (RunState.COMPENSATING, RunEvent.END_CANCELLED): (
        lambda: running().tell(CancelRun()).cancelled("a"),
        RunState.CANCELLED,
    ),
    (RunState.COMPENSATING, RunEvent.FAIL_COMPENSATION): (
        lambda: compensating().undo_fails("a"),
        RunState.COMPENSATION_FAILED,
    ),
}


def test_every_decision_of_the_table_is_taken_in_some_story() -> None:
    decided = {(s, e) for s, e in RUN_CELLS if e in RUN_TRANSITIONS[s] and e not in REQUESTS}
    assert set(DECISIONS) == decided


@pytest.mark.parametrize(("state", "event"), DECISIONS)
def test_a_decision_leads_where_the_table_says(state: RunState, event: RunEvent) -> None:
    story, end = DECISIONS[state, event]
    rehearsal = story()
    assert rehearsal.state is end is RUN_TRANSITIONS[state][event]
    assert f"run.{end}" in rehearsal.told


@pytest.mark.parametrize(("state", "event"), RUN_CELLS)
def test_a_run_knows_what_an_event_leads_to_or_refuses_it(state: RunState, event: RunEvent) -> None:
    run = replace(a_run(), state=state)
    if event in RUN_TRANSITIONS[state]:
        assert run.after(event) is RUN_TRANSITIONS[state][event]
    else:
        with pytest.raises(IllegalTransition, match=f"run {RUN_ID} is {state}: it cannot {event}"):
            run.after(event)


@pytest.mark.parametrize("state", RunState)
def test_a_run_has_an_end_time_exactly_when_it_has_ended(state: RunState) -> None:
    run = IN_STATE[state]().run
    assert (run.ended_at is not None) == state.ended


def test_what_has_not_ended_is_running_paused_or_compensating() -> None:
    going = {state for state in RunState if not state.ended}
    assert going == {RunState.RUNNING, RunState.PAUSED, RunState.COMPENSATING}


# --- steps ----------------------------------------------------------------------------------------


def undo_input_missing() -> Rehearsal:
    return Rehearsal.of(*undo_without_input()).succeed("a").fail("b")


STEP_MOVES: dict[
    tuple[StepState, StepEvent], tuple[Callable[[], Rehearsal], Callable[[Rehearsal], Rehearsal]]
] = {
    (StepState.WAITING, StepEvent.START): (
        lambda: Rehearsal(a_run(a_step("a"))),
        lambda r: Rehearsal.of(*r.run.workflow.steps),
    ),
    (StepState.WAITING, StepEvent.FAIL): (
        lambda: Rehearsal(a_run(a_step("a", input=UNUSABLE))),
        lambda r: Rehearsal.of(*r.run.workflow.steps),
    ),
    (StepState.RUNNING, StepEvent.SUCCEED): (running, lambda r: r.succeed("a")),
    (StepState.RUNNING, StepEvent.FAIL): (running, lambda r: r.fail("a")),
    (StepState.RUNNING, StepEvent.CANCEL): (running, lambda r: r.cancelled("a")),
    (StepState.SUCCEEDED, StepEvent.UNDO): (
        lambda: running().succeed("a"),
        lambda r: r.fail("b"),
    ),
    (StepState.SUCCEEDED, StepEvent.FAIL_UNDO): (
        lambda: Rehearsal.of(*undo_without_input()).succeed("a"),
        lambda r: r.fail("b"),
    ),
    (StepState.FAILED, StepEvent.RESET): (
        lambda: waiting_for_a_sibling().cancelled("b"),
        lambda r: r.tell(RetryRun()),
    ),
    (StepState.CANCELLED, StepEvent.RESET): (
        lambda: running().cancelled("a"),
        lambda r: r.tell(RetryRun()),
    ),
    (StepState.COMPENSATING, StepEvent.UNDONE): (compensating, lambda r: r.undone("a")),
    (StepState.COMPENSATING, StepEvent.FAIL_UNDO): (compensating, lambda r: r.undo_fails("a")),
    (StepState.COMPENSATION_FAILED, StepEvent.UNDO): (
        lambda: compensating().undo_fails("a"),
        lambda r: r.tell(RetryRun()),
    ),
    (StepState.COMPENSATION_FAILED, StepEvent.FAIL_UNDO): (
        undo_input_missing,
        lambda r: r.tell(RetryRun()),
    ),
}
PAST = {
    StepEvent.START: "started",
    StepEvent.SUCCEED: "succeeded",
    StepEvent.FAIL: "failed",
    StepEvent.CANCEL: "cancelled",
    StepEvent.RESET: "reset",
    StepEvent.UNDO: "compensating",
    StepEvent.UNDONE: "compensated",
    StepEvent.FAIL_UNDO: "compensation_failed",
}
STEP_CELLS = [(state, event) for state in StepState for event in StepEvent]


def test_every_move_of_a_step_in_the_table_happens_in_some_story() -> None:
    assert set(STEP_MOVES) == {(s, e) for s, e in STEP_CELLS if e in STEP_TRANSITIONS[s]}


@pytest.mark.parametrize(("state", "event"), STEP_MOVES)
def test_a_step_moves_where_the_table_says(state: StepState, event: StepEvent) -> None:
    before, move = STEP_MOVES[state, event]
    rehearsal = before()
    assert rehearsal.states["a"] is state
    seen = len(rehearsal.facts)
    after = move(rehearsal)
    assert f"step.{PAST[event]} a" in after.told[seen:]
    if event is not StepEvent.RESET:  # a step that was reset is started at once
        assert after.states["a"] is STEP_TRANSITIONS[state][event]


@pytest.mark.parametrize(("state", "event"), STEP_CELLS)
def test_a_step_knows_what_an_event_leads_to_or_refuses_it(
    state: StepState, event: StepEvent
) -> None:
    step = StepRun("charge", state)
    if event in STEP_TRANSITIONS[state]:
        assert step.after(event) is STEP_TRANSITIONS[state][event]
    else:
        with pytest.raises(IllegalTransition, match=f"step charge is {state}: it cannot {event}"):
            step.after(event)


# --- the counters and what surrounds them ---------------------------------------------------------


def test_a_new_run_waits_in_every_step() -> None:
    run = a_run(*undoable(), input={"order": 7})
    assert (run.state, run.version, run.events) == (RunState.RUNNING, 1, 0)
    assert (run.remaining, run.active, run.completions) == (2, 0, 0)
    assert {step.state for step in run.steps.values()} == {StepState.WAITING}
    assert run.created_at == NOW


def test_the_counters_follow_the_steps() -> None:
    def counters(rehearsal: Rehearsal) -> tuple[int, int, int]:
        return rehearsal.run.remaining, rehearsal.run.active, rehearsal.run.completions

    rehearsal = running()
    assert counters(rehearsal) == (2, 1, 0)
    assert counters(rehearsal.succeed("a")) == (1, 1, 1)
    assert counters(rehearsal.fail("b")) == (2, 1, 1)
    assert counters(rehearsal.undone("a")) == (2, 0, 1)


def test_expressions_see_the_outputs_of_steps_that_succeeded_even_when_they_are_undone() -> None:
    rehearsal = running()
    assert rehearsal.run.scope.outputs == {}
    rehearsal.succeed("a", output={"id": 1})
    assert rehearsal.run.scope.outputs == {"a": {"id": 1}}
    rehearsal.fail("b").undone("a")
    assert rehearsal.run.scope.outputs == {"a": {"id": 1}}


def test_a_repeated_request_is_one_for_the_same_workflow_with_the_same_input() -> None:
    run = a_run(a_step("a"), input={"order": 7})
    assert run.asks_the_same_as(replace(run, created_at=LATER, key="k"))
    assert not run.asks_the_same_as(a_run(a_step("a"), input={"order": 8}))
    assert not run.asks_the_same_as(a_run(a_step("b"), input={"order": 7}))
    assert not run.asks_the_same_as(a_run(a_step("a"), input={"order": 7.0}))


def test_a_request_by_name_is_repeated_even_if_there_is_a_later_version_now() -> None:
    run = a_run(a_step("a"))
    later = replace(run, workflow=Workflow("order", 2, (a_step("b"),)))
    assert run.asks_the_same_as(later)
    assert not run.asks_the_same_as(replace(run, workflow=Workflow("other", 2, (a_step("b"),))))
