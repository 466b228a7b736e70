"""What repositories execute their statements on; the driver's errors translated into ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeAlias, TypeVar

from sqlalchemy import Executable, Row, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cueline.domain.errors import Unavailable
from cueline.infrastructure.sql.batches import Batch

T = TypeVar("T")

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
Insert: TypeAlias = sqlite.Insert | postgresql.Insert
Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]

CHUNK = 500
"""How many identifiers go into one `IN (...)`."""

UNAVAILABLE = (OperationalError, InterfaceError, PoolTimeout)
"""What the driver raises when the database does not answer, is locked for too long, or is full."""

INSERTS: Mapping[str, Callable[[Table], Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
"""`INSERT ... ON CONFLICT`, which each dialect spells for itself."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What a statement answered, already fetched."""

    rows: Sequence[AnyRow]
    count: int
    """How many rows the statement changed, where the driver says so."""

    def __iter__(self) -> Iterator[AnyRow]:
        return iter(self.rows)

    @property
    def first(self) -> AnyRow | None:
        """The first row, if there is one."""
        return self.rows[0] if self.rows else None

    @property
    def scalar(self) -> Any:
        """The first column of the one row."""
        return self.rows[0][0]


class Session(Protocol):
    """One transaction, as the repositories use it."""

    dialect: str

    async def execute(self, statement: Executable, parameters: Parameters | None = None) -> Rows:
        """Execute a statement that finds its rows by an index, once or for each set of parameters.

        `Unavailable` when the database does not answer.
        """
        ...

    async def write_many(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> int:
        """Execute a batch for rows of plain values; how many rows were changed in all."""
        ...

    async def write_each(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> list[bool]:
        """Execute a batch of which each row changes one row or none; which did, in order."""
        ...

    async def scan(self, statement: Executable, parameters: Parameters | None = None) -> Rows:
        """Execute a statement that may have to look at many rows."""
        ...

    def insert(self, table: Table) -> Insert:
        """An insert that can say what to do on a conflict."""
        return INSERTS[self.dialect](table)


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors for the driver's, `from` them."""
    try:
        yield
    except UNAVAILABLE as error:
        raise Unavailable("the store", _first_line(error)) from error
    except DBAPIError as error:
        if error.connection_invalidated or "not a database" in str(error.orig):
            raise Unavailable("the store", _first_line(error)) from error
        raise


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _first_line(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__
