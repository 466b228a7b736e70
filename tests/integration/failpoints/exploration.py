"""Going through all failpoints: a life for each, in several worlds side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from tests.integration.failpoints.points import Failpoint, When
from tests.integration.failpoints.world import Life, World

LOSS = Failpoint("commit", "ClaimTasks._commit", "task running", When.AFTER)
"""Death at this point leaves tasks behind that are running under a dead worker."""

TRIES = 5
"""How many lives may end in peace, though armed, before a failpoint counts as missed."""


class Worklist:
    """The failpoints that are known, and those at which no process has been killed yet.

    What the first life passes is passed by every life. What is found later takes a loss before, and
    may be a matter of chance: whether who recovers tasks publishes them at once, say, depends on
    what is known of the broker at that moment. What is committed by the recovery is certain.
    """

    def __init__(self) -> None:
        self.known: set[Failpoint] = set()
        self.hit: set[Failpoint] = set()
        self.after_a_loss: set[Failpoint] = set()
        self._waiting: deque[Failpoint] = deque()

    def add(self, points: Iterable[Failpoint]) -> None:
        """Put on the list what is not known yet."""
        is_first = not self.known
        new = sorted(set(points) - self.known)
        self.known.update(new)
        self._waiting.extend(new)
        if not is_first:
            self.after_a_loss.update(new)

    def take(self) -> Failpoint | None:
        """The next one, whose taker has to see to it."""
        return self._waiting.popleft() if self._waiting else None

    @property
    def missed(self) -> list[Failpoint]:
        """Where nobody was killed although every life, or every life after a loss, comes by."""
        return sorted(point for point in self.known - self.hit if self.is_certain(point))

    @property
    def met_once(self) -> list[Failpoint]:
        """Where nobody was killed because chance led nobody there a second time."""
        return sorted(point for point in self.known - self.hit if not self.is_certain(point))

    def is_certain(self, point: Failpoint) -> bool:
        """Whether chance has no part in coming by."""
        is_recovery = point.operation == "commit" and point.by.startswith("Maintain")
        return is_recovery or point not in self.after_a_loss


async def explore(world: World, worklist: Worklist) -> None:
    """Take failpoints from the list and have a process killed at each, while there are any."""
    while point := worklist.take():
        for _ in range(TRIES if worklist.is_certain(point) else 1):
            if point in worklist.after_a_loss:
                await one_life(world, worklist, LOSS)
            life = await one_life(world, worklist, point)
            if life.was_killed_there:
                worklist.hit.add(point)
                break
    await one_life(world, worklist, None)


async def one_life(world: World, worklist: Worklist, armed: Failpoint | None) -> Life:
    """Have a life lived. It has to end where it was told to, or in peace."""
    life = await world.live(armed)
    assert life.was_killed_there or life.exit_code == 0, (
        f"life {life.name}, armed with {armed}, ended with {life.exit_code}:\n{world.log}"
    )
    worklist.add(life.passed)
    return life
