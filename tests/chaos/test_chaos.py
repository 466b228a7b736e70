"""The short table: nothing is lost, applied twice or accepted from a stale owner, come what may."""

from __future__ import annotations

import pytest

from tests.chaos.campaign import run_row
from tests.chaos.figures import complaints, line
from tests.chaos.places import Places
from tests.chaos.rows import ROWS, Row
from tests.chaos.workers import Nursery
from tests.integration.servers.absence import out_of_reach
from tests.integration.servers.choice import NoServer

SEED = 0

pytestmark = [
    pytest.mark.server,
    pytest.mark.hunt,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    # aio-pika closes a forgotten connection in `__del__`, and fails to where that is called in a
    # thread without a loop: such as the one in which a server is being restarted.
    pytest.mark.filterwarnings("ignore:coroutine 'Connection.close' was never awaited"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_everything_comes_to_its_end_once(
    row: Row, places: Places, nursery: Nursery, lines: list[str]
) -> None:
    await _can_be_run(row, places)
    figures = await run_row(row, row.short, places, nursery, SEED)
    lines.append(line(row.name, figures))
    assert figures.is_clean, "\n".join([*lines, *complaints(row.name, figures)])
    assert figures.faults.total() >= row.short
    assert figures.recoveries, "no fault hit a task: the test shows nothing"


async def _can_be_run(row: Row, places: Places) -> None:
    try:
        for name in row.brokers:
            await places.server(name)
    except NoServer as error:
        out_of_reach(str(error))
    if row.breaks and not (await places.server(row.breaks)).controllable:
        out_of_reach(f"{row.breaks} is not ours to break")
