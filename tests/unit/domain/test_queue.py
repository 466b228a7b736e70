"""A queue's pause and its window of messages in the broker."""

from __future__ import annotations

import pytest

from cueline.domain.queue import Queue
from cueline.domain.task import Priority

NOTHING = (0, 0, 0, 0)


@pytest.mark.parametrize(("slots", "window"), [(0, 0), (1, 2), (4, 8), (1000, 2000)])
def test_the_window_is_twice_the_slots(slots: int, window: int) -> None:
    assert Queue("email").window(slots) == window


def test_a_paused_queue_has_no_window_and_a_resumed_one_has_it_again() -> None:
    paused = Queue("email").pause()
    assert paused.paused
    assert paused.window(4) == 0
    assert paused.room(4, NOTHING, Priority.CRITICAL) == 0
    assert paused.resume().window(4) == 8


def test_pausing_twice_is_pausing_once() -> None:
    queue = Queue("email")
    assert queue.pause().pause() == queue.pause()
    assert queue.pause().pause().resume() == queue


@pytest.mark.parametrize(
    ("depth", "room"),
    [(0, 8), (3, 5), (8, 0), (100, 0)],
    ids=["an empty broker", "some messages", "a full window", "more than the window"],
)
def test_the_room_is_what_the_window_has_left_and_never_negative(depth: int, room: int) -> None:
    assert Queue("email").room(4, (0, 0, depth, 0), Priority.NORMAL) == room


def test_what_is_less_urgent_takes_no_room_away() -> None:
    held = (1, 2, 4, 8)
    rooms = [Queue("email").room(5, held, priority) for priority in Priority]
    assert rooms == [9, 7, 3, 0]


def test_without_workers_nothing_is_handed_to_the_broker() -> None:
    assert Queue("email").room(0, NOTHING, Priority.CRITICAL) == 0
