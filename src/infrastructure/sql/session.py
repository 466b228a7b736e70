"""What repositories execute their statements on; the driver's errors translated into ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeAlias, TypeVar

from sqlalchemy import Executable, Row, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cueline.domain.errors import Unavailable
from cueline.infrastructure.sql.batches import INSERTS, Batch
from cueline.infrastructure.sql.queries import Query

T = TypeVar("T")

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
Insert: TypeAlias = sqlite.Insert | postgresql.Insert
Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]

CHUNK = 500
"""How many identifiers go into one `IN (...)`."""

UNAVAILABLE = (OperationalError, InterfaceError, PoolTimeout, OSError)
"""What is raised when the database does not answer, is locked for too long, or is full.

OSError, which a TimeoutError is, too, is what drivers let through while they connect.
"""

CONNECTION_EXCEPTION = "08"
"""The class of SQLSTATE that a connection has which broke while it was being made."""

TRANSIENT = frozenset(
    {
        *("40001", "40P01", "55P03"),  # two transactions in one another's way
        *("53300", "57P01", "57P02", "57P03"),  # too many connections, shutting down, starting up
        *("28000", "28P01", "3D000"),  # not set up for us, yet: an operator may be about to
    }
)
"""PostgreSQL's words (SQLSTATE) for what another try may find gone."""


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

    async def fetch(self, query: Query, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """Execute a fixed query that finds its rows by an index."""
        return (await self.execute(query.statement, parameters)).rows

    async def write_many(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> None:
        """Execute a batch for rows of plain values.

        As nobody waits to hear what it changed, it may be put off until something else is to be
        executed, or to the commit; and so may its failure.
        """
        ...

    async def write_each(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> list[bool]:
        """Execute a batch and say which of the rows changed something, in order."""
        ...

    async def scan(self, statement: Executable, parameters: Parameters | None = None) -> Rows:
        """Execute a statement that may have to look at many rows."""
        ...

    def insert(self, table: Table) -> Insert:
        """An insert that can say what to do on a conflict."""
        return INSERTS[self.dialect](table)


def is_transient(state: str | None) -> bool:
    """Whether what PostgreSQL calls so may have passed at another try."""
    return state is not None and (state in TRANSIENT or state.startswith(CONNECTION_EXCEPTION))


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors for the driver's, `from` them."""
    try:
        yield
    except UNAVAILABLE as error:
        raise Unavailable("the store", first_line(error)) from error
    except DBAPIError as error:
        passes = is_transient(getattr(error.orig, "sqlstate", None))
        if passes or error.connection_invalidated or "not a database" in str(error.orig):
            raise Unavailable("the store", first_line(error)) from error
        raise


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def first_line(error: BaseException) -> str:
    """What an error says, on one line."""
    cause = getattr(error, "orig", None) or error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__
