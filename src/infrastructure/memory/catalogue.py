"""The definitions of workflows and of tasks in memory."""

from __future__ import annotations

from collections.abc import Sequence

from cueline.application.ports.persistence import DefinitionRepository, WorkflowRepository
from cueline.domain.definition import TaskDefinition
from cueline.domain.workflow.definition import Workflow
from cueline.infrastructure.memory.copying import copy_of_definition, copy_of_workflow
from cueline.infrastructure.memory.tables import WORKFLOWS_BY_NAME, Access


class MemoryWorkflows(WorkflowRepository):
    """The workflow definitions."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def add(self, workflow: Workflow) -> bool:
        rows = self._access.change().workflows
        key = (workflow.name, workflow.version)
        if rows.get(key) is not None:
            return False
        rows.put(key, copy_of_workflow(workflow))
        return True

    async def get(self, name: str, version: int) -> Workflow | None:
        found = self._access.look().workflows.get((name, version))
        return None if found is None else copy_of_workflow(found)

    async def latest(self, name: str) -> Workflow | None:
        found = self._access.look().workflows.descending(WORKFLOWS_BY_NAME, [name])
        return next(map(copy_of_workflow, found), None)

    async def list_all(self) -> list[Workflow]:
        rows = self._access.look().workflows.rows()
        ordered = sorted(rows, key=lambda workflow: (workflow.name, workflow.version))
        return [copy_of_workflow(workflow) for workflow in ordered]


class MemoryDefinitions(DefinitionRepository):
    """What is known of tasks by name."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def put_many(self, definitions: Sequence[TaskDefinition]) -> None:
        rows = self._access.change().definitions
        for definition in definitions:
            rows.put(definition.name, copy_of_definition(definition))

    async def list_all(self) -> list[TaskDefinition]:
        rows = self._access.look().definitions.rows()
        return [copy_of_definition(row) for row in sorted(rows, key=lambda row: row.name)]
