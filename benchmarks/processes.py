"""What processes use, read from /proc: CPU time and memory, of a process and all its children."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Usage(NamedTuple):
    """CPU seconds since the start, those of children that have ended included; bytes in memory."""

    cpu: float
    memory: int


class _Stat(NamedTuple):
    parent: int
    cpu: float
    cpu_of_ended: float
    memory: int


def usage_of(pid: int) -> Usage:
    """What a process and its living descendants use together.

    Memory that processes share counts for each of them.
    """
    stats = dict(_stats())
    children = defaultdict(list)
    for child, stat in stats.items():
        children[stat.parent].append(child)
    cpu, memory, family = 0.0, 0, [pid]
    while family:
        member = family.pop()
        if (found := stats.get(member)) is not None:
            cpu += found.cpu + found.cpu_of_ended
            memory += found.memory
        family += children[member]
    return Usage(cpu, memory)


def parent_of(pid: int) -> int | None:
    """The process that started this one; None if it cannot be seen from here."""
    stat = _stat(pid)
    return None if stat is None else stat.parent


def name_of(pid: int) -> str:
    """What the process is called; empty if it cannot be seen from here."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _stats() -> Iterator[tuple[int, _Stat]]:
    for name in os.listdir("/proc"):  # noqa: PTH208  # names are all that is wanted
        if name.isdigit() and (stat := _stat(int(name))) is not None:
            yield int(name), stat


def _stat(pid: int) -> _Stat | None:
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it has ended meanwhile
        return None
    fields = line.rpartition(")")[2].split()  # from the third on; the second may hold anything
    own, of_ended = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return _Stat(int(fields[1]), own * _TICK, of_ended * _TICK, int(fields[21]) * _PAGE)
