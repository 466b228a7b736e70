"""Workflow definitions by the digest of their content."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from hashlib import sha256

import orjson
from sqlalchemy import select

from cueline.domain.json import Json
from cueline.domain.workflow.definition import Workflow
from cueline.domain.workflow.document import parse_workflow, workflow_document
from cueline.infrastructure.sql.batches import InsertBatch
from cueline.infrastructure.sql.rows import json_text
from cueline.infrastructure.sql.session import Session, chunks
from cueline.infrastructure.sql.tables import documents

_ADD = InsertBatch(documents, ("digest", "document"), key="digest")


class Documents:
    """Stores each definition once. A digest's meaning never changes, so what was read is kept."""

    def __init__(self, session: Session, known: dict[str, Workflow]) -> None:
        """`known` are those that are committed."""
        self._session = session
        self._known = known
        self._written: dict[str, Json] = {}  # here, and for others only once this is committed

    def committed(self) -> None:
        """Keep what was written: copies, for a definition is its caller's own."""
        for digest, document in self._written.items():
            self._known.setdefault(digest, parse_workflow(document))

    async def put_many(self, workflows: Sequence[Workflow]) -> list[str]:
        """Store definitions that are not stored yet; answer their digests in order."""
        each = {id(workflow): workflow for workflow in workflows}  # mostly one and the same
        known = {key: _digest(workflow) for key, workflow in each.items()}
        digests = [known[id(workflow)] for workflow in workflows]
        new = {
            digest: workflow
            for digest, workflow in zip(digests, workflows, strict=True)
            if digest not in self._known
        }
        if new:
            written = {digest: workflow_document(workflow) for digest, workflow in new.items()}
            self._written |= written
            rows = [(digest, json_text(document)) for digest, document in written.items()]
            await self._session.write_many(_ADD, rows)
        return digests

    def at_hand(self, digest: str) -> Workflow | None:
        """The definition with this digest, if it was read before. It is not to be changed."""
        return self._known.get(digest)

    async def shared(self, digests: Collection[str]) -> dict[str, Workflow]:
        """The definitions with these digests, for runs: read once and not to be changed."""
        unknown = [digest for digest in digests if digest not in self._known]
        found = await self.read(unknown)
        self._known.update((each, found[each]) for each in found.keys() - self._written.keys())
        return {digest: found.get(digest) or self._known[digest] for digest in digests}

    async def read(self, digests: Collection[str]) -> dict[str, Workflow]:
        """The definitions with these digests, the caller's own."""
        found: dict[str, Workflow] = {}
        for chunk in chunks(list(digests)):
            result = await self._session.execute(
                select(documents).where(documents.c.digest.in_(chunk))
            )
            found.update((row.digest, parse_workflow(row.document)) for row in result)
        return found


def _digest(workflow: Workflow) -> str:
    return _document_digest(_canonical(workflow_document(workflow)))


def _canonical(document: Json) -> bytes:
    # The order of the steps is part of a definition (it is the order in which they are shown and
    # started), so keys are not sorted.
    return orjson.dumps(document)


@lru_cache(maxsize=1024)
def _document_digest(text: bytes) -> str:
    return sha256(text).hexdigest()
