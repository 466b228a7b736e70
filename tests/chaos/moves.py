"""Every change of every task, kept by the database itself: no code of ours can forget one.

A row of `moves` is a task as it was and as it then was, written in the transaction that changed it.
Hints, which change neither state nor version nor owner, are left out.
"""

from __future__ import annotations

from tests.chaos.database import Database

_STATEMENTS = (
    """
    CREATE TABLE moves (
        position bigserial PRIMARY KEY,
        at float8 NOT NULL DEFAULT extract(epoch FROM clock_timestamp()),
        task_id text NOT NULL,
        was text, was_version int, was_attempt int, was_worker text,
        state text NOT NULL, version int NOT NULL, attempt int NOT NULL, worker text
    )
    """,
    "CREATE INDEX moves_of_task ON moves (task_id, position)",
    """
    CREATE FUNCTION keep_move() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO moves (task_id, state, version, attempt, worker)
            VALUES (NEW.id, NEW.state, NEW.version, NEW.attempt, NEW.worker_id);
        ELSE
            INSERT INTO moves (
                task_id, was, was_version, was_attempt, was_worker, state, version, attempt, worker
            ) VALUES (
                NEW.id, OLD.state, OLD.version, OLD.attempt, OLD.worker_id,
                NEW.state, NEW.version, NEW.attempt, NEW.worker_id
            );
        END IF;
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER keep_new AFTER INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION keep_move()",
    """
    CREATE TRIGGER keep_change AFTER UPDATE ON tasks FOR EACH ROW
    WHEN (
        (OLD.state, OLD.version, OLD.attempt, OLD.worker_id)
        IS DISTINCT FROM (NEW.state, NEW.version, NEW.attempt, NEW.worker_id)
    )
    EXECUTE FUNCTION keep_move()
    """,
)


async def keep_moves(database: Database) -> None:
    """Have a database with the tables of a store keep every move from now on."""
    for statement in _STATEMENTS:
        await database.ask(statement)


RECENT_END = """
    SELECT max(at) FROM (SELECT at, state FROM moves ORDER BY position DESC LIMIT 200) AS recent
    WHERE state IN ('succeeded', 'failed', 'cancelled')
"""
"""When the last task ended."""

OPEN = """
    SELECT (SELECT count(*) FROM tasks WHERE state = 'queued')
         + (SELECT count(*) FROM tasks WHERE state = 'running')
"""
"""How many tasks have not ended."""

STORY = """
    SELECT to_char(to_timestamp(at), 'HH24:MI:SS.MS') || '  '
        || coalesce(was || ' v' || was_version || ' attempt ' || was_attempt
                    || coalesce(' by ' || b.name, ''), 'new')
        || ' -> ' || m.state || ' v' || version || ' attempt ' || attempt
        || coalesce(' by ' || n.name, '')
    FROM moves AS m
    LEFT JOIN workers AS b ON b.id = m.was_worker
    LEFT JOIN workers AS n ON n.id = m.worker
    WHERE task_id = $1 ORDER BY position
"""
"""What happened to one task, a line for each move."""

WAITING = """
    SELECT 'session ' || pid || ': ' || state || ' in a transaction for '
        || to_char(extract(epoch FROM clock_timestamp() - xact_start), 'FM990.0') || ' s'
        || coalesce(', waits for ' || nullif(array_to_string(pg_blocking_pids(pid), ', '), ''), '')
        || ': ' || regexp_replace(left(query, 90), '\\s+', ' ', 'g')
    FROM pg_stat_activity
    WHERE datname = current_database() AND xact_start < clock_timestamp() - interval '1 second'
    ORDER BY xact_start
"""
"""The transactions that take long, and for whom they wait."""
