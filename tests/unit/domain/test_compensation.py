"""The order in which steps are undone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cueline.domain.workflow.compensation import undo_order
from cueline.domain.workflow.run import StepRun, StepState
from tests.unit.domain.factories import a_step, modest


def completed(name: str, place: int, state: StepState = StepState.SUCCEEDED) -> StepRun:
    return StepRun(name, state, completed=place)


def order(*steps: StepRun, lasting: str = "") -> list[str]:
    definitions = {step.name: a_step(step.name, undo=step.name not in lasting) for step in steps}
    return undo_order({step.name: step for step in steps}, definitions)


def test_the_last_to_complete_is_undone_first() -> None:
    assert order(completed("a", 2), completed("b", 3), completed("c", 1)) == ["b", "a", "c"]


def test_a_step_that_cannot_be_undone_is_left_out() -> None:
    assert order(completed("a", 1), completed("b", 2), completed("c", 3), lasting="b") == ["c", "a"]


@pytest.mark.parametrize(
    "state", [state for state in StepState if state is not StepState.SUCCEEDED]
)
def test_only_a_step_whose_effect_stands_is_to_be_undone(state: StepState) -> None:
    assert order(completed("a", 1), replace(completed("b", 2), state=state)) == ["a"]


def test_where_nothing_was_done_nothing_is_undone() -> None:
    assert order() == []
    assert order(StepRun("a"), StepRun("b")) == []


@modest
@given(st.permutations(range(1, 9)))
def test_the_order_is_that_of_completion_reversed(places: list[int]) -> None:
    steps = [completed(f"s{place}", place) for place in places]
    assert order(*steps) == [f"s{place}" for place in range(8, 0, -1)]
