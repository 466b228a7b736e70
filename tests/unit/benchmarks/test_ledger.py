from pathlib import Path

import pytest

from benchmarks.ledger import Ledger


def test_what_one_process_notes_another_reads(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with Ledger(path, create=3) as reader, Ledger(path) as writer:
        writer.submitted(1)
        writer.started(1)
        writer.ended(1)
        assert reader.size == 3
        assert 0 < reader.submits()[1] <= reader.starts()[1] <= reader.ends()[1]
        assert (reader.starts()[0], reader.ends()[2]) == (0.0, 0.0)


def test_only_what_has_ended_is_done(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger", create=5) as ledger:
        ledger.started(0)
        ledger.ended(3)
        assert (ledger.done(), ledger.done(0, 3), ledger.done(3, 2)) == (1, 0, 1)
        assert [number for number in range(5) if ledger.has_ended(number)] == [3]


def test_a_task_is_open_between_its_submit_and_its_end(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger", create=1) as ledger:
        assert not ledger.is_open(0)
        ledger.submitted(0)
        assert ledger.is_open(0)
        ledger.ended(0)
        assert not ledger.is_open(0)


def test_a_submit_can_be_noted_for_when_it_was_due(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger", create=1) as ledger:
        ledger.submitted(0, at=7.5)
        assert ledger.submits().tolist() == [7.5]


def test_a_new_ledger_has_forgotten_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with Ledger(path, create=2) as old:
        old.ended(1)
    with Ledger(path, create=2) as new:
        assert new.done() == 0


def test_a_number_beyond_the_ledger_is_an_error(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger", create=2) as ledger, pytest.raises(IndexError):
        ledger.ended(2)
