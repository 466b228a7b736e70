"""What the tests of bad input share."""

from __future__ import annotations

from typing import Any

TASKS = "/api/v1/tasks"
BATCH = "/api/v1/tasks/batch"
WORKFLOWS = "/api/v1/workflows"
RUNS = "/api/v1/runs"
ORDER_RUNS = "/api/v1/workflows/order/runs"
BODIES = [TASKS, BATCH, WORKFLOWS, RUNS, ORDER_RUNS]


def problems(answer: Any) -> dict[str, str]:
    """What is wrong, by path."""
    return {problem["path"]: problem["message"] for problem in answer.json()["problems"]}
