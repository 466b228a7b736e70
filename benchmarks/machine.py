"""What all figures depend on: the machine, and what runs on it."""

from __future__ import annotations

import os
import platform
import timeit
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.servers import Servers

_TURNS = 2_000_000


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine, as far as figures depend on it."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    servers: Mapping[str, str]
    ns_per_addition: float
    """What `x += i` takes in a loop: how fast this Python is here and now."""
    load: float
    """How many processes wanted to run before we began: more than 0.5 is too busy to measure."""

    @classmethod
    def here(cls, servers: Servers) -> Machine:
        """This one."""
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return cls(
            processor=_processor(),
            cores=len(os.sched_getaffinity(0)),
            memory_gib=round(memory / 2**30, 1),
            system=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            servers=servers.versions(),
            ns_per_addition=round(_ns_per_addition(), 1),
            load=round(os.getloadavg()[0], 2),
        )

    @property
    def caption(self) -> str:
        """All of it in a line."""
        servers = "".join(f", {name} {version}" for name, version in self.servers.items())
        return (
            f"{self.processor}, {self.cores} cores, {self.memory_gib:g} GiB, {self.system}, "
            f"Python {self.python}{servers}; {self.ns_per_addition:g} ns for x += i; "
            f"load before the start {self.load:g}"
        )

    def document(self) -> dict[str, Any]:
        """The same, as JSON has it."""
        return asdict(self)


def _ns_per_addition() -> float:
    loop = timeit.Timer(f"x = 0\nfor i in range({_TURNS}):\n    x += i")
    return min(loop.repeat(5, 1)) / _TURNS * 1e9


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
