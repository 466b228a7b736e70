"""Drawing a plan from a seed."""

from __future__ import annotations

from random import Random

from tests.simulation import faults, workload  # both register what they can do
from tests.simulation.broker import MessageOdds
from tests.simulation.database import Isolation
from tests.simulation.handlers import QUEUES
from tests.simulation.kinds import KINDS, Sketch
from tests.simulation.plan import Happening, Plan
from tests.simulation.processes import Role
from tests.simulation.randomness import Streams
from tests.simulation.surroundings import CallOdds

HOSTS = ("a", "b", "c")

CALM_SHARE = 0.1

REGISTERED = (workload, faults)


def draw(seed: int) -> Plan:
    """The plan that a seed stands for. Some worlds are calm in one respect, and others never."""
    streams = Streams(seed)
    random = streams["world"]
    horizon = round(random.uniform(8, 40), 1)
    hosts = {host: _draw_role(random, host) for host in HOSTS[: random.randint(1, 3)]}
    sketch = Sketch(random, horizon, list(hosts), clocks_jump=random.random() < 0.2)
    if random.random() < 0.6:
        sketch.crowded = [random.uniform(0, 0.8 * horizon) for _ in range(random.randint(1, 3))]
    for kind in KINDS.values():
        sketch.random = streams[f"plan of {kind.name}"]
        for _ in range(sketch.random.randint(0, kind.most)):
            if (drawn := kind.draw(sketch)) is not None:
                at, args = drawn
                sketch.happenings.append(Happening(min(at, horizon), kind.name, args))
    sketch.happenings.sort(key=lambda happening: happening.at)
    return Plan(
        seed=seed,
        horizon=horizon,
        isolation=random.choice((Isolation.READ_COMMITTED, Isolation.ONE_WRITER)),
        hosts=hosts,
        calls=CallOdds(
            slow=_odds(random, 0.02), lost=_odds(random, 0.01), broken_commit=_odds(random, 0.06)
        ),
        messages=MessageOdds(
            dropped=_odds(random, 0.2),
            doubled=_odds(random, 0.2),
            delayed=_odds(random, 0.2),
            reordered=_odds(random, 0.5),
        ),
        happenings=tuple(sketch.happenings),
        calm=streams["calm"].random() < CALM_SHARE,
    )


def _odds(random: Random, most: float) -> float:
    return round(random.uniform(0, most), 4) if random.random() < 0.6 else 0.0


def _draw_role(random: Random, host: str) -> Role:
    """The first host serves every queue and dispatches, so that there is always one that does."""
    if host == HOSTS[0]:
        return Role(QUEUES, random.randint(1, 5))
    queues = random.choice((QUEUES, QUEUES[:1], QUEUES[1:]))
    return Role(queues, random.randint(1, 4), dispatches=random.random() < 0.6)
