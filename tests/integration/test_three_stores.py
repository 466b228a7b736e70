"""Whatever is done to the three stores side by side, they answer and remember the same."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.integration.three_stores.journal_rules import JournalRules
from tests.integration.three_stores.places import InMemory, InPostgres, InSqlite
from tests.integration.three_stores.registry_rules import RegistryRules
from tests.integration.three_stores.run_rules import RunRules
from tests.integration.three_stores.task_rules import TaskRules
from tests.integration.three_stores.trio import Trio

IN_CI = 500
EXAMPLES = int(os.environ.get("CUELINE_EXAMPLES", IN_CI))
"""How many sequences of operations are tried. Those of CI are always the same; a longer run is
another one each time."""

STEPS = 20

SECONDS_EACH = 2
"""How long an example may take at most, on average."""


class StoreMachine(TaskRules, RunRules, RegistryRules, JournalRules):
    """Every rule there is."""


@pytest.fixture
def trio(tmp_path: Path, postgres_store_url: str) -> Iterator[Trio]:
    places = [InMemory(), InSqlite(tmp_path / "cueline.db"), InPostgres(postgres_store_url)]
    with Trio(places) as trio:
        yield trio


@pytest.mark.hunt
@pytest.mark.timeout(600 + SECONDS_EACH * EXAMPLES)
def test_three_stores_answer_and_remember_the_same(trio: Trio) -> None:
    run_state_machine_as_test(
        StoreMachine.on(trio),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=EXAMPLES == IN_CI,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
    sys.stdout.write(f"{EXAMPLES} examples, no difference")
