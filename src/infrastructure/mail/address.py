"""Where the mail server is, read from one address such as `smtps://user:password@mail.example`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import SplitResult, unquote, urlsplit

from cueline.domain.errors import InvalidInput, Problem


class Security(StrEnum):
    """How the connection is protected; the value is the address's scheme."""

    WHEN_OFFERED = "smtp"
    """TLS if the server offers it (STARTTLS), else plain. Right for a relay on the same host."""
    REQUIRED = "smtp+starttls"
    """TLS by STARTTLS, or no mail."""
    FROM_THE_START = "smtps"
    """TLS before the first word."""


_PORTS = {Security.WHEN_OFFERED: 25, Security.REQUIRED: 587, Security.FROM_THE_START: 465}


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A mail server's host and port, how to talk to it, and as whom."""

    host: str
    port: int
    security: Security
    user: str | None = None
    password: str | None = field(default=None, repr=False)  # must not reach a log by accident

    @classmethod
    def parse(cls, url: str) -> SmtpServer:
        """Read `smtp://`, `smtp+starttls://` or `smtps://[user:password@]host[:port]`.

        `InvalidInput` says what is wrong without repeating the address, which may hold a password.
        With a user, plain `smtp://` becomes `smtp+starttls://` unless the host is this machine: a
        password never crosses a network unprotected.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise _unusable(str(error)) from error
        if parts.scheme not in list(Security):
            raise _unusable(f"it must begin with {', '.join(f'{s}://' for s in Security)}")
        if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise _unusable("it must look like smtp://[user:password@]host[:port]")
        if (parts.username is None) != (parts.password is None):
            raise _unusable("it must hold both a user and a password, or neither")
        security = _safe_for_a_password(parts)
        return cls(
            host=parts.hostname,
            port=port or _PORTS[security],
            security=security,
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )


def _safe_for_a_password(parts: SplitResult) -> Security:
    security = Security(parts.scheme)
    nearby = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if security is Security.WHEN_OFFERED and parts.username is not None and not nearby:
        return Security.REQUIRED
    return security


def _unusable(why: str) -> InvalidInput:
    return InvalidInput("the mail server's address cannot be used", [Problem("smtp", why)])
