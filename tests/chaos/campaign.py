"""Running rows: in a world for each broker, strike after strike, and then the judgement."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from tests.chaos.figures import Figures
from tests.chaos.judging import WRONG, Finding, Traces, judge
from tests.chaos.moves import STORY
from tests.chaos.places import Places
from tests.chaos.recovery import recoveries
from tests.chaos.rows import Row
from tests.chaos.workers import Nursery
from tests.chaos.world import Stuck, World, a_world

TOLD = 5
"""Of how many tasks the story is told, where much is wrong."""

Progress = Callable[[str], None]


async def run_row(
    row: Row,
    count: int,
    places: Places,
    nursery: Nursery,
    seed: int,
    progress: Progress = lambda _: None,
) -> Figures:
    """Make so many faults of a kind; what came of them."""
    figures = Figures()
    for broker, share in row.shares(count):
        chance = Random(f"{seed} {row.name} {broker}")
        figures.merge(await _run_world(row, share, broker, places, nursery, chance, progress))
    return figures


async def _run_world(
    row: Row,
    count: int,
    broker: str,
    places: Places,
    nursery: Nursery,
    chance: Random,
    progress: Progress,
) -> Figures:
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix=f"cueline-chaos-{row.name}-{broker}-"))
    figures = Figures()
    async with a_world(places, nursery, broker, folder, chance) as world:
        telling = asyncio.create_task(_tell(world, f"{row.name} on {broker}", count, progress))
        try:
            await _strike(row, count, world)
        except* Stuck as stuck:
            figures.stuck += [f"on {broker}: {each}" for each in _leaves(stuck)]
        finally:
            telling.cancel()
        await world.end_all()
        await _judge(world, figures)
    figures.seconds = time.monotonic() - began
    if figures.is_clean:
        shutil.rmtree(folder)
    else:
        figures.evidence.append(f"what the workers on {broker} said and left is in {folder}")
    return figures


async def _strike(row: Row, count: int, world: World) -> None:
    async with world.load.kept_up():
        for worker in world.workers:
            await world.until_begun(worker)
        await row.strike(world, count)
    await world.until_all_ended()


async def _judge(world: World, figures: Figures) -> None:
    acknowledged = world.load.acknowledged
    findings, figures.again = await judge(world.database, acknowledged, Traces.read(world.folder))
    findings += [
        Finding(WRONG, acknowledged[key], f"whoever submitted {key} was told {what}")
        for key, what in world.load.surprises
    ]
    figures.findings += findings
    figures.tasks = len(acknowledged)
    figures.faults = Counter(fault.what for fault in world.faults)
    figures.recoveries = await recoveries(world.database, world.faults)
    figures.evidence += await _stories(world, findings)


async def _stories(world: World, findings: Sequence[Finding]) -> list[str]:
    """What happened to the first tasks with which something is wrong."""
    lines = []
    for task in list(dict.fromkeys(finding.task for finding in findings))[:TOLD]:
        lines += [f"{f.kind}: task {task}: {f.what}" for f in findings if f.task == task]
        lines += [f"    {row[0]}" for row in await world.database.answer(STORY, task)]
    return lines


async def _tell(world: World, where: str, count: int, progress: Progress) -> None:
    while True:
        await asyncio.sleep(1)
        done = len(world.load.acknowledged)
        progress(f"{where}: {len(world.faults)} faults of {count}, {done:,} tasks")


def _leaves(group: BaseExceptionGroup[Stuck]) -> list[Stuck]:
    found: list[Stuck] = []
    for each in group.exceptions:
        found += _leaves(each) if isinstance(each, BaseExceptionGroup) else [each]
    return found
