"""Copies of frozen dataclasses."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from cueline.domain.copying import changed
from cueline.domain.workflow.run import StepRun
from tests.factories import a_task


def test_a_copy_is_what_replace_makes_field_by_field() -> None:
    task = a_task()
    for field in fields(task):
        one_change: dict[str, Any] = {field.name: object()}
        copy = changed(task, **one_change)
        assert copy is not task
        assert copy == replace(task, **one_change)


def test_several_fields_are_changed_at_once_and_the_original_stays_as_it_is() -> None:
    step = StepRun("pay")
    before = replace(step)
    assert changed(step, starts=2, output=[1]) == replace(step, starts=2, output=[1])
    assert step == before


def test_a_field_that_there_is_not_is_refused() -> None:
    with pytest.raises(KeyError, match="colour"):
        changed(StepRun("pay"), colour="red")
