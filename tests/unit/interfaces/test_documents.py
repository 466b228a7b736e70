"""What the ways in share: one document for each thing, and one way to write its times."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from cueline.application.queries import TaskDetail
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Task, TaskSpec
from cueline.interfaces.cli.screen import Screen
from cueline.interfaces.documents.tasks import task_document
from cueline.interfaces.rest.answers import encode
from cueline.interfaces.rest.documents import task_document as linked_task_document


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 1, 31, 8, tzinfo=UTC), "2026-01-31T08:00:00Z"),
        (datetime(2026, 1, 31, 8, 0, 1, 20, UTC), "2026-01-31T08:00:01.000020Z"),
    ],
)
def test_the_command_line_and_rest_write_the_same_task(
    capsys: pytest.CaptureFixture[str], at: datetime, text: str
) -> None:
    spec = TaskSpec(id=TaskId(str(uuid4())), name="greet", input={"a": [1]}, created_at=at)
    detail = TaskDetail(Task.submitted(spec, at), None, scheduled=False)

    Screen(as_json=True).answer(task_document(detail))
    over_http = json.loads(encode(linked_task_document(detail)))

    links = over_http.pop("links")
    assert links["self"] == f"/api/v1/tasks/{spec.id}"
    assert json.loads(capsys.readouterr().out) == over_http
    assert over_http["created_at"] == text


def test_the_command_line_writes_nothing_that_has_no_form_in_json() -> None:
    with pytest.raises(TypeError, match="a set has no form in JSON"):
        Screen(as_json=True).answer({"tags": {"a"}})
