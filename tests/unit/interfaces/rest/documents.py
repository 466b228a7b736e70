"""Workflows as clients send them."""

from __future__ import annotations

from typing import Any


def an_order(**changes: Any) -> dict[str, Any]:
    """A workflow of two steps, the first of which can be undone."""
    return {
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
                "input": {"order": "${steps.reserve.output.order}"},
                "retry": {"attempts": 1},
            },
        },
        "output": {"charged": "${steps.charge.output}"},
        **changes,
    }
