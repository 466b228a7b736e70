"""Bodies: what requests hold, how each is read, and examples of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError
from starlette.requests import Request

from cueline.application.tasks import Submission
from cueline.domain.errors import InvalidInput
from cueline.domain.json import Json
from cueline.domain.workflow.definition import Workflow
from cueline.domain.workflow.document import parse_workflow
from cueline.interfaces.rest.edge import edge_of
from cueline.interfaces.rest.fields import (
    DurationField,
    MomentField,
    PriorityField,
    RetryField,
    VersionNumber,
    WorkflowDocument,
    problems_of,
)
from cueline.interfaces.rest.reading import read_json

T = TypeVar("T")

MOST_IN_BATCH = 10_000

Examples = Mapping[str, tuple[str, Any]]
"""Examples of a body by name, each with a line that says what it shows."""


class JsonBody(Generic[T]):
    """One kind of body: `read` takes it from a request, `described` is for the OpenAPI document."""

    def __init__(self, looks_like: Any, parse: Callable[[Json], T], examples: Examples) -> None:
        self._looks_like = looks_like
        self.parse = parse
        self._examples = examples

    async def read(self, request: Request, limit: int | None = None) -> T:
        """Read the body of a request, or raise what is wrong with it."""
        return self.parse(await read_json(request, limit or edge_of(request).max_body))

    @property
    def described(self) -> dict[str, Any]:
        """The request body of an operation; its `$defs` are for the document's components."""
        schema = TypeAdapter(self._looks_like).json_schema(
            mode="validation", ref_template="#/components/schemas/{model}"
        )
        examples = {
            name: {"summary": shows, "value": value}
            for name, (shows, value) in self._examples.items()
        }
        content = {"application/json": {"schema": schema, "examples": examples}}
        return {"requestBody": {"required": True, "content": content}}


def _validated(what: str, model: type[BaseModel], shape: Any = None) -> Callable[[Json], Any]:
    """A reader of `model`, or of another shape that is made of it."""
    adapter = TypeAdapter(shape or model)
    fields = tuple(model.model_fields)

    def parse(value: Json) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            problems = problems_of(found, known=fields)
            raise InvalidInput(f"the {what} cannot be read", problems) from error

    return parse


def _as_it_is(value: Any) -> Any:
    return value


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskBody(_Body):
    """A request for a task. What is left out is taken from the task's definition."""

    name: str = Field(description="The task's name, as its application registered it.")
    input: dict[str, Any] = Field(default={}, description="The handler's arguments, by name.")
    queue: str | None = None
    priority: PriorityField | None = None
    delay: DurationField | None = Field(default=None, description="How long to wait first.")
    run_at: MomentField | None = Field(default=None, description="When to run, with a time zone.")
    retry: RetryField | None = None
    timeout: DurationField | None = Field(default=None, description="Limits each attempt.")
    key: str | None = Field(default=None, description="Makes a repeat answer the first task.")
    tags: list[str] = []

    def submission(self, key: str | None) -> Submission:
        """What the application is asked for, under this key."""
        return Submission(
            name=self.name,
            input=self.input,
            queue=self.queue,
            priority=self.priority,
            delay=self.delay,
            run_at=self.run_at,
            retry=self.retry,
            timeout=self.timeout,
            key=key,
            tags=tuple(self.tags),
        )


class RunBody(_Body):
    """A request for a run of a registered workflow: the latest version, unless one is named."""

    input: Any = Field(default={}, description="What `${input}` refers to.")
    version: VersionNumber | None = None
    key: str | None = Field(default=None, description="Makes a repeat answer the first run.")


class InlineRunBody(_Body):
    """A request for a run of a workflow that comes with it and is not registered."""

    # Only shown here: what is wrong with a workflow is a problem of a type of its own.
    workflow: Annotated[Any, PlainValidator(_as_it_is, json_schema_input_type=WorkflowDocument)]
    input: Any = Field(default={}, description="What `${input}` refers to.")
    key: str | None = Field(default=None, description="Makes a repeat answer the first run.")


_RECEIPT = {"name": "send_receipt", "input": {"order_id": 7}}
_ORDER = {
    "name": "order",
    "version": 1,
    "steps": {
        "reserve": {
            "task": "reserve",
            "input": {"order": "${input.order}"},
            "compensate": {"task": "unreserve", "input": {"order": "${input.order}"}},
        },
        "charge": {
            "task": "charge",
            "after": ["reserve"],
            "input": {
                "order": "${input.order}",
                "reservation": "${steps.reserve.output.reservation}",
            },
            "retry": {"attempts": 5, "backoff": "exponential", "first": "1s"},
        },
    },
    "output": {"payment": "${steps.charge.output}"},
}

TASK: JsonBody[TaskBody] = JsonBody(
    TaskBody,
    _validated("task", TaskBody),
    {
        "plain": ("Run as soon as a worker is free", _RECEIPT),
        "options": (
            "Run in five minutes, before others, once only",
            {
                **_RECEIPT,
                "queue": "email",
                "priority": "high",
                "delay": "5m",
                "timeout": "30s",
                "retry": {"attempts": 5, "backoff": "exponential", "first": "30s"},
                "key": "order-7",
                "tags": ["shop"],
            },
        ),
        "time": ("Run at a time", {**_RECEIPT, "run_at": "2030-01-31T08:00:00Z"}),
    },
)

_Batch = Annotated[list[TaskBody], Field(max_length=MOST_IN_BATCH)]

TASKS: JsonBody[list[TaskBody]] = JsonBody(
    _Batch,
    _validated("batch", TaskBody, _Batch),
    {"two": ("Two tasks, both or none", [_RECEIPT, {**_RECEIPT, "input": {"order_id": 8}}])},
)

WORKFLOW: JsonBody[Workflow] = JsonBody(
    WorkflowDocument, parse_workflow, {"order": ("A step that another needs, and undoes", _ORDER)}
)

RUN: JsonBody[RunBody] = JsonBody(
    RunBody,
    _validated("request", RunBody),
    {
        "latest": ("Run the latest version", {"input": {"order": 7}}),
        "version": ("Run a version, once", {"input": {"order": 7}, "version": 1, "key": "order-7"}),
    },
)

INLINE_RUN: JsonBody[InlineRunBody] = JsonBody(
    InlineRunBody,
    _validated("request", InlineRunBody),
    {"order": ("Run a workflow once", {"workflow": _ORDER, "input": {"order": 7}})},
)
