"""Hints: what a worker claims next, as far as it has heard of it or may help itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from cueline.application.ports.broker import Delivery
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Priority, Task


@dataclass(frozen=True, slots=True)
class Hints:
    """Tasks that may be ready, the deliveries that said so, and how many may be taken unheard of.

    `wanted` is how many the worker asked for. What is taken from the store comes without a
    delivery: there is nothing to acknowledge. It has to be at least as urgent as `urgency`, as more
    of that may be at the broker.
    """

    wanted: int
    tasks: frozenset[TaskId] = frozenset()
    deliveries: tuple[Delivery, ...] = ()
    from_store: int = 0
    urgency: Priority = Priority.LOW

    @property
    def lead_nowhere(self) -> bool:
        """Whether there is nothing to claim."""
        return not (self.tasks or self.from_store)

    def unheard_of(self, claimed: Sequence[Task]) -> list[Task]:
        """Those of the claimed tasks that no delivery told of: they were taken from the store."""
        return [task for task in claimed if task.id not in self.tasks]

    @classmethod
    def of(cls, wanted: int, deliveries: Sequence[Delivery]) -> Self:
        """What these deliveries hint at."""
        tasks = frozenset(each.message.task_id for each in deliveries)
        return cls(wanted, tasks, tuple(deliveries))
