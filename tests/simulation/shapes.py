"""Tasks and workflows of random shape, as a plan holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from random import Random
from typing import Any

from cueline.domain.json import Json
from cueline.domain.retry import Backoff, RetryPolicy
from cueline.domain.task import Priority
from cueline.domain.workflow.compensation import Compensation
from cueline.domain.workflow.definition import Step, Workflow
from tests.simulation.handlers import QUEUES

MOST_STEPS = 9

UNFIT_SHARE = 0.015


def draw_behaviour(random: Random, label: str, *, trouble: float = 0.35) -> dict[str, Json]:
    """What a task does: most succeed at once, some fail, hang or snooze first, few fail for good.

    The middle of a distribution finds little: a few take longer than a lease, many no time.
    """
    behaviour: dict[str, Any] = {
        "seconds": random.choice((0.0, 0.01, 0.3, round(random.expovariate(1), 3), 18.0))
        if random.random() < 0.3
        else round(random.expovariate(2), 3)
    }
    if random.random() < trouble:
        kind = random.choice(("fails", "fails", "hangs", "snoozes", "permanent"))
        behaviour[kind] = True if kind == "permanent" else random.randint(1, 4)
    if random.random() < 0.2:
        behaviour["reports"] = random.randint(1, 3)
    if random.random() < 0.05:
        behaviour["stubborn"] = random.choice((0.0, 0.5, 12.0))
    if random.random() < 0.02:
        behaviour["indigestible"] = True
    return {"label": label, **behaviour}


def draw_retry(random: Random) -> list[Json]:
    """How often a task is tried, and at which distances."""
    return [
        random.randint(1, 4),
        random.choice(list(Backoff)).value,
        random.choice((0.0, 0.1, 1.0)),
        random.choice((0.0, 0.5)),
    ]


def retry_of(given: Sequence[Any]) -> RetryPolicy:
    """A retry policy from the four values that a plan holds."""
    attempts, backoff, first, jitter = given
    return RetryPolicy(attempts, Backoff(backoff), timedelta(seconds=first), jitter=jitter)


UNFIT = "unfit"
"""How the name of a step ends whose input turns out not to fit its task."""


def is_unfit(step: str) -> bool:
    """Whether a step cannot be started, whatever happens."""
    return step.endswith(UNFIT)


def draw_shape(random: Random, label: str) -> list[Json]:
    """The steps of a workflow: a chain, a fan with a join, or anything without a circle."""
    count = random.randint(1, MOST_STEPS)
    kind = random.choice(("chain", "fan", "any", "any"))
    trouble = random.choice((0.05, 0.2))
    together = {"seconds": 0.2} if random.random() < 0.5 else {}  # so that they end side by side
    return [
        {
            "after": _needed(random, kind, number, count),
            "does": draw_behaviour(random, f"{label}.s{number}", trouble=trouble) | together,
            "retry": draw_retry(random),
            "undo": draw_behaviour(random, f"{label}.u{number}", trouble=0.15)
            if random.random() < 0.6
            else None,
            "priority": random.choice((None, None, 0, 3)),
            "queue": random.choice((None, None, None, *QUEUES)),
            "unfit": number > 0 and random.random() < UNFIT_SHARE,
        }
        for number in range(count)
    ]


def _needed(random: Random, kind: str, number: int, count: int) -> list[Json]:
    if number == 0:
        return []
    if kind == "chain":
        return [number - 1]
    if kind == "fan":
        return list(range(1, number)) if 1 < number == count - 1 else [0]
    return [other for other in range(number) if random.random() < 0.4]


def workflow_of(label: str, shape: Sequence[Mapping[str, Any]]) -> Workflow:
    """The workflow that a shape stands for. Each step takes in the output of one that it needs."""
    names = [f"s{number}{UNFIT if each['unfit'] else ''}" for number, each in enumerate(shape)]
    return Workflow(label, 1, tuple(_step(n, names, each) for n, each in enumerate(shape)))


def _step(number: int, names: Sequence[str], shape: Mapping[str, Any]) -> Step:
    name, after = names[number], [names[other] for other in shape["after"]]
    given: dict[str, Json] = {"given": f"${{steps.{after[0]}.output.label}}"} if after else {}
    if shape["unfit"]:  # of two ways: the input cannot be made, or is not what the task takes in
        given["label"] = "${input.number}" if number % 2 else "${input.nothing.such}"
    undo: dict[str, Json] | None = shape["undo"]
    return Step(
        name=name,
        task="work" if number % 2 else "bulk",
        input={**shape["does"], **given},
        after=tuple(after),
        queue=shape["queue"],
        priority=None if shape["priority"] is None else Priority(shape["priority"]),
        retry=retry_of(shape["retry"]),
        timeout=timedelta(seconds=4) if "hangs" in shape["does"] else None,
        compensate=None
        if undo is None
        else Compensation(
            "undo",
            {**undo, "of": f"${{steps.{name}.output.token}}"},
            retry=RetryPolicy(3, Backoff.FIXED, timedelta(seconds=0.5)),
            timeout=timedelta(seconds=4),
        ),
    )
