"""Bringing the tables up to date."""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from cueline.domain.errors import Unavailable

SCHEMA_VERSION = "0001"
"""The newest migration; a test holds it true."""


def upgrade(connection: Connection) -> None:
    """Run the migrations that are missing, inside the caller's transaction.

    The caller holds the write lock, so of several processes that start at once one migrates and the
    others find it done. Alembic is only imported when there is something to do.
    """
    present = current_version(connection)
    if present == SCHEMA_VERSION:
        return
    from alembic import command  # slow to import, and seldom needed
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "cueline.infrastructure.sql:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise Unavailable(
            "the store", f"its tables are of version {present}, newer than this program"
        ) from error


def current_version(connection: Connection) -> str | None:
    """The version of the tables that are there, or None if there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
