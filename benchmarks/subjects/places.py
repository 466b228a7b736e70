"""The places in which peers work: keys of Redis, a database, queues of RabbitMQ, all their own.

Each client is imported where it is used: a worker's memory holds only what its system needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

REDIS = "redis://127.0.0.1:6379/6"
RABBITMQ = "amqp://guest:guest@127.0.0.1:5672"
POSTGRES = "postgresql://postgres@127.0.0.1:5432"

_AT_ONCE = 5_000


def forget_keys(url: str, namespace: str) -> None:
    """Remove all keys with the namespace in their name; what else is in that database stays."""
    import redis

    with redis.Redis.from_url(url) as client:
        found = []
        for key in client.scan_iter(match=f"*{namespace}*", count=_AT_ONCE):
            found.append(key)
            if len(found) == _AT_ONCE:
                client.unlink(*found)
                found.clear()
        if found:
            client.unlink(*found)


def delete_queues(url: str, names: Iterable[str]) -> None:
    """Delete these queues with all that is in them."""
    import pika

    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        for name in names:
            channel.queue_delete(name)


def database_url(server: str, name: str) -> str:
    """The address of a database on the server that the URL leads to, whichever that URL names."""
    scheme, where, _, query, _ = urlsplit(server)
    return urlunsplit((scheme, where, f"/{name}", query, ""))


def drop_database(server: str, name: str) -> None:
    """Drop the database if there is one, in spite of what is still connected to it."""
    _on_server(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def create_database(server: str, name: str) -> None:
    """Create an empty database."""
    _on_server(server, f'CREATE DATABASE "{name}"')


def _on_server(server: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(database_url(server, "postgres"), autocommit=True) as connection:
        connection.execute(statement)
