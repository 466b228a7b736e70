"""The runs whose next steps are settled by this process, if all goes well."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable

from cueline.domain.identifiers import RunId
from cueline.domain.task import Task
from cueline.domain.workflow.run import Run

MOST = 1000
"""How many runs a process remembers: as many as a worker may hold tasks."""


class RecentRuns:
    """Runs as this process read or left them, so that who settles their next step need not read.

    They are guesses: another process may have moved a run on since.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._runs: OrderedDict[RunId, Run] = OrderedDict()

    def find(self, ids: Collection[RunId]) -> dict[RunId, Run]:
        """Those of these runs that are remembered."""
        return {id: run for id in ids if (run := self._runs.get(id)) is not None}

    def note(self, runs: Iterable[Run], claimed: Iterable[Task]) -> None:
        """Remember what is committed of those of which steps were claimed; no others.

        If there is too much, the oldest go.
        """
        ours = {task.spec.origin.run_id for task in claimed if task.spec.origin is not None}
        self.forget(ours)  # what is known of them is older
        for run in runs:
            self._runs.pop(run.id, None)
            if run.id in ours:
                self._runs[run.id] = run
        while len(self._runs) > self._most:
            self._runs.popitem(last=False)

    def forget(self, ids: Iterable[RunId]) -> None:
        """Drop what turned out to be wrong."""
        for id in ids:
            self._runs.pop(id, None)
