"""Several things in one round trip: scripts in Lua, which are one step, and batches of commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError


class Script:
    """A script of this package. It is sent by its hash; a server that forgot it is told again."""

    def __init__(self, name: str) -> None:
        self._text = (files(__package__) / f"{name}.lua").read_text()
        self._hash = sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(
        self, redis: Redis, keys: Sequence[str], arguments: Iterable[str | bytes | int] = ()
    ) -> Any:
        """Run it. What it answers is up to the script."""
        try:
            return await redis.evalsha(self._hash, len(keys), *keys, *arguments)
        except NoScriptError:
            return await redis.eval(self._text, len(keys), *keys, *arguments)


async def batch(redis: Redis, commands: Iterable[Sequence[str | bytes | int]]) -> list[Any]:
    """What commands answer that are sent together. Others may come between them."""
    async with redis.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)  # staged; nothing to await yet
        return await pipeline.execute()
