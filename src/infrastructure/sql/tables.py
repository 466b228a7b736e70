"""The tables. The migrations make them; a test holds the two together.

Indexes are partial wherever only live rows are looked for, so that a long history costs the hot
path nothing, and none covers a column that a heartbeat changes.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)

from cueline.infrastructure.sql.types import JsonText, Moment, short_text

metadata = MetaData()

_Counter = BigInteger().with_variant(Integer, "sqlite")
"""A number that the database gives out. SQLite counts up only what is called INTEGER."""

identity = Table("identity", metadata, Column("id", short_text(36), primary_key=True))
"""One row, made with the tables: by it a database is known, whatever the URL that leads to it."""

tasks = Table(
    "tasks",
    metadata,
    Column("id", short_text(36), primary_key=True),
    Column("name", short_text(100), nullable=False),
    Column("queue", short_text(100), nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("input", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("retry", Text, nullable=False),
    Column("timeout", Float),  # seconds
    Column("key", short_text(255)),
    Column("tags", Text),
    Column("run_id", short_text(36)),
    Column("step", short_text(64)),
    Column("purpose", short_text(4)),
    # what changes from here on
    Column("state", short_text(9), nullable=False),
    Column("version", Integer, nullable=False),
    Column("run_at", BigInteger, nullable=False),
    Column("dispatch_at", BigInteger),
    Column("dispatches", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("worker_id", short_text(36)),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("output", Text),
    Column("failure", Text),
)
"""Moments are microseconds since 1970, values are JSON text; `task_rows` converts, for speed."""

_QUEUED = text("state = 'queued'")
_RUNNING = text("state = 'running'")
_FAILED = text("state = 'failed'")

Index(
    "tasks_due",
    tasks.c.queue,
    tasks.c.priority,
    tasks.c.dispatch_at,
    tasks.c.id,
    sqlite_where=_QUEUED,
    postgresql_where=_QUEUED,
)
Index("tasks_held", tasks.c.worker_id, sqlite_where=_RUNNING, postgresql_where=_RUNNING)
Index("tasks_dead", tasks.c.id, sqlite_where=_FAILED, postgresql_where=_FAILED)
Index(
    "tasks_key",
    tasks.c.key,
    unique=True,
    sqlite_where=tasks.c.key.is_not(None),
    postgresql_where=tasks.c.key.is_not(None),
)
Index(
    "tasks_run",
    tasks.c.run_id,
    sqlite_where=tasks.c.run_id.is_not(None),
    postgresql_where=tasks.c.run_id.is_not(None),
)

queue_names = Table(
    "queue_names",
    metadata,
    Column("name", short_text(100), primary_key=True),
)
"""Every queue that ever had a task: the dispatcher asks each one instead of reading the backlog."""

queues = Table(
    "queues",
    metadata,
    Column("name", short_text(100), primary_key=True),
    Column("paused", Boolean, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("task_id", short_text(36), nullable=False),
    Column("number", Integer, nullable=False),
    Column("worker_id", short_text(36), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("outcome", short_text(9), nullable=False),
    Column("failure", JsonText),
    PrimaryKeyConstraint("task_id", "number"),
)

logs = Table(
    "logs",
    metadata,
    Column("position", _Counter, primary_key=True, autoincrement=True),
    Column("task_id", short_text(36), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("level", short_text(20), nullable=False),
    Column("message", Text, nullable=False),
    Column("fields", JsonText, nullable=False),
    Index("logs_task", "task_id", "position"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", short_text(36), primary_key=True),
    Column("name", short_text(200), nullable=False),
    Column("queues", JsonText, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("lease_until", Moment, nullable=False),
    Column("state", short_text(7), nullable=False),
    Index(
        "workers_live",
        "id",
        sqlite_where=text("state = 'live'"),
        postgresql_where=text("state = 'live'"),
    ),
)

definitions = Table(
    "definitions",
    metadata,
    Column("name", short_text(100), primary_key=True),
    Column("queue", short_text(100), nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("retry", Text, nullable=False),
    Column("timeout", Float),  # seconds
    Column("description", Text, nullable=False),
    Column("input_schema", JsonText, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("digest", short_text(64), primary_key=True),
    Column("document", JsonText, nullable=False),
)
"""Workflow definitions by their content, so that a run keeps the one it began with."""

workflows = Table(
    "workflows",
    metadata,
    Column("name", short_text(100), nullable=False),
    Column("version", Integer, nullable=False),
    Column("digest", short_text(64), nullable=False),
    PrimaryKeyConstraint("name", "version"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", short_text(36), primary_key=True),
    Column("workflow", short_text(100), nullable=False),
    Column("digest", short_text(64), nullable=False),
    Column("input", JsonText),
    Column("created_at", Moment, nullable=False),
    Column("key", short_text(255)),
    # what changes from here on
    Column("state", short_text(20), nullable=False),
    Column("version", Integer, nullable=False),
    Column("remaining", Integer, nullable=False),
    Column("active", Integer, nullable=False),
    Column("completions", Integer, nullable=False),
    Column("events", Integer, nullable=False),
    Column("cancelled", Boolean, nullable=False),
    Column("output", JsonText),
    Column("failure", JsonText),
    Column("ended_at", Moment),
)

Index(
    "runs_key",
    runs.c.key,
    unique=True,
    sqlite_where=runs.c.key.is_not(None),
    postgresql_where=runs.c.key.is_not(None),
)

run_steps = Table(
    "run_steps",
    metadata,
    Column("run_id", short_text(36), nullable=False),
    Column("name", short_text(64), nullable=False),
    Column("state", short_text(20), nullable=False),
    Column("starts", Integer, nullable=False),
    Column("undo_starts", Integer, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("completed", Integer),
    Column("output", JsonText),
    Column("failure", JsonText),
    PrimaryKeyConstraint("run_id", "name"),
)
"""One row for each step that has left `waiting`."""

run_events = Table(
    "run_events",
    metadata,
    Column("run_id", short_text(36), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("type", short_text(60), nullable=False),
    Column("data", JsonText, nullable=False),
    PrimaryKeyConstraint("run_id", "sequence"),
)

messages = Table(
    "messages",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    Column("task_id", short_text(36), nullable=False),
    Column("queue", short_text(100), nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("taken_until", BigInteger),  # microseconds since 1970
    Index("messages_order", "queue", "priority", "id"),
)
"""The broker's messages: hints, which may be deleted at any time without loss."""
