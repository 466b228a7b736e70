"""New identifiers."""

from __future__ import annotations

from uuid_utils import uuid7

from cueline.application.ports.runtime import IdGenerator


class UuidGenerator(IdGenerator):
    """UUID version 7 (RFC 9562): the time in milliseconds, then a counter, then chance."""

    def new(self) -> str:
        return str(uuid7())
