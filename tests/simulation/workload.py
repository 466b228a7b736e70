"""What clients and operators do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from cueline.application.application import Application
from cueline.application.tasks import Submission
from cueline.application.workflows import Start
from cueline.domain.errors import CuelineError, Unavailable
from cueline.domain.identifiers import TaskId
from cueline.domain.json import Json
from cueline.domain.task import Priority, TaskState
from cueline.domain.workflow.run import Run, RunState
from tests.simulation.handlers import QUEUES
from tests.simulation.kinds import Args, Sketch, happening
from tests.simulation.shapes import draw_behaviour, draw_retry, draw_shape, retry_of, workflow_of
from tests.simulation.world import World

ENDLESS_SHARE = 0.04

RETRIED = (RunState.FAILED, RunState.COMPENSATION_FAILED)

# --- drawing --------------------------------------------------------------------------------------


def _draw_submission(sketch: Sketch) -> Args:
    random = sketch.random
    label = f"t{len(sketch.tasks)}"
    sketch.tasks[label] = 0.0
    endless = {"endless": True} if random.random() < ENDLESS_SHARE else {}
    return {
        "name": random.choice(("work", "work", "bulk")),
        "does": draw_behaviour(random, label) | endless,
        "priority": random.randrange(4),
        "delay": random.choice((0, 0, 0, round(random.uniform(0, 10), 2))),
        "retry": draw_retry(random),
        "timeout": random.choice((None, 2.0, 5.0)),
        "key": label if random.random() < 0.3 else None,
    }


def _draw_submit(sketch: Sketch) -> tuple[float, Args]:
    args = _draw_submission(sketch)
    moment = sketch.tasks[_last(sketch)] = sketch.moment()
    return moment, {"via": sketch.host(), "what": args, "patience": _draw_patience(sketch)}


def _draw_patience(sketch: Sketch) -> Json:
    """How long a client waits for its answer, in seconds; most wait for as long as it takes."""
    return round(sketch.random.expovariate(200), 4) if sketch.random.random() < 0.1 else None


def _draw_batch(sketch: Sketch) -> tuple[float, Args]:
    moment = sketch.moment()
    batch: list[Json] = []
    for _ in range(sketch.random.randint(2, 6)):
        batch.append(_draw_submission(sketch) | {"key": None})
        sketch.tasks[_last(sketch)] = moment
    if sketch.random.random() < 0.3 and (repeated := _draw_repeat(sketch)) is not None:
        batch.append(dict(_what(repeated[1])))
    return moment, {"via": sketch.host(), "batch": batch, "patience": _draw_patience(sketch)}


def _last(sketch: Sketch) -> str:
    return next(reversed(sketch.tasks))


def _draw_burst(sketch: Sketch) -> tuple[float, Args]:
    moment, burst = sketch.moment(), []
    for _ in range(sketch.random.randint(3, 6)):
        what = _draw_submission(sketch)
        sketch.tasks[_last(sketch)] = moment
        burst.append({"what": what, "patience": _draw_patience(sketch)})
    return moment, {"via": sketch.host(), "burst": burst}


def _draw_repeat(sketch: Sketch) -> tuple[float, Args] | None:
    """The same key again: the same request, or another one."""
    keyed = [each for each in sketch.happenings if each.kind == "submit"]
    keyed = [each for each in keyed if _what(each.args)["key"] is not None]
    if not keyed:
        return None
    first = sketch.random.choice(keyed)
    what = dict(_what(first.args))
    if sketch.random.random() < 0.3:
        what["does"] = {**what["does"], "seconds": 0.123}
    near = first.at if sketch.random.random() < 0.5 else sketch.after(first.at)
    return near, {"via": sketch.host(), "what": what}


def _what(args: Mapping[str, Any]) -> Mapping[str, Any]:
    what: Mapping[str, Any] = args["what"]
    return what


def _draw_of_task(sketch: Sketch) -> tuple[float, Args] | None:
    if not sketch.tasks:
        return None
    label = sketch.random.choice(list(sketch.tasks))
    return sketch.after(sketch.tasks[label]), {"via": sketch.host(), "label": label}


def _draw_of_run(sketch: Sketch) -> tuple[float, Args] | None:
    if not sketch.runs:
        return None
    label = sketch.random.choice(list(sketch.runs))
    return sketch.after(sketch.runs[label]), {"via": sketch.host(), "label": label}


def _draw_start(sketch: Sketch) -> tuple[float, Args]:
    label = f"r{len(sketch.runs)}"
    moment = sketch.runs[label] = sketch.moment()
    shape = draw_shape(sketch.random, label)
    patience = _draw_patience(sketch)
    return moment, {"via": sketch.host(), "label": label, "shape": shape, "patience": patience}


def _draw_start_again(sketch: Sketch) -> tuple[float, Args] | None:
    """The same key again: the same request, or another one."""
    starts = [each for each in sketch.happenings if each.kind == "start_run"]
    if not starts:
        return None
    first = sketch.random.choice(starts)
    near = first.at if sketch.random.random() < 0.5 else sketch.after(first.at)
    same = sketch.random.random() < 0.7
    args = {name: first.args[name] for name in ("label", "shape")}
    return near, {"via": sketch.host(), **args, "same": same}


def _draw_of_tasks(sketch: Sketch) -> tuple[float, Args] | None:
    if not sketch.tasks:
        return None
    count = min(len(sketch.tasks), sketch.random.randint(2, 4))
    labels = sketch.random.sample(list(sketch.tasks), count)
    moment = sketch.after(max(sketch.tasks[label] for label in labels))
    return moment, {"via": sketch.host(), "labels": [*labels]}


def _draw_pause(sketch: Sketch) -> tuple[float, Args]:
    seconds = round(sketch.random.uniform(0.5, 10), 2)
    queue = sketch.random.choice(QUEUES)
    return sketch.moment(), {"via": sketch.host(), "queue": queue, "seconds": seconds}


# --- tasks ----------------------------------------------------------------------------------------


def _submission(what: Mapping[str, Any]) -> Submission:
    return Submission(
        name=what["name"],
        input=what["does"],
        priority=Priority(what["priority"]),
        delay=timedelta(seconds=what["delay"]) if what["delay"] else None,
        retry=retry_of(what["retry"]),
        timeout=None if what["timeout"] is None else timedelta(seconds=what["timeout"]),
        key=what["key"],
        tags=("simulated",),
    )


@happening(most=12, draw=_draw_submit)
async def submit(
    world: World, via: str, what: Mapping[str, Any], patience: float | None = None
) -> None:
    """A client submits one task."""
    submission = _submission(what)
    label = what["does"]["label"]
    world.ledger.asking(label, submission)
    answer = await world.ask(
        via,
        lambda app: app.submit.one(submission),
        patience,
        lambda error: world.ledger.refusal([submission], error),
    )
    if answer is not None:
        world.ledger.answered(label, submission, answer)


@happening(most=1, draw=_draw_burst)
async def submit_burst(world: World, via: str, burst: Sequence[Mapping[str, Any]]) -> None:
    """Several clients submit at the same moment, and so share a transaction; some give up."""
    await asyncio.gather(*(submit(world, via, **each) for each in burst))


@happening(most=2, draw=_draw_batch)
async def submit_batch(
    world: World, via: str, batch: Sequence[Mapping[str, Any]], patience: float | None
) -> None:
    """A client submits several tasks, all or none."""
    labels = tuple(each["does"]["label"] for each in batch)
    submissions = [_submission(each) for each in batch]
    for label, submission in zip(labels, submissions, strict=True):
        world.ledger.asking(label, submission)
    world.ledger.batches.append(
        tuple(
            each.input["label"]
            for each in submissions
            if each.key is None and isinstance(each.input["label"], str)
        )
    )
    answers = await world.ask(
        via,
        lambda app: app.submit(submissions),
        patience,
        lambda error: world.ledger.refusal(submissions, error),
    )
    for label, submission, answer in zip(labels, submissions, answers or (), strict=False):
        world.ledger.answered(label, submission, answer)


@happening(most=4, draw=_draw_repeat)
async def repeat(world: World, via: str, what: Mapping[str, Any]) -> None:
    """A client uses a key again."""
    await submit(world, via, what)


async def _steer(world: World, via: str, label: str, request: Any) -> None:
    id = world.ledger.tasks.get(label)
    if id is not None:
        await _steer_task(world, via, id, request)


async def _steer_task(world: World, via: str, id: TaskId, request: Any) -> None:
    rows = world.database.tables.tasks.rows
    before = rows[id].version

    def refused(error: CuelineError) -> None:
        world.ledger.not_done(id, rows[id].version - before, error)

    for task in await world.ask(via, lambda app: request(app, [id]), None, refused) or ():
        world.ledger.told(task.id, task.version, task.state)


@happening(most=3, draw=_draw_of_task)
async def cancel_task(world: World, via: str, label: str) -> None:
    """Somebody cancels a task."""
    if (id := world.ledger.tasks.get(label)) is not None:
        world.ledger.cancelled[id] += 1
    await _steer(world, via, label, lambda app, ids: app.tasks.cancel(ids))


@happening(most=2, draw=_draw_of_task)
async def retry_task(world: World, via: str, label: str) -> None:
    """Somebody gives an ended task a new life."""
    await _steer(world, via, label, lambda app, ids: app.tasks.retry(ids))


@happening(most=1, draw=_draw_of_tasks)
async def cancel_tasks(world: World, via: str, labels: Sequence[str]) -> None:
    """Somebody cancels several tasks, all or none."""
    ids = [world.ledger.tasks[label] for label in labels if label in world.ledger.tasks]
    rows = world.database.tables.tasks.rows
    open_before = [id for id in ids if not rows[id].state.ended]
    asked = world.ledger.cancelled

    def refused(error: CuelineError) -> None:
        if isinstance(error, Unavailable):
            return
        done = [id for id in open_before if rows[id].state is TaskState.CANCELLED]
        if lonely := [id for id in done if asked[id] == 1]:
            world.ledger.lies.append(f"{', '.join(lonely)} was cancelled by a refused request")

    asked.update(ids)
    if ids:
        for task in await world.ask(via, lambda app: app.tasks.cancel(ids), None, refused) or ():
            world.ledger.told(task.id, task.version, task.state)


@happening(most=3, draw=_draw_of_task)
async def bounce_task(world: World, via: str, label: str) -> None:
    """Somebody cancels a task and at once has it begin anew, perhaps with the same worker."""
    await cancel_task(world, via, label)
    await retry_task(world, via, label)


@happening(most=2, draw=_draw_of_task)
async def promote_task(world: World, via: str, label: str) -> None:
    """Somebody wants a task now."""
    await _steer(world, via, label, lambda app, ids: app.tasks.promote(ids))


# --- runs -----------------------------------------------------------------------------------------


@happening(most=4, draw=_draw_start)
async def start_run(world: World, via: str, label: str, shape: Any, patience: float | None) -> None:
    """A client starts a run; it repeats the request under the same key when nobody answers."""
    request = Start(workflow_of(label, shape), {"label": label, "number": 1}, key=label)
    for _ in range(3):
        started = await world.ask(
            via,
            lambda app: app.start([request]),
            patience,
            lambda error: world.ledger.run_refusal(label, error),
        )
        patience = None
        if started is not None:
            if world.ledger.runs.setdefault(label, started[0].run.id) != started[0].run.id:
                world.ledger.lies.append(f"run {label} was answered with {started[0].run.id}")
            return


@happening(most=2, draw=_draw_start_again)
async def start_again(world: World, via: str, label: str, shape: Any, same: bool) -> None:
    """A client starts a run under a key that is in use, at the same moment perhaps."""
    number = 1 if same else 2
    request = Start(workflow_of(label, shape), {"label": label, "number": number}, key=label)
    if not same:
        world.ledger.disputed.add(label)
    started = await world.ask(
        via,
        lambda app: app.start([request]),
        refused=lambda error: world.ledger.run_refusal(label, error),
    )
    if started is not None:
        run = started[0].run
        if run.input != request.input:
            world.ledger.lies.append(f"run {label} was answered with {run.id}, which is another")
        if world.ledger.runs.setdefault(label, run.id) != run.id:
            world.ledger.lies.append(f"run {label} was answered with {run.id}")


async def _steer_run(world: World, via: str, label: str, request: Any) -> None:
    id = world.ledger.runs.get(label)
    if id is not None:
        run = await world.ask(via, lambda app: request(app, id))
        if run is not None:
            world.ledger.told(run.id, run.version, run.state)


@happening(most=1, draw=_draw_of_run)
async def cancel_run(world: World, via: str, label: str) -> None:
    """Somebody cancels a run."""
    await _steer_run(world, via, label, lambda app, id: app.runs.cancel(id))


@happening(most=1, draw=_draw_of_run)
async def pause_run(world: World, via: str, label: str) -> None:
    """Somebody pauses a run."""
    await _steer_run(world, via, label, lambda app, id: app.runs.pause(id))


@happening(most=1, draw=_draw_of_run)
async def resume_run(world: World, via: str, label: str) -> None:
    """Somebody lets a run go on."""
    await _steer_run(world, via, label, lambda app, id: app.runs.resume(id))


@happening(most=2, draw=_draw_of_run)
async def interrupt_run(world: World, via: str, label: str) -> None:
    """Somebody pauses a run as a later step of it is being done, and lets it go on at once."""
    rows = world.database.tables.runs.rows
    while (id := world.ledger.runs.get(label)) is None or not _is_past_its_first_step(rows[id]):
        if (id is not None and rows[id].state.ended) or world.is_healed:
            return
        await world.sleep(0.05)
    await pause_run(world, via, label)
    await resume_run(world, via, label)


def _is_past_its_first_step(run: Run) -> bool:
    return run.state is RunState.RUNNING and run.completions > 0 and run.active > 0


@happening(most=2, draw=_draw_of_run)
async def retry_run(world: World, via: str, label: str) -> None:
    """Somebody waits for a run to fail, and tries it again."""
    rows = world.database.tables.runs.rows
    while (id := world.ledger.runs.get(label)) is None or rows[id].state not in RETRIED:
        if (id is not None and rows[id].state.ended) or world.is_healed:
            return
        await world.sleep(0.5)
    await _steer_run(world, via, label, lambda app, id: app.runs.retry(id))


@happening(most=2, draw=_draw_of_run)
async def cancel_step(world: World, via: str, label: str) -> None:
    """Somebody cancels the newest task of a run that has not ended."""
    if found := _tasks_of(world, label, ended=False):
        await _steer_task(world, via, max(found), lambda app, ids: app.tasks.cancel(ids))


@happening(most=1, draw=_draw_of_run)
async def retry_step(world: World, via: str, label: str) -> None:
    """Somebody wants a step's task to have a new life, which its run must not miss."""
    if found := _tasks_of(world, label, ended=True):
        await _steer_task(world, via, max(found), lambda app, ids: app.tasks.retry(ids))


def _tasks_of(world: World, label: str, *, ended: bool) -> list[TaskId]:
    id = world.ledger.runs.get(label)
    return [
        task.id
        for task in world.database.tables.tasks.rows.values()
        if task.spec.origin is not None
        and task.spec.origin.run_id == id
        and task.state.ended is ended
        and task.state is not TaskState.SUCCEEDED
    ]


# --- queues ---------------------------------------------------------------------------------------


@happening(most=3, draw=_draw_pause)
async def pause_queue(world: World, via: str, queue: str, seconds: float) -> None:
    """An operator pauses a queue for a while."""
    await world.ask(via, lambda app: app.queues.pause(queue))
    await world.sleep(seconds)
    await world.ask(via, lambda app: app.queues.resume(queue))


async def resume_queues(world: World) -> None:
    """At the end no queue stays paused: an operator sees to it, however often it takes."""
    for queue in QUEUES:
        while await world.ask("a", _resuming(queue)) is None:
            await world.sleep(0.5)


async def see_to_the_rest(world: World) -> None:
    """Somebody resumes the runs that are paused, and cancels what would go on for ever."""
    tables = world.database.tables
    for id in [run.id for run in tables.runs.rows.values() if run.state is RunState.PAUSED]:
        await world.ask("a", lambda app, id=id: app.runs.resume(id))  # type: ignore[misc]
    rows = tables.tasks.rows
    opened = [rows[TaskId(id)] for id in world.open if id in rows]
    if endless := [task.id for task in opened if task.spec.input.get("endless")]:
        world.ledger.cancelled.update(endless)
        await world.ask("a", lambda app: app.tasks.cancel(endless))


def _resuming(queue: str) -> Any:
    async def resume(app: Application) -> object:
        return await app.queues.resume(queue)

    return resume
