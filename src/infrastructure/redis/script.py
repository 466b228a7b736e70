"""Scripts in Lua, which are one step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

from cueline.infrastructure.redis.lines import Line


class Script:
    """A script of this package. It is sent by its hash; a server that forgot it is told again."""

    def __init__(self, name: str) -> None:
        self._text = (files(__package__) / f"{name}.lua").read_text()
        self._hash = sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(
        self, line: Line, keys: Sequence[str], arguments: Iterable[str | bytes | int] = ()
    ) -> Any:
        """Run it. What it answers is up to the script."""
        rest = (len(keys), *keys, *arguments)
        try:
            [answer] = await line.ask(("EVALSHA", self._hash, *rest))
        except NoScriptError:
            [answer] = await line.ask(("EVAL", self._text, *rest))
        return answer


class Scripts:
    """Those of the broker."""

    def __init__(self) -> None:
        self.publish, self.take, self.mend = Script("publish"), Script("take"), Script("mend")
