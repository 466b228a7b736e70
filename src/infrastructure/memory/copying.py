"""Copies of what goes into the memory store and of what comes out of it.

The entities are frozen, but the JSON inside them is made of ordinary dicts and lists. Copying those
on both ways keeps anybody from changing the store by changing what they gave or got, just as if it
had been written to a database. Only what holds a dict or a list is copied.

The workflow of a run is copied on its way in only: it is large, and it is read with every advance.
"""

from __future__ import annotations

from dataclasses import replace

from cueline.application.ports.journal import LogEntry
from cueline.domain.attempt import Attempt
from cueline.domain.copying import changed
from cueline.domain.definition import TaskDefinition
from cueline.domain.events import Event
from cueline.domain.failure import Failure
from cueline.domain.json import copied, copied_object
from cueline.domain.task import Task, TaskSpec
from cueline.domain.workflow.definition import Step, Workflow
from cueline.domain.workflow.run import Run, StepRun


def kept(failure: Failure | None) -> Failure | None:
    """What is stored of a failure: all but its lineage."""
    if failure is None or not failure.lineage:
        return failure
    return replace(failure, lineage=frozenset())


def copy_of_task(task: Task, spec: TaskSpec | None = None) -> Task:
    """A task that shares no JSON with the one given; with this spec, or with a copy of its own."""
    if spec is None:
        spec = changed(task.spec, input=copied_object(task.spec.input))
    return changed(task, spec=spec, output=copied(task.output), failure=kept(task.failure))


def copy_of_run(run: Run) -> Run:
    """A run that shares no JSON with the one given, except within its workflow."""
    return changed(
        run,
        input=copied(run.input),
        output=copied(run.output),
        failure=kept(run.failure),
        steps={name: _copy_of_step(step) for name, step in run.steps.items()},
    )


def copy_of_workflow(workflow: Workflow) -> Workflow:
    """A workflow that shares no JSON with the one given."""
    steps = tuple(_copy_of_template(step) for step in workflow.steps)
    return replace(workflow, steps=steps, output=copied(workflow.output))


def copy_of_attempt(attempt: Attempt) -> Attempt:
    """An attempt as it is kept."""
    return replace(attempt, failure=kept(attempt.failure))


def copy_of_definition(definition: TaskDefinition) -> TaskDefinition:
    """A task definition that shares no JSON with the one given."""
    return replace(definition, input_schema=copied_object(definition.input_schema))


def copy_of_event(event: Event) -> Event:
    """An event that shares no JSON with the one given."""
    return changed(event, data=copied_object(event.data))


def copy_of_log(entry: LogEntry) -> LogEntry:
    """A log line that shares no JSON with the one given."""
    return replace(entry, fields=copied_object(entry.fields))


def _copy_of_template(step: Step) -> Step:
    undo = step.compensate
    if undo is not None:
        undo = replace(undo, input=copied_object(undo.input))
    return replace(step, input=copied_object(step.input), compensate=undo)


def _copy_of_step(step: StepRun) -> StepRun:
    if step.output is None and step.failure is None:
        return step
    return changed(step, output=copied(step.output), failure=kept(step.failure))
