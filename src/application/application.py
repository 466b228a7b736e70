"""The application: every use case in one record, which is all that the interfaces ever see."""

from __future__ import annotations

from dataclasses import dataclass

from cueline.application.bell import Bell
from cueline.application.catalogue import Catalogue
from cueline.application.claiming import ClaimTasks
from cueline.application.context import Integrations
from cueline.application.dispatch import DispatchTasks
from cueline.application.maintain import Maintain
from cueline.application.ports.runtime import Clock, Executor
from cueline.application.queries import Queries
from cueline.application.queues import SteerQueues
from cueline.application.settle import SettleTasks
from cueline.application.tasks import SteerTasks, SubmitTasks
from cueline.application.workers import KeepWorkers, RecordLogs
from cueline.application.workflows import RegisterWorkflows, StartRuns, SteerRuns


@dataclass(frozen=True, slots=True)
class Application:
    """What can be asked of Cueline."""

    # for users
    submit: SubmitTasks
    tasks: SteerTasks
    queues: SteerQueues
    register: RegisterWorkflows
    start: StartRuns
    runs: SteerRuns
    queries: Queries

    # for workers and the loops that keep things going
    workers: KeepWorkers
    claim: ClaimTasks
    settle: SettleTasks
    record: RecordLogs
    dispatch: DispatchTasks
    maintain: Maintain
    backlog: Bell

    # what runs handlers
    catalogue: Catalogue
    executor: Executor
    integrations: Integrations
    clock: Clock
