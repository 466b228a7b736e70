"""What the machine puts into the stores: few names, so that they meet; odd values, so they show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from cueline.application.ports.questions import Page, RunFilter, TaskFilter
from cueline.domain.definition import TaskDefinition
from cueline.domain.failure import Failure
from cueline.domain.identifiers import Purpose, RunId, TaskId, WorkerId
from cueline.domain.json import DEEPEST, Json, JsonObject
from cueline.domain.queue import Queue
from cueline.domain.retry import Backoff, RetryPolicy
from cueline.domain.task import Origin, Priority, Task, TaskState
from cueline.domain.text import storable
from cueline.domain.worker import Worker
from cueline.domain.workflow.compensation import Compensation
from cueline.domain.workflow.definition import Step, Workflow
from cueline.domain.workflow.run import Run, RunState
from tests.contracts.store_tasks import EVERY_KIND
from tests.doubles import NOW
from tests.factories import a_run, a_task, a_worker, a_workflow

T = TypeVar("T")


def _uuids(of: int, count: int) -> list[str]:
    return [f"0195{of:04x}-0000-7000-8000-{number:012x}" for number in range(count)]


def _nested(depth: int) -> Json:
    value: Json = "bottom"
    for _ in range(depth):
        value = [value]
    return value


TASK_IDS = [TaskId(id) for id in _uuids(1, 6)]
TALKATIVE = TASK_IDS[:2]
"""The tasks that have attempts and log lines."""
RUN_IDS = [RunId(id) for id in _uuids(2, 3)]
WORKER_IDS = [WorkerId(id) for id in _uuids(3, 3)]
QUEUES = ["a", "A", "a.b"]
NAMES = ["send", "Send", "shop.send"]
KEYS = ["k", "K", "ключ", "%", "'\"\\", "\N{MATHEMATICAL BOLD CAPITAL A}", "~" * 255]
TAGS = ["red", "RED", "re", ",", '"', "\\", "%", "_", "/", "é", "É", "[]", "null", "x" * 100]
TEXTS = [
    "",
    "naïve — 日本 🚀",
    storable("\0 \ud800"),
    "\x01\x7f\u2028\uffff",
    "' \" \\ %s :x $1 ?",
    "a\nb\r\n\tc",
]
ODD_JSON: list[Json] = [
    *EVERY_KIND.values(),
    -0.0,
    1.7976931348623157e308,
    2**53 + 1,
    True,
    1,
    0,
    [],
    {},
    {"b": 1, "a": {"": []}},
    "\u0000",
    _nested(DEEPEST - 7),  # with what is put around it below, the deepest that a template may be
]
OFFSETS = [
    timedelta(0),
    timedelta.resolution,
    -timedelta.resolution,
    timedelta(seconds=1),
    timedelta(seconds=15),
    timedelta(seconds=-15),
    timedelta(hours=1, microseconds=123457),
]
LAST_MOMENT = datetime.max.replace(tzinfo=UTC)
FIRST_MOMENT = datetime.min.replace(tzinfo=UTC)
ELSEWHERE = timezone(timedelta(hours=5, minutes=45))

# --- values ---------------------------------------------------------------------------------------

task_ids = st.sampled_from(TASK_IDS)
talkative_ids = st.sampled_from(TALKATIVE)
run_ids = st.sampled_from(RUN_IDS)
worker_ids = st.sampled_from(WORKER_IDS)
queues = st.sampled_from(QUEUES)
names = st.sampled_from(NAMES)
keys = st.sampled_from(KEYS)
tags = st.sampled_from(TAGS)
texts = st.sampled_from(TEXTS)
priorities = st.sampled_from(Priority)
limits = st.sampled_from([100, 1, 2, 3])
versions = st.sampled_from([1, 2, 10, 2**31 - 1])

json_values: SearchStrategy[Json] = st.one_of(
    st.sampled_from(ODD_JSON),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="$"), max_size=3),
)
json_objects: SearchStrategy[JsonObject] = st.one_of(
    st.just({}), st.builds(lambda value: {"value": value, "\0é": [value]}, json_values)
)
moments = st.one_of(
    st.sampled_from(OFFSETS).map(lambda offset: NOW + offset),
    st.sampled_from([LAST_MOMENT, FIRST_MOMENT, (NOW + OFFSETS[-1]).astimezone(ELSEWHERE)]),
)
soon = st.sampled_from(OFFSETS[:5]).map(lambda offset: NOW + offset)
durations = st.sampled_from(
    [timedelta(seconds=1), timedelta(microseconds=1), timedelta(days=3650), timedelta(minutes=1.5)]
)
retries = st.sampled_from(
    [
        RetryPolicy(),
        RetryPolicy(attempts=1),
        RetryPolicy(1000, Backoff.FIXED, timedelta(0)),
        RetryPolicy(
            7, Backoff.LINEAR, timedelta(microseconds=1), 1.1, timedelta(days=3650), 0.3,
            frozenset({"ValueError", "shop.OutOfStock"}),
        ),
    ]
)  # fmt: skip
failures = st.builds(
    Failure,
    type=st.just("shop.OutOfStock"),
    message=texts,
    traceback=texts,
    permanent=st.booleans(),
    lineage=st.just(frozenset({"OutOfStock"})),
)


def several(of: SearchStrategy[T], most: int = 4) -> SearchStrategy[list[T]]:
    """Some, none of them twice."""
    return st.lists(of, max_size=most, unique=True)


# --- entities -------------------------------------------------------------------------------------

origins = st.builds(
    Origin, run_ids, st.sampled_from(["first", "second"]), st.sampled_from(list(Purpose))
)
tasks: SearchStrategy[Task] = st.builds(
    a_task,
    id=task_ids,
    name=names,
    input=json_objects,
    queue=queues,
    priority=priorities,
    now=moments,
    run_at=st.one_of(soon, moments),
    key=st.none() | keys,
    tags=several(tags, 3).map(tuple),
    retry=retries,
    timeout=st.none() | durations,
    origin=st.none() | origins,
)
workers: SearchStrategy[Worker] = st.builds(
    a_worker,
    id=worker_ids,
    name=texts,
    queues=several(queues).map(tuple),
    slots=st.integers(1, 10_000),
    now=soon,
)
compensations = st.builds(
    Compensation, names, json_objects, st.none() | retries, st.none() | durations
)


@st.composite
def steps(draw: st.DrawFn, name: str, after: Sequence[str]) -> Step:
    """A step that waits for some of those before it."""
    return Step(
        name=name,
        task=draw(names),
        input=draw(json_objects),
        after=tuple(each for each in after if draw(st.booleans())),
        compensate=draw(st.none() | compensations),
        queue=draw(st.none() | queues),
        priority=draw(st.none() | priorities),
        retry=draw(st.none() | retries),
        timeout=draw(st.none() | durations),
    )


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    """One to three steps, in any order."""
    wanted = ["first", "second", "Third"][: draw(st.integers(1, 3))]
    made = [draw(steps(name, wanted[:number])) for number, name in enumerate(wanted)]
    if draw(st.booleans()):
        made.reverse()
    return Workflow(draw(names), draw(versions), tuple(made), draw(st.none() | json_values))


runs: SearchStrategy[Run] = st.builds(
    a_run,
    id=run_ids,
    workflow=st.one_of(st.just(a_workflow()), workflows()),
    input=json_values,
    now=moments,
    key=st.none() | keys,
)
definitions = st.builds(
    TaskDefinition,
    name=names,
    input_schema=json_objects,
    queue=queues,
    priority=priorities,
    retry=retries,
    timeout=st.none() | durations,
    description=texts,
)
queue_settings = st.builds(Queue, queues, st.booleans())

# --- questions ------------------------------------------------------------------------------------

_scheduled = st.none() | st.booleans()
_task_states = several(st.sampled_from(TaskState), 2).map(tuple)
task_filters = st.one_of(
    st.just(TaskFilter()),
    st.builds(TaskFilter, states=_task_states, scheduled=_scheduled),
    st.builds(TaskFilter, queue=queues, name=st.none() | names),
    st.builds(TaskFilter, run_id=run_ids, scheduled=_scheduled),
    st.builds(TaskFilter, states=_task_states, tag=tags),
    st.builds(TaskFilter, _task_states, _scheduled, queues, names, run_ids, tags),
)
run_filters = st.builds(
    RunFilter, several(st.sampled_from(RunState), 2).map(tuple), st.none() | names
)
task_pages = st.builds(Page, limits, st.none() | task_ids | st.sampled_from(["", "~", "é"]))
run_pages = st.builds(Page, limits, st.none() | run_ids | st.sampled_from(["", "~", "é"]))
