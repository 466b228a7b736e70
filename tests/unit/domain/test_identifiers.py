"""Derived identifiers, and the names that things may have."""

from __future__ import annotations

import re
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cueline.domain.errors import InvalidInput, Problem
from cueline.domain.identifiers import (
    Purpose,
    RunId,
    check_name,
    check_text,
    require_name,
    step_task_id,
)
from tests.unit.domain.factories import RUN_ID, modest

run_ids = st.uuids(version=4).map(lambda uuid: RunId(str(uuid)))
steps = st.from_regex(re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII), fullmatch=True)
purposes = st.sampled_from(Purpose)


@modest
@given(run_ids, steps, purposes)
def test_a_derived_id_is_a_canonical_uuid_of_version_8(
    run_id: RunId, step: str, purpose: Purpose
) -> None:
    derived = step_task_id(run_id, step, purpose)
    uuid = UUID(derived)
    assert str(uuid) == derived
    assert uuid.version == 8
    assert uuid.variant == RFC_4122


@modest
@given(run_ids, steps, purposes)
def test_a_derived_id_lies_beside_its_run_in_an_index(
    run_id: RunId, step: str, purpose: Purpose
) -> None:
    assert step_task_id(run_id, step, purpose)[:13] == run_id[:13]


def test_a_derived_id_never_changes() -> None:
    # Stored runs depend on it: a new way to derive ids would start their steps a second time.
    assert step_task_id(RUN_ID, "charge", Purpose.WORK) == "019b7c5d-2c80-8b52-a860-5eb1b24f66af"
    assert step_task_id(RUN_ID, "charge", Purpose.UNDO) == "019b7c5d-2c80-85ca-a23d-9dd61b11aedf"


def test_derived_ids_are_distinct() -> None:
    runs = [RUN_ID, RunId(RUN_ID[:-1] + "9")]
    names = [f"step_{number}" for number in range(1000)]
    derived = {step_task_id(run, name, why) for run in runs for name in names for why in Purpose}
    assert len(derived) == 4000


@pytest.mark.parametrize(
    "name", ["a", "send_receipt", "shop.tasks.charge", "v1-beta", "A" * 100, "x_.-9"]
)
def test_a_usable_name_is_returned(name: str) -> None:
    assert check_name(name, "queue") is None
    assert require_name(name, "queue") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "9lives",
        "_x",
        ".x",
        "-x",
        "a b",
        "a/b",
        "a\n",
        "é",
        "naïve",
        "a\0",
        pytest.param("a" * 101, id="one too long"),
        pytest.param("a" * 10**6, id="far too long"),
    ],
    ids=repr,
)
def test_any_other_name_is_refused_with_its_path(name: str) -> None:
    with pytest.raises(InvalidInput, match="is not a name") as refused:
        require_name(name, "queue")
    (problem,) = refused.value.problems
    assert problem.path == "queue"
    assert len(problem.message) < 300
    assert check_name(name, "queue") == problem


@pytest.mark.parametrize("text", ["order-7", "a", "Åsa's key", "x" * 20, "ключ 💡"])
def test_a_short_printable_text_is_usable(text: str) -> None:
    assert check_text(text, "key", 20) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "use 1 to 20 characters"),
        ("x" * 21, "use 1 to 20 characters"),
        ("a\0b", "use printable characters only"),
        ("a\nb", "use printable characters only"),
        ("\ud800", "use printable characters only"),
    ],
    ids=["nothing", "too much", "NUL", "a line break", "half a surrogate pair"],
)
def test_any_other_text_is_refused_with_its_path(text: str, message: str) -> None:
    assert check_text(text, "key", 20) == Problem("key", message)
