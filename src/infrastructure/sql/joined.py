"""Working inside a transaction of the caller's own: an SQLAlchemy session on the same database."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, cast
from weakref import WeakKeyDictionary

from sqlalchemy import CursorResult, Engine, Executable, event, inspect, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
from sqlalchemy.orm import Session as OrmSession
from sqlalchemy.orm import SessionTransaction, scoped_session

from cueline.domain.errors import InvalidInput, Problem
from cueline.infrastructure.sql.batches import Batch, InsertBatch
from cueline.infrastructure.sql.session import Parameters, Rows, Session, translated
from cueline.infrastructure.sql.tables import identity

_PENDING = "cueline_committed"
"""Under which name a caller's session keeps what is to be called after its commit."""


class JoinedSession(Session):
    """Statements on the caller's session, through whatever driver that has."""

    dialect: str

    @abstractmethod
    async def _execute(self, statement: Executable, parameters: Any) -> CursorResult[Any]: ...

    async def execute(self, statement: Executable, parameters: Parameters | None = None) -> Rows:
        with translated():
            result = await self._execute(statement, parameters)
        return Rows(result.all(), -1) if result.returns_rows else Rows((), result.rowcount)

    async def scan(self, statement: Executable, parameters: Parameters | None = None) -> Rows:
        return await self.execute(statement, parameters)

    async def write_many(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> None:
        await self.write_each(batch, rows)

    async def write_each(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> list[bool]:
        ordered = [dict(zip(batch.names, row, strict=True)) for row in batch.in_locking_order(rows)]
        statement = batch.one(self.dialect).returning(batch.answer)
        if isinstance(batch, InsertBatch):  # SQLAlchemy makes few statements of many of these
            changed = {row[0] for row in await self.execute(statement, ordered)}
        else:
            found = [await self.execute(statement, values) for values in ordered]
            changed = {row[0] for each in found for row in each}
        return [row[batch.key] in changed for row in rows]


class _JoinedAsync(JoinedSession):
    def __init__(self, session: AsyncSession, dialect: str) -> None:
        self._session = session
        self.dialect = dialect

    async def _execute(self, statement: Executable, parameters: Any) -> CursorResult[Any]:
        return cast(CursorResult[Any], await self._session.execute(statement, parameters))


class _JoinedSync(JoinedSession):
    def __init__(self, session: OrmSession, dialect: str) -> None:
        self._session = session
        self.dialect = dialect

    async def _execute(self, statement: Executable, parameters: Any) -> CursorResult[Any]:
        return cast(CursorResult[Any], self._session.execute(statement, parameters))


class JoinedTransaction:
    """A transaction that is the caller's: ending it is none of our business."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def commit(self) -> None:
        """Nothing: the caller commits."""

    async def end(self) -> None:
        """Nothing: the session stays the caller's."""


class Guests:
    """Lets callers' sessions in, once it is sure that they are on the store's own database."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._home: str | None = None
        self._checked: WeakKeyDictionary[Engine, bool] = WeakKeyDictionary()

    def live_in(self, connection: Connection) -> None:
        """Learn which database the store's is."""
        self._home = _identity(connection)

    async def join(self, session: object, committed: Callable[[], None]) -> JoinedTransaction:
        """Go along with a session's transaction; `committed` is called once it is committed.

        `InvalidInput` if that is no session, one of the wrong kind, or one on another database.
        """
        if isinstance(session, async_scoped_session | scoped_session):
            session = session()
        if isinstance(session, AsyncSession):
            _require(session, on_a_loop=True)
            await session.run_sync(self._check)
            _call_after_commit(session.sync_session, committed)
            return JoinedTransaction(_JoinedAsync(session, self._dialect))
        if isinstance(session, OrmSession):
            _require(session, on_a_loop=False)
            self._check(session)
            _call_after_commit(session, committed)
            return JoinedTransaction(_JoinedSync(session, self._dialect))
        raise _unusable(f"use a session of SQLAlchemy, not {type(session).__name__}")

    def _check(self, session: OrmSession) -> None:
        with translated():
            connection = _connection(session)
            if self._checked.get(connection.engine):
                return
            is_at_home = connection.dialect.name == self._dialect
            if not is_at_home or _identity(connection) != self._home:
                raise _unusable(
                    "it is not on the database in which the tasks are kept: "
                    "point it at CUELINE_STORE"
                )
        self._checked[connection.engine] = True


def _require(session: AsyncSession | OrmSession, *, on_a_loop: bool) -> None:
    """Raise unless the session's kind fits the caller's: with an event loop, or without."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        is_on_a_loop = False
    else:
        is_on_a_loop = True
    if is_on_a_loop is not on_a_loop:
        raise _unusable(
            f"a {type(session).__name__} does not go with this call: "
            "use an AsyncSession with submit, a plain Session with submit_sync"
        )


def _connection(session: OrmSession) -> Connection:
    try:
        return session.connection()
    except UnboundExecutionError as error:
        raise _unusable("it has no engine for tables that it does not know") from error


def _identity(connection: Connection) -> str | None:
    if not inspect(connection).has_table(identity.name):
        return None
    return str(connection.execute(select(identity.c.id)).scalar_one())


def _unusable(why: str) -> InvalidInput:
    return InvalidInput("the session cannot be used", [Problem("session", why)])


def _call_after_commit(session: OrmSession, committed: Callable[[], None]) -> None:
    """Have `committed` called when the outermost transaction of a session has been committed.

    One listener stays with the session, as listeners cannot be taken away while they are called.
    """
    if not event.contains(session, "after_commit", _committed):
        event.listen(session, "after_commit", _committed)
        event.listen(session, "after_transaction_end", _ended)
    session.info.setdefault(_PENDING, []).append(committed)


def _committed(session: OrmSession) -> None:
    if session.in_nested_transaction():
        return  # a savepoint was released
    for call in session.info.pop(_PENDING, ()):
        call()


def _ended(session: OrmSession, transaction: SessionTransaction) -> None:
    """Forget what was to be called: after a commit it has been, after a rollback it must not be."""
    if transaction.parent is None:
        session.info.pop(_PENDING, None)
