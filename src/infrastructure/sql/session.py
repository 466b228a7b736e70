"""A transaction on one connection, with the driver's errors translated into ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import CursorResult, Executable, Row, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from cueline.domain.errors import Unavailable

T = TypeVar("T")

Rows: TypeAlias = CursorResult[*tuple[Any, ...]]
AnyRow: TypeAlias = Row[*tuple[Any, ...]]

CHUNK = 500
"""How many identifiers go into one `IN (...)`."""

UNAVAILABLE = (OperationalError, InterfaceError, PoolTimeout)
"""What the driver raises when the database does not answer, is locked for too long, or is full."""

INSERTS: Mapping[str, Callable[[Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
"""`INSERT ... ON CONFLICT`, which each dialect spells for itself."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors for the driver's, `from` them."""
    try:
        yield
    except UNAVAILABLE as error:
        raise Unavailable("the store", _first_line(error)) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Unavailable("the store", _first_line(error)) from error
        raise


class Session:
    """What the repositories execute their statements on."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(
        self,
        statement: Executable,
        parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> Rows:
        """Execute a statement, once or for each set of parameters."""
        with translated():
            return await self._connection.execute(statement, parameters)

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """An insert that can say what to do on a conflict."""
        return INSERTS[self._connection.dialect.name](table)


def chunks(items: Sequence[T] | set[T] | frozenset[T], size: int = CHUNK) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _first_line(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__
