"""A store and a broker, and one process after the other that works on them and is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.integration.failpoints import shop
from tests.integration.failpoints.life import Plan
from tests.integration.failpoints.points import Failpoint
from tests.integration.failpoints.records import Answered, Asked, Dying, Entry, Passed, entries
from tests.integration.processes import ROOT


@contextmanager
def zygote() -> Iterator[Path]:
    """A process that forks lives, by the address of its socket; until it is left."""
    environment = {name: value for name, value in os.environ.items() if "CUELINE" not in name}
    with TemporaryDirectory() as folder:
        address = Path(folder, "zygote")
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.failpoints.zygote", str(address)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield address
        finally:
            process.kill()
            process.communicate()


@dataclass(frozen=True, slots=True)
class Life:
    """A life that is over."""

    name: str
    armed: Failpoint | None
    exit_code: int
    ended: float
    entries: tuple[Entry, ...]

    @property
    def was_killed_there(self) -> bool:
        """Whether the life ended at the failpoint that was armed, and nowhere else."""
        deaths = [entry.point for entry in self.entries if isinstance(entry, Dying)]
        return deaths == [self.armed] and self.exit_code == -signal.SIGKILL

    @property
    def passed(self) -> set[Failpoint]:
        """The failpoints that it came by."""
        return {entry.point for entry in self.entries if isinstance(entry, Passed)}


@dataclass
class World:
    """What one chain of lives has in common, and what their clients were told."""

    name: str
    folder: Path
    settings: Mapping[str, Any]
    zygote: Connection
    lives: list[Life] = field(default_factory=list)
    wished: dict[str, shop.Wish] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    """How often each wish was told to Cueline."""
    answers: dict[str, list[Any]] = field(default_factory=dict)

    async def live(self, armed: Failpoint | None = None) -> Life:
        """Have one more life: with wishes of its own, and those of earlier ones not answered."""
        name = f"{self.name}.{len(self.lives)}"
        new = dict(shop.wishes(name))
        self.wished.update(new)
        plan = Plan(name, self.folder, self.settings, {**self._open_wishes(), **new}, armed)
        self.zygote.send(plan)
        code: int = await asyncio.to_thread(self.zygote.recv)
        life = Life(name, armed, code, time.time(), tuple(entries(plan.record)))
        for entry in life.entries:
            if isinstance(entry, Asked):
                self.asked[entry.label] = self.asked.get(entry.label, 0) + 1
            elif isinstance(entry, Answered):
                self.answers.setdefault(entry.label, []).append(entry.answer)
        self.lives.append(life)
        return life

    def _open_wishes(self) -> dict[str, shop.Wish]:
        """What a client would ask for again: it has a key, or was never asked for at all."""
        return {
            label: wish
            for label, wish in self.wished.items()
            if label not in self.answers and (shop.has_key(wish) or label not in self.asked)
        }

    @property
    def log(self) -> str:
        """The end of what its processes said."""
        return (self.folder / "log").read_text(errors="replace")[-3000:]
