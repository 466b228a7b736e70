"""Small values of the domain as the columns hold them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

import orjson

from cueline.domain.failure import Failure
from cueline.domain.retry import Backoff, RetryPolicy


def retry_document(policy: RetryPolicy) -> str:
    """A retry policy as canonical text; tasks of one kind share one policy, so it is made once."""
    return _retry_document(policy)


@lru_cache(maxsize=1024)
def _retry_document(policy: RetryPolicy) -> str:
    return orjson.dumps(
        {
            "attempts": policy.attempts,
            "backoff": policy.backoff.value,
            "first": policy.first.total_seconds(),
            "factor": policy.factor,
            "cap": policy.cap.total_seconds(),
            "jitter": policy.jitter,
            "permanent": sorted(policy.permanent),
        }
    ).decode()


@lru_cache(maxsize=1024)
def retry_policy(document: str) -> RetryPolicy:
    """A retry policy as it was written."""
    fields = orjson.loads(document)
    return RetryPolicy(
        attempts=fields["attempts"],
        backoff=Backoff(fields["backoff"]),
        first=timedelta(seconds=fields["first"]),
        factor=fields["factor"],
        cap=timedelta(seconds=fields["cap"]),
        jitter=fields["jitter"],
        permanent=frozenset(fields["permanent"]),
    )


def failure_document(failure: Failure | None) -> dict[str, Any] | None:
    """A failure, without the lineage that matters only while it is decided on."""
    if failure is None:
        return None
    return {
        "type": failure.type,
        "message": failure.message,
        "traceback": failure.traceback,
        "permanent": failure.permanent,
    }


def failure(document: Mapping[str, Any] | None) -> Failure | None:
    """A failure as it was written."""
    if document is None:
        return None
    return Failure(
        document["type"], document["message"], document["traceback"], document["permanent"]
    )


def json_text(value: object) -> str:
    """A JSON value as the columns hold it."""
    return orjson.dumps(value).decode()
