"""How a run advances, story by story."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cueline.domain.errors import IllegalTransition
from cueline.domain.events import Subject
from cueline.domain.identifiers import Purpose
from cueline.domain.workflow.advance import advance
from cueline.domain.workflow.compensation import Compensation
from cueline.domain.workflow.definition import Step
from cueline.domain.workflow.messages import (
    CancelRun,
    PauseRun,
    ResumeRun,
    RetryRun,
    RunInput,
    StartTask,
    TaskCancelled,
    TaskFailed,
    TaskSucceeded,
    WithdrawTasks,
)
from cueline.domain.workflow.run import RunState, StepState
from tests.unit.domain.factories import (
    LATER,
    NOW,
    RUN_ID,
    a_chain,
    a_failure,
    a_step,
)
from tests.unit.domain.rehearsal import Rehearsal

WORK, UNDO = Purpose.WORK, Purpose.UNDO
OTHER = a_failure("KeyError", "'price'")


def diamond(undo: bool = False) -> tuple[Step, ...]:
    """One step, then two side by side, then one that joins them."""
    return (
        a_step("first", undo=undo),
        a_step("left", "first", undo=undo),
        a_step("right", "first", undo=undo),
        a_step("join", "left", "right", undo=undo),
    )


def side_by_side(undo: bool = True) -> Rehearsal:
    return Rehearsal.of(*(a_step(name, undo=undo) for name in "abc"))


# --- forward --------------------------------------------------------------------------------------


def test_steps_run_one_after_another() -> None:
    rehearsal = Rehearsal.of(*a_chain("abc"))
    assert rehearsal.answer == (StartTask("a", WORK, {}),)
    assert rehearsal.succeed("a").answer == (StartTask("b", WORK, {}),)
    assert rehearsal.succeed("b").answer == (StartTask("c", WORK, {}),)
    assert rehearsal.succeed("c").answer == ()
    assert rehearsal.state is RunState.SUCCEEDED


def test_steps_that_need_nothing_start_together() -> None:
    assert side_by_side().started == ["a", "b", "c"]


def test_a_join_starts_once_when_the_last_of_its_needs_has_succeeded() -> None:
    rehearsal = Rehearsal.of(*diamond()).succeed("first", "right")
    assert rehearsal.started == ["first", "left", "right"]
    assert rehearsal.succeed("left").answer == (StartTask("join", WORK, {}),)
    assert rehearsal.succeed("left", "right").answer == ()
    assert rehearsal.succeed("join").state is RunState.SUCCEEDED


def test_the_input_of_a_step_is_made_from_the_run_s_input_and_earlier_outputs() -> None:
    use = {"order": "${input.order}", "seat": "${steps.a.output.seats[0]}", "fixed": [1]}
    rehearsal = Rehearsal.of(a_step("a"), a_step("b", input=use), input={"order": 7})
    rehearsal.succeed("a", output={"seats": ["4A"]})
    assert rehearsal.answer == (StartTask("b", WORK, {"order": 7, "seat": "4A", "fixed": [1]}),)


def test_a_run_that_succeeds_has_the_output_that_its_template_says() -> None:
    rehearsal = Rehearsal.of(a_step("a"), output={"id": "${steps.a.output}", "of": "${input}"})
    rehearsal.succeed("a", output=42)
    assert rehearsal.run.output == {"id": 42, "of": None}
    assert rehearsal.run.ended_at == NOW
    assert rehearsal.run.failure is None


def test_without_a_template_a_run_has_no_output() -> None:
    assert Rehearsal.of(a_step("a")).succeed("a", output=42).run.output is None


def test_a_run_that_succeeded_undid_nothing() -> None:
    rehearsal = Rehearsal.of(*diamond(undo=True)).succeed("first", "left", "right", "join")
    assert rehearsal.undos == []


def test_steps_remember_when_they_started_and_ended_and_in_which_order() -> None:
    rehearsal = Rehearsal.of(*a_chain("ab"))
    rehearsal.now = LATER
    rehearsal.succeed("a", output="x")
    a, b = rehearsal.run.steps["a"], rehearsal.run.steps["b"]
    assert (a.started_at, a.ended_at, a.completed, a.output) == (NOW, LATER, 1, "x")
    assert (b.started_at, b.ended_at, b.completed, b.output) == (LATER, None, None, None)
    assert (a.starts, b.starts) == (1, 1)


# --- failure --------------------------------------------------------------------------------------


def test_a_run_in_which_nothing_can_be_undone_fails() -> None:
    rehearsal = Rehearsal.of(*a_chain("ab")).succeed("a").fail("b", OTHER)
    assert rehearsal.state is RunState.FAILED
    assert rehearsal.run.failure == OTHER
    assert rehearsal.run.ended_at == NOW
    assert rehearsal.states["b"] is StepState.FAILED
    assert rehearsal.run.steps["b"].failure == OTHER


def test_after_a_failure_nothing_more_is_started() -> None:
    rehearsal = Rehearsal.of(a_step("a"), a_step("b"), a_step("c", "b"))
    rehearsal.fail("a").succeed("b")
    assert rehearsal.started == ["a", "b"]
    assert rehearsal.states["c"] is StepState.WAITING


def test_a_failure_withdraws_what_is_queued_and_waits_for_what_runs() -> None:
    rehearsal = side_by_side().fail("a")
    assert rehearsal.answer == (WithdrawTasks(("b", "c"), running=False),)
    assert rehearsal.state is RunState.COMPENSATING
    # b was still queued and has been withdrawn; c runs to its end, and its effect is undone.
    assert rehearsal.cancelled("b").answer == ()
    assert rehearsal.succeed("c").answer == (StartTask("c", UNDO, {}),)
    assert rehearsal.undone("c").state is RunState.COMPENSATED


def test_a_second_failure_does_not_hide_the_first() -> None:
    rehearsal = side_by_side().fail("a", OTHER).fail("b").cancelled("c")
    assert rehearsal.state is RunState.FAILED
    assert rehearsal.run.failure == OTHER


def test_a_task_that_was_cancelled_breaks_its_run() -> None:
    rehearsal = Rehearsal.of(*a_chain("ab", undo=True)).succeed("a").cancelled("b")
    assert rehearsal.state is RunState.COMPENSATING
    assert rehearsal.states["b"] is StepState.CANCELLED
    assert rehearsal.run.failure is not None
    assert rehearsal.run.failure.summary == "Cancelled: step 'b' was cancelled"


# --- compensation ---------------------------------------------------------------------------------


def test_what_was_done_is_undone_one_by_one_the_last_first() -> None:
    rehearsal = Rehearsal.of(*a_chain("abcd", undo=True)).succeed("a", "b", "c").fail("d")
    for step in ("c", "b", "a"):
        assert rehearsal.answer == (StartTask(step, UNDO, {}),)
        assert rehearsal.states[step] is StepState.COMPENSATING
        rehearsal.undone(step)
        assert rehearsal.states[step] is StepState.COMPENSATED
    assert rehearsal.state is RunState.COMPENSATED
    assert rehearsal.run.failure == a_failure()


def test_the_order_of_undoing_is_that_of_completion_not_of_definition() -> None:
    rehearsal = Rehearsal.of(*diamond(undo=True)).succeed("first", "right", "left").fail("join")
    rehearsal.undone("left", "right", "first")
    assert rehearsal.undos == ["left", "right", "first"]
    assert rehearsal.state is RunState.COMPENSATED


def test_steps_that_cannot_be_undone_are_passed_over_and_keep_their_state() -> None:
    steps = (a_step("a", undo=True), a_step("b", "a"), a_step("c", "b"))
    rehearsal = Rehearsal.of(*steps).succeed("a", "b").fail("c").undone("a")
    assert rehearsal.undos == ["a"]
    assert rehearsal.states["b"] is StepState.SUCCEEDED
    assert rehearsal.state is RunState.COMPENSATED


def test_the_step_that_failed_is_not_undone() -> None:
    assert Rehearsal.of(*a_chain("ab", undo=True)).succeed("a").fail("b").undos == ["a"]


def test_the_input_of_an_undo_is_made_from_what_the_run_has() -> None:
    use = {"order": "${input.order}", "first": "${steps.a.output.id}", "own": "${steps.b.output}"}
    steps = (
        a_step("a", undo=True),
        a_step("b", "a", compensate=Compensation("undo_b", use)),
        a_step("c", "b"),
    )
    rehearsal = Rehearsal.of(*steps, input={"order": 7})
    rehearsal.succeed("a", output={"id": 1}).succeed("b", output="x").fail("c")
    assert rehearsal.answer == (StartTask("b", UNDO, {"order": 7, "first": 1, "own": "x"}),)


def test_an_undo_that_fails_ends_the_run_and_leaves_the_rest_as_it_is() -> None:
    rehearsal = Rehearsal.of(*a_chain("abc", undo=True)).succeed("a", "b").fail("c", OTHER)
    rehearsal.undo_fails("b")
    assert rehearsal.state is RunState.COMPENSATION_FAILED
    assert rehearsal.states == {
        "a": StepState.SUCCEEDED,
        "b": StepState.COMPENSATION_FAILED,
        "c": StepState.FAILED,
    }
    assert rehearsal.run.failure == OTHER
    assert rehearsal.run.steps["b"].failure == a_failure("OSError", "unreachable")
    assert rehearsal.run.ended_at == NOW


def test_an_undo_whose_task_is_cancelled_has_failed() -> None:
    rehearsal = Rehearsal.of(*a_chain("ab", undo=True)).succeed("a").fail("b")
    rehearsal.tell(TaskCancelled("a", UNDO))
    assert rehearsal.state is RunState.COMPENSATION_FAILED
    failure = rehearsal.run.steps["a"].failure
    assert failure is not None
    assert failure.type == "Cancelled"


# --- inputs and outputs that cannot be made -------------------------------------------------------


def test_a_step_whose_input_cannot_be_made_fails_and_says_why() -> None:
    use = {"id": "${steps.a.output.id}"}
    rehearsal = Rehearsal.of(a_step("a", undo=True), a_step("b", input=use))
    rehearsal.succeed("a", output={"name": "x"})
    assert rehearsal.states["b"] is StepState.FAILED
    assert rehearsal.run.steps["b"].starts == 0
    assert rehearsal.run.failure is not None
    assert "steps.a.output has no 'id'; it has: name" in rehearsal.run.failure.message
    assert rehearsal.answer == (StartTask("a", UNDO, {}),)


def test_an_input_that_cannot_be_made_takes_back_what_started_beside_it() -> None:
    rehearsal = Rehearsal.of(a_step("a"), a_step("b", input={"x": "${input.x}"}), a_step("c"))
    assert rehearsal.answer == (
        StartTask("a", WORK, {}),
        WithdrawTasks(("a",), running=False),
    )
    assert rehearsal.states["c"] is StepState.WAITING
    assert rehearsal.cancelled("a").state is RunState.FAILED


def test_an_undo_whose_input_cannot_be_made_has_failed() -> None:
    undo = Compensation("undo_b", {"id": "${steps.b.output.id}"})
    steps = (a_step("a", undo=True), a_step("b", "a", compensate=undo), a_step("c", "b"))
    rehearsal = Rehearsal.of(*steps).succeed("a", "b").fail("c")
    assert rehearsal.state is RunState.COMPENSATION_FAILED
    assert rehearsal.undos == []
    failure = rehearsal.run.steps["b"].failure
    assert failure is not None
    assert "steps.b.output is null, not an object" in failure.message


def test_an_output_that_cannot_be_made_fails_the_run_and_undoes_it() -> None:
    rehearsal = Rehearsal.of(a_step("a", undo=True), output="${steps.a.output.id}").succeed("a")
    assert rehearsal.state is RunState.COMPENSATING
    assert rehearsal.undone("a").state is RunState.COMPENSATED
    assert rehearsal.run.output is None
    assert rehearsal.run.failure is not None
    assert "steps.a.output is null" in rehearsal.run.failure.message


# --- retrying -------------------------------------------------------------------------------------


def test_retrying_a_failed_run_starts_what_broke_again_and_keeps_what_was_done() -> None:
    steps = (a_step("a"), a_step("b", "a"), a_step("c", "a"), a_step("d", "b", "c"))
    rehearsal = Rehearsal.of(*steps).succeed("a").fail("b").cancelled("c").tell(RetryRun())
    assert rehearsal.answer == (
        StartTask("b", WORK, {}, again=True),
        StartTask("c", WORK, {}, again=True),
    )
    assert rehearsal.run.failure is None
    assert rehearsal.run.ended_at is None
    assert rehearsal.run.steps["b"].failure is None
    assert rehearsal.succeed("b", "c").answer == (StartTask("d", WORK, {}),)
    assert rehearsal.succeed("d").state is RunState.SUCCEEDED


def test_a_step_that_had_never_started_is_not_started_again_but_for_the_first_time() -> None:
    rehearsal = Rehearsal.of(a_step("a", input={"x": "${input.x}"}))
    assert rehearsal.state is RunState.FAILED
    rehearsal.run = replace(rehearsal.run, input={"x": 1})
    assert rehearsal.tell(RetryRun()).answer == (StartTask("a", WORK, {"x": 1}, again=False),)


def test_what_cannot_be_made_fails_again_when_it_is_retried() -> None:
    rehearsal = Rehearsal.of(a_step("a", input={"x": "${input.x}"})).tell(RetryRun())
    assert rehearsal.state is RunState.FAILED
    rehearsal = Rehearsal.of(a_step("a"), output="${steps.a.output.x}").succeed("a")
    assert rehearsal.tell(RetryRun()).state is RunState.FAILED


def test_a_run_can_be_retried_as_often_as_it_fails() -> None:
    rehearsal = Rehearsal.of(a_step("a"))
    for starts in (1, 2, 3):
        assert rehearsal.run.steps["a"].starts == starts
        rehearsal.fail("a").tell(RetryRun())
    assert rehearsal.succeed("a").state is RunState.SUCCEEDED


def test_retrying_a_failed_undo_goes_on_where_it_failed() -> None:
    rehearsal = Rehearsal.of(*a_chain("abc", undo=True)).succeed("a", "b").fail("c", OTHER)
    rehearsal.undo_fails("b").tell(RetryRun())
    assert rehearsal.state is RunState.COMPENSATING
    assert rehearsal.answer == (StartTask("b", UNDO, {}, again=True),)
    assert rehearsal.run.ended_at is None
    assert rehearsal.run.steps["b"].failure is None
    assert rehearsal.undone("b").answer == (StartTask("a", UNDO, {}),)
    assert rehearsal.undone("a").state is RunState.COMPENSATED
    assert rehearsal.run.failure == OTHER


def test_a_retried_run_does_not_tell_the_error_that_is_over() -> None:
    rehearsal = Rehearsal.of(a_step("a")).fail("a").tell(RetryRun())
    (running,) = [fact for fact in rehearsal.facts if fact.type == "run.running"]
    assert "error" not in running.data


# --- cancelling -----------------------------------------------------------------------------------


def test_cancelling_stops_what_is_under_way_and_undoes_what_was_done() -> None:
    rehearsal = Rehearsal.of(*diamond(undo=True)).succeed("first", "left")
    assert rehearsal.tell(CancelRun()).state is RunState.COMPENSATING
    assert rehearsal.answer == (WithdrawTasks(("right",), running=True),)
    rehearsal.cancelled("right").undone("left", "first")
    assert rehearsal.undos == ["left", "first"]
    assert rehearsal.state is RunState.CANCELLED
    assert rehearsal.run.cancelled


def test_a_task_that_succeeds_in_spite_of_the_cancelling_is_undone_too() -> None:
    rehearsal = Rehearsal.of(*a_chain("ab", undo=True)).tell(CancelRun()).succeed("a")
    assert rehearsal.started == ["a"]
    assert rehearsal.undone("a").state is RunState.CANCELLED


def test_a_run_with_nothing_to_undo_is_cancelled_when_its_tasks_have_ended() -> None:
    rehearsal = Rehearsal.of(a_step("a"), a_step("b")).tell(CancelRun())
    assert rehearsal.cancelled("a").state is RunState.COMPENSATING
    assert rehearsal.fail("b").state is RunState.CANCELLED


def test_a_paused_run_can_be_cancelled() -> None:
    rehearsal = Rehearsal.of(*a_chain("ab", undo=True)).tell(PauseRun()).succeed("a")
    rehearsal.tell(CancelRun())
    assert rehearsal.answer == (StartTask("a", UNDO, {}),)
    assert rehearsal.undone("a").state is RunState.CANCELLED


def test_a_run_that_was_cancelled_stays_so_when_its_undo_had_to_be_retried() -> None:
    rehearsal = Rehearsal.of(*a_chain("ab", undo=True)).succeed("a").tell(CancelRun())
    assert rehearsal.cancelled("b").undo_fails("a").state is RunState.COMPENSATION_FAILED
    assert rehearsal.tell(RetryRun()).undone("a").state is RunState.CANCELLED


@pytest.mark.parametrize("request_", [CancelRun(), PauseRun(), ResumeRun()], ids=repr)
def test_a_run_that_is_compensating_takes_no_further_request(request_: RunInput) -> None:
    rehearsal = Rehearsal.of(*a_chain("ab", undo=True)).succeed("a").fail("b")
    with pytest.raises(IllegalTransition, match="is compensating"):
        rehearsal.tell(request_)


# --- pausing --------------------------------------------------------------------------------------


def test_a_paused_run_starts_nothing_and_takes_note_of_what_ends() -> None:
    rehearsal = Rehearsal.of(*a_chain("abc")).tell(PauseRun()).succeed("a", output=1)
    assert rehearsal.answer == ()
    assert rehearsal.run.steps["a"].output == 1
    assert rehearsal.tell(ResumeRun()).answer == (StartTask("b", WORK, {}),)
    assert rehearsal.state is RunState.RUNNING


def test_a_run_all_of_whose_steps_ended_during_the_pause_succeeds_when_resumed() -> None:
    rehearsal = Rehearsal.of(a_step("a")).tell(PauseRun()).succeed("a")
    assert rehearsal.state is RunState.PAUSED
    assert rehearsal.tell(ResumeRun()).state is RunState.SUCCEEDED


def test_a_failure_during_the_pause_takes_effect_when_the_run_is_resumed() -> None:
    rehearsal = side_by_side().succeed("a").tell(PauseRun())
    assert rehearsal.fail("b", OTHER).state is RunState.PAUSED
    assert rehearsal.undos == []
    assert rehearsal.tell(ResumeRun()).state is RunState.COMPENSATING
    assert rehearsal.run.failure == OTHER
    assert rehearsal.answer == (WithdrawTasks(("c",), running=False),)
    assert rehearsal.succeed("c").undone("c", "a").state is RunState.COMPENSATED
    assert rehearsal.undos == ["c", "a"]


def test_resuming_starts_nothing_that_has_been_started() -> None:
    rehearsal = side_by_side().tell(PauseRun()).tell(ResumeRun())
    assert rehearsal.answer == ()
    assert rehearsal.started == ["a", "b", "c"]


# --- reports that nobody waits for ----------------------------------------------------------------


def reports(step: str, purpose: Purpose) -> list[RunInput]:
    return [
        TaskSucceeded(step, purpose, "late"),
        TaskFailed(step, purpose, a_failure()),
        TaskCancelled(step, purpose),
    ]


REHEARSALS: dict[str, Callable[[], tuple[Rehearsal, str, Purpose]]] = {
    "a step that waits": lambda: (Rehearsal.of(*a_chain("ab")), "b", WORK),
    "a step that succeeded": lambda: (Rehearsal.of(*a_chain("ab")).succeed("a"), "a", WORK),
    "a step that failed": lambda: (side_by_side().fail("a"), "a", WORK),
    "a step that was cancelled": lambda: (side_by_side().cancelled("a"), "a", WORK),
    "an unknown step": lambda: (side_by_side(), "z", WORK),
    "an undo that nobody asked for": lambda: (side_by_side(), "a", UNDO),
    "an undo before its turn": lambda: (side_by_side().succeed("a", "b").fail("c"), "a", UNDO),
    "the work of a step that is being undone": lambda: (
        Rehearsal.of(*a_chain("ab", undo=True)).succeed("a").fail("b"),
        "a",
        WORK,
    ),
    "an undo that is done": lambda: (
        Rehearsal.of(*a_chain("ab", undo=True)).succeed("a").fail("b").undone("a"),
        "a",
        UNDO,
    ),
    "an undo that failed": lambda: (
        Rehearsal.of(*a_chain("ab", undo=True)).succeed("a").fail("b").undo_fails("a"),
        "a",
        UNDO,
    ),
    "a run that succeeded": lambda: (Rehearsal.of(a_step("a")).succeed("a"), "a", WORK),
    "a run that failed": lambda: (Rehearsal.of(a_step("a")).fail("a"), "a", WORK),
    "a run that was cancelled": lambda: (
        Rehearsal.of(a_step("a")).tell(CancelRun()).cancelled("a"),
        "a",
        WORK,
    ),
}


@pytest.mark.parametrize("story", REHEARSALS)
def test_a_late_or_repeated_report_changes_nothing_at(story: str) -> None:
    rehearsal, step, purpose = REHEARSALS[story]()
    for report in reports(step, purpose):
        answer = advance(rehearsal.run, report, LATER)
        assert answer.run == rehearsal.run
        assert answer.commands == ()
        assert answer.facts == ()


# --- the history ----------------------------------------------------------------------------------


def test_the_history_tells_all_that_happened_in_order() -> None:
    rehearsal = Rehearsal.of(*a_chain("ab", undo=True)).succeed("a").tell(PauseRun())
    rehearsal.tell(ResumeRun()).fail("b").undo_fails("a").tell(RetryRun()).undone("a")
    assert rehearsal.told == [
        "run.started",
        "step.started a",
        "step.succeeded a",
        "step.started b",
        "run.paused",
        "run.running",
        "step.failed b",
        "run.compensating",
        "step.compensating a",
        "step.compensation_failed a",
        "run.compensation_failed",
        "run.compensating",
        "step.compensating a",
        "step.compensated a",
        "run.compensated",
    ]


def test_the_entries_of_the_history_are_numbered_and_dated_and_carry_errors() -> None:
    rehearsal = Rehearsal.of(*a_chain("ab")).succeed("a").fail("b", OTHER)
    assert [fact.sequence for fact in rehearsal.facts] == list(range(1, 8))
    assert rehearsal.run.events == 7
    assert {(fact.subject, fact.id, fact.at) for fact in rehearsal.facts} == {
        (Subject.RUN, RUN_ID, NOW)
    }
    assert rehearsal.facts[0].data == {"workflow": "order"}
    errors = {fact.type: fact.data["error"] for fact in rehearsal.facts if "error" in fact.data}
    assert errors == dict.fromkeys(
        ("step.failed", "run.compensating", "run.failed"), "KeyError: 'price'"
    )


def test_every_step_forward_is_one_version() -> None:
    rehearsal = Rehearsal.of(*diamond())
    assert rehearsal.run.version == 2
    for version, step in enumerate(("first", "left", "right", "join"), 3):
        assert rehearsal.succeed(step).run.version == version


# --- purity and size ------------------------------------------------------------------------------


def test_advancing_leaves_the_run_that_it_was_given_as_it_was() -> None:
    before = Rehearsal.of(*a_chain("ab")).run
    copy = replace(before, steps=dict(before.steps))
    first = advance(before, TaskSucceeded("a", WORK, 1), LATER)
    assert before == copy
    assert advance(before, TaskSucceeded("a", WORK, 1), LATER) == first


def test_a_fan_out_to_hundreds_of_steps_and_back_takes_moments() -> None:
    names = [f"s{number}" for number in range(998)]
    steps = (a_step("start"), *(a_step(name, "start") for name in names), a_step("end", *names))
    rehearsal = Rehearsal.of(*steps).succeed("start", *names, "end")
    assert rehearsal.state is RunState.SUCCEEDED
