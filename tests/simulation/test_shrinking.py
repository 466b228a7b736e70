"""What is left of a failing plan once it has been cut down."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.drawing import draw
from tests.simulation.plan import Plan
from tests.simulation.planted import PLANTED
from tests.simulation.shrinking import shrink
from tests.simulation.simulation import simulate


def broken_invariant(plan: Plan) -> str | None:
    violation = simulate(plan).violation
    return None if violation is None else violation.invariant


@pytest.fixture
def failing() -> Iterator[Plan]:
    """A plan that fails as long as a mistake is planted: what is lost in the broker stays lost."""
    with PLANTED["a-lost-message-is-lost"].planted():
        yield next(plan for plan in map(draw, range(100)) if broken_invariant(plan) is not None)


@pytest.mark.simulation
@pytest.mark.timeout(300)
def test_what_is_left_of_a_real_failure_still_fails_alike_and_nothing_in_it_is_idle(
    failing: Plan,
) -> None:
    broken = broken_invariant(failing)

    def fails(candidate: Plan) -> bool:
        return broken_invariant(candidate) == broken

    small = shrink(failing, fails)
    assert fails(small)
    assert len(small.happenings) < len(failing.happenings) / 2
    for happening in small.happenings:
        rest = [other for other in small.happenings if other is not happening]
        assert not fails(small.with_only(rest))
