"""What an HTTP answer that is not a success means."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from cueline.application.ports.http import TEMPORARY_STATUSES, HttpRejected, HttpUnavailable

_LONGEST_EXCERPT = 500


def describe_call(method: str, url: str) -> str:
    """`GET host:port/path`: without the user, password and query, which may be secrets."""
    try:
        parts = urlsplit(url)
        where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        where = "(not an address)"
    return f"{method} {where}"


def error_for(
    call: str, status: int, headers: Mapping[str, str], body: bytes
) -> HttpUnavailable | HttpRejected:
    """The error for an answer outside 2xx. `headers` must ignore case."""
    reason = f"answered {status}{_phrase(status)}"
    excerpt = body[: 4 * _LONGEST_EXCERPT].decode("utf-8", "replace")[:_LONGEST_EXCERPT]
    if status >= 500 or status in TEMPORARY_STATUSES:
        wait = _retry_after(headers.get("retry-after"))
        return HttpUnavailable(call, reason, status=status, retry_after=wait, body=excerpt)
    return HttpRejected(call, reason, status=status, body=excerpt)


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _retry_after(value: str | None) -> float | None:
    """The header in seconds; it is a number of them or a date. None if absent or unreadable."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:  # "-0000": the time is UTC, the zone unknown
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
