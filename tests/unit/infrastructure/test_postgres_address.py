"""What a URL says of a PostgreSQL server; the store and the listener read it alike."""

from __future__ import annotations

import asyncpg.connect_utils
import pytest

from cueline.domain.errors import InvalidInput
from cueline.infrastructure.sql.postgres.address import (
    CONNECT_PATIENCE,
    STATEMENTS,
    PostgresAddress,
)
from cueline.infrastructure.sql.postgres.connecting import postgres_engine
from cueline.infrastructure.sql.postgres.listener import PostgresListener


@pytest.mark.parametrize(
    ("url", "dsn"),
    [
        (
            "postgresql://ada:p%40ss%2Fword@db.example:6432/shop",
            "postgresql://ada:p%40ss%2Fword@db.example:6432/shop?application_name=cueline",
        ),
        ("postgres://db/shop?application_name=x", "postgresql://db/shop?application_name=x"),
        (
            "postgresql:///shop?host=/run/postgresql&user=ada",
            "postgresql:/shop?host=%2Frun%2Fpostgresql&user=ada&application_name=cueline",
        ),
        (
            "postgresql://one:5432,two:5433/shop?target_session_attrs=any",
            "postgresql://one:5432,two:5433/shop?target_session_attrs=any&application_name=cueline",
        ),
        (
            "postgresql://[::1]:5432/shop?sslmode=verify-full&application_name=x",
            "postgresql://[::1]:5432/shop?sslmode=verify-full&application_name=x",
        ),
    ],
)
def test_it_is_what_asyncpg_is_to_connect_to(url: str, dsn: str) -> None:
    assert PostgresAddress.of(url) == PostgresAddress(dsn, CONNECT_PATIENCE, STATEMENTS)


def test_what_is_not_the_server_s_is_taken_out() -> None:
    url = "postgresql://db/shop?connect_timeout=9&prepared_statement_cache_size=0"
    assert PostgresAddress.of(url) == PostgresAddress(
        "postgresql://db/shop?application_name=cueline", patience=9, statements=0
    )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:secret/half@db/shop",
        "postgresql://ada:secret@half@db/shop",
        "postgresql://ada:secret@db:port/shop",
        "postgresql://ada:secret@db/shop?prepared_statement_cache_size=none",
    ],
)
def test_what_cannot_be_read_is_refused_without_telling_it(url: str) -> None:
    with pytest.raises(InvalidInput, match="the URL of PostgreSQL cannot be read") as caught:
        PostgresAddress.of(url)
    assert "secret" not in str(caught.value)


async def test_the_store_and_the_listener_connect_to_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[object, object]] = []

    async def refuse(dsn: str | None = None, **options: object) -> None:
        asked.append((dsn, options["statement_cache_size"]))
        raise OSError("nobody is there")

    monkeypatch.setattr(asyncpg, "connect", refuse)
    url = "postgresql:///shop?host=/run/postgresql&prepared_statement_cache_size=0"
    engine = postgres_engine(url, 1)
    with pytest.raises(OSError, match="nobody"):
        async with engine.connect():
            pytest.fail("it connects")
    listener = PostgresListener(url)
    await listener.open()
    await listener.close()
    assert len(asked) >= 2
    assert set(asked) == {(PostgresAddress.of(url).dsn, 0)}
