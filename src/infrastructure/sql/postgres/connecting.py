"""Connections to PostgreSQL."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from cueline.infrastructure.sql.postgres.address import PostgresAddress
from cueline.infrastructure.sql.postgres.stalled import APPLICATION, STALLED

STATEMENT_PATIENCE = 60.0
"""How long a statement may take before the server is taken for dead, in seconds."""


def postgres_engine(url: str, connections: int, **settings: str) -> AsyncEngine:
    """An engine whose connections are made with these settings of the server.

    `PostgresAddress` says what a URL may hold. With `?prepared_statement_cache_size=0` the engine
    works behind a PgBouncer that lends connections for one transaction: no prepared statement is
    relied on in the next one, and reading, too, is done in transactions. That PgBouncer has to be
    told to `ignore_startup_parameters`, namely those below and `PostgresStore`'s; the role may be
    given them instead, `ROW_BY_ROW` in particular, by `ALTER ROLE ... SET`.
    """
    address = PostgresAddress.of(url)
    connect: dict[str, Any] = {
        "dsn": address.dsn,
        "timeout": address.patience,
        "command_timeout": STATEMENT_PATIENCE,
        "statement_cache_size": address.statements,
        "prepared_statement_cache_size": address.statements,
        "server_settings": {
            "application_name": APPLICATION,
            "idle_in_transaction_session_timeout": f"{STALLED.total_seconds() * 1000:.0f}",  # ms
            "jit": "off",  # the statements are too brief for it to pay
            **settings,
        },
    }
    if not address.statements:  # many clients share a connection: each needs names of its own
        connect["prepared_statement_name_func"] = lambda: f"cueline_{uuid4().hex}"
    return create_async_engine(
        "postgresql+asyncpg://",
        pool_size=connections,
        max_overflow=0,
        connect_args=connect,
    )


def answers_alone(url: str) -> bool:
    """Whether a statement may do without a transaction: not where a pooler lends connections."""
    return PostgresAddress.of(url).statements > 0
