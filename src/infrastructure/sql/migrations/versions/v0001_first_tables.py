"""The first tables."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

from cueline.infrastructure.sql.types import JsonText, Moment, short_text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "attempts",
        sa.Column("task_id", short_text(36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("worker_id", short_text(36), nullable=False),
        sa.Column("started_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.Column("outcome", short_text(9), nullable=False),
        sa.Column("failure", JsonText(), nullable=True),
        sa.PrimaryKeyConstraint("task_id", "number"),
    )
    op.create_table(
        "definitions",
        sa.Column("name", short_text(100), nullable=False),
        sa.Column("queue", short_text(100), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("retry", sa.Text(), nullable=False),
        sa.Column("timeout", sa.Float(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("input_schema", JsonText(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "documents",
        sa.Column("digest", short_text(64), nullable=False),
        sa.Column("document", JsonText(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    identity = op.create_table("identity", sa.Column("id", short_text(36), primary_key=True))
    op.bulk_insert(identity, [{"id": str(uuid4())}])
    op.create_table(
        "logs",
        sa.Column("position", COUNTER, autoincrement=True, nullable=False),
        sa.Column("task_id", short_text(36), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("level", short_text(20), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("fields", JsonText(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index("logs_task", "logs", ["task_id", "position"], unique=False)
    op.create_table(
        "messages",
        sa.Column("id", COUNTER, autoincrement=True, nullable=False),
        sa.Column("task_id", short_text(36), nullable=False),
        sa.Column("queue", short_text(100), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("taken_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("messages_order", "messages", ["queue", "priority", "id"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE messages SET UNLOGGED")  # hints: not worth the write-ahead log
    op.create_table(
        "queue_names",
        sa.Column("name", short_text(100), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "queues",
        sa.Column("name", short_text(100), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "run_events",
        sa.Column("run_id", short_text(36), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("type", short_text(60), nullable=False),
        sa.Column("data", JsonText(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "sequence"),
    )
    op.create_table(
        "run_steps",
        sa.Column("run_id", short_text(36), nullable=False),
        sa.Column("name", short_text(64), nullable=False),
        sa.Column("state", short_text(20), nullable=False),
        sa.Column("starts", sa.Integer(), nullable=False),
        sa.Column("undo_starts", sa.Integer(), nullable=False),
        sa.Column("started_at", Moment(), nullable=True),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.Column("completed", sa.Integer(), nullable=True),
        sa.Column("output", JsonText(), nullable=True),
        sa.Column("failure", JsonText(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "name"),
    )
    op.create_table(
        "runs",
        sa.Column("id", short_text(36), nullable=False),
        sa.Column("workflow", short_text(100), nullable=False),
        sa.Column("digest", short_text(64), nullable=False),
        sa.Column("input", JsonText(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("key", short_text(255), nullable=True),
        sa.Column("state", short_text(20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("remaining", sa.Integer(), nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.Column("completions", sa.Integer(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.Column("output", JsonText(), nullable=True),
        sa.Column("failure", JsonText(), nullable=True),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "runs_key",
        "runs",
        ["key"],
        unique=True,
        sqlite_where=sa.text("key IS NOT NULL"),
        postgresql_where=sa.text("key IS NOT NULL"),
    )
    op.create_table(
        "tasks",
        sa.Column("id", short_text(36), nullable=False),
        sa.Column("name", short_text(100), nullable=False),
        sa.Column("queue", short_text(100), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("input", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("retry", sa.Text(), nullable=False),
        sa.Column("timeout", sa.Float(), nullable=True),
        sa.Column("key", short_text(255), nullable=True),
        sa.Column("tags", sa.Text(), nullable=True),
        sa.Column("run_id", short_text(36), nullable=True),
        sa.Column("step", short_text(64), nullable=True),
        sa.Column("purpose", short_text(4), nullable=True),
        sa.Column("state", short_text(9), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("run_at", sa.BigInteger(), nullable=False),
        sa.Column("dispatch_at", sa.BigInteger(), nullable=True),
        sa.Column("dispatches", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("worker_id", short_text(36), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("output", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "tasks_dead",
        "tasks",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'failed'"),
        postgresql_where=sa.text("state = 'failed'"),
    )
    op.create_index(
        "tasks_due",
        "tasks",
        ["queue", "priority", "dispatch_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "tasks_held",
        "tasks",
        ["worker_id"],
        unique=False,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "tasks_key",
        "tasks",
        ["key"],
        unique=True,
        sqlite_where=sa.text("key IS NOT NULL"),
        postgresql_where=sa.text("key IS NOT NULL"),
    )
    op.create_index(
        "tasks_run",
        "tasks",
        ["run_id"],
        unique=False,
        sqlite_where=sa.text("run_id IS NOT NULL"),
        postgresql_where=sa.text("run_id IS NOT NULL"),
    )
    op.create_table(
        "workers",
        sa.Column("id", short_text(36), nullable=False),
        sa.Column("name", short_text(200), nullable=False),
        sa.Column("queues", JsonText(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("started_at", Moment(), nullable=False),
        sa.Column("lease_until", Moment(), nullable=False),
        sa.Column("state", short_text(7), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "workers_live",
        "workers",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'live'"),
        postgresql_where=sa.text("state = 'live'"),
    )
    op.create_table(
        "workflows",
        sa.Column("name", short_text(100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", short_text(64), nullable=False),
        sa.PrimaryKeyConstraint("name", "version"),
    )


def downgrade() -> None:
    """Drop everything."""
    op.drop_table("workflows")
    op.drop_index(
        "workers_live",
        table_name="workers",
        sqlite_where=sa.text("state = 'live'"),
        postgresql_where=sa.text("state = 'live'"),
    )
    op.drop_table("workers")
    op.drop_index(
        "tasks_run",
        table_name="tasks",
        sqlite_where=sa.text("run_id IS NOT NULL"),
        postgresql_where=sa.text("run_id IS NOT NULL"),
    )
    op.drop_index(
        "tasks_key",
        table_name="tasks",
        sqlite_where=sa.text("key IS NOT NULL"),
        postgresql_where=sa.text("key IS NOT NULL"),
    )
    op.drop_index(
        "tasks_held",
        table_name="tasks",
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.drop_index(
        "tasks_due",
        table_name="tasks",
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.drop_index(
        "tasks_dead",
        table_name="tasks",
        sqlite_where=sa.text("state = 'failed'"),
        postgresql_where=sa.text("state = 'failed'"),
    )
    op.drop_table("tasks")
    op.drop_index(
        "runs_key",
        table_name="runs",
        sqlite_where=sa.text("key IS NOT NULL"),
        postgresql_where=sa.text("key IS NOT NULL"),
    )
    op.drop_table("runs")
    op.drop_table("run_steps")
    op.drop_table("run_events")
    op.drop_table("queues")
    op.drop_table("queue_names")
    op.drop_index("messages_order", table_name="messages")
    op.drop_table("messages")
    op.drop_index("logs_task", table_name="logs")
    op.drop_table("logs")
    op.drop_table("documents")
    op.drop_table("definitions")
    op.drop_table("attempts")
