"""What the broker's keys are called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cueline.domain.task import Priority

_GLOB = re.compile(r"([*?\[\]\\])")


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one namespace.

    The braces are a hash tag: a cluster keeps together what one script works on.
    """

    namespace: str

    @property
    def ages(self) -> str:
        """The counter that gives each hint its age: the lower, the older."""
        return f"{{{self.namespace}}}:ages"

    @property
    def pattern(self) -> str:
        """Matches all of these keys and no others."""
        return _GLOB.sub(r"\\\1", f"{{{self.namespace}}}:") + "*"

    def waiting(self, queue: str, priority: Priority) -> str:
        """The sorted set of the hints that wait, by age."""
        return f"{{{self.namespace}}}:waiting:{queue}:{priority:d}"

    def taken(self, queue: str) -> str:
        """The sorted set of the tags of what receivers hold, by the moment they are due again."""
        return f"{{{self.namespace}}}:taken:{queue}"

    def of(self, queue: str) -> Iterator[str]:
        """All sets of a queue, in the order in which the scripts expect them."""
        yield self.taken(queue)
        for priority in Priority:
            yield self.waiting(queue, priority)
