"""Where a PostgreSQL server is, as a URL says it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from cueline.domain.errors import InvalidInput, Problem

CONNECT_PATIENCE = 5
"""How long a connection may take to be made, in seconds."""

STATEMENTS = 100
"""How many prepared statements a connection keeps."""

_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]@]*)(:\d+)?")


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """A URL as libpq has it, taken apart; the store and the listener read it alike."""

    dsn: str
    """What asyncpg is to connect to."""
    patience: int
    """How long a connection may take to be made, in seconds."""
    statements: int
    """How many prepared statements may be kept. None may behind a pooler of transactions."""

    @classmethod
    def of(cls, url: str) -> PostgresAddress:
        """Read `postgresql://user:password@host:port/database?options`.

        A host may be left out, or be a folder with a socket (`?host=/run/postgresql`). The options
        `sslmode`, `sslrootcert`, `connect_timeout` and the like are as libpq has them;
        `prepared_statement_cache_size` is SQLAlchemy's; any other is a setting of the server, as
        `application_name` is. Special characters in a password are percent-encoded.
        `InvalidInput`, without the URL in it, if it cannot be read.
        """
        parts = urlsplit(url)
        hosts = parts.netloc.partition("@")[2] if "@" in parts.netloc else parts.netloc
        if not all(_HOST.fullmatch(host) for host in hosts.split(",")):
            raise _unreadable("its host or port; a password has @ as %40, : as %3A and / as %2F")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        patience = _number(options, "connect_timeout", CONNECT_PATIENCE)
        statements = _number(options, "prepared_statement_cache_size", STATEMENTS)
        options.setdefault("application_name", "cueline")
        dsn = parts._replace(scheme="postgresql", query=urlencode(options)).geturl()
        return cls(dsn, patience or CONNECT_PATIENCE, statements)


def _number(options: dict[str, str], name: str, default: int) -> int:
    """Take out an option that is not the server's."""
    value = options.pop(name, str(default))
    if not value.isdecimal():
        raise _unreadable(f"{name}: use a whole number")
    return int(value)


def _unreadable(what: str) -> InvalidInput:
    return InvalidInput("the URL of PostgreSQL cannot be read", [Problem("store", what)])
