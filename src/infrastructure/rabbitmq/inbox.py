"""What the server has sent us and we have not answered yet."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from cueline.application.ports.broker import Delivery, Message
from cueline.domain.task import Priority
from cueline.infrastructure.hints import MalformedHint, decode
from cueline.infrastructure.rabbitmq.lanes import Lane, lanes_of


@dataclass(slots=True, eq=False)
class Consumer:
    """A consumer of a lane: how much the server may send it, and how much of that is handed out."""

    lane: Lane
    prefetch: int
    tag: str
    handed_out: int = 0

    def can_hold(self, messages: int) -> bool:
        """Whether the server may send it so many beside what is handed out."""
        return self.prefetch - self.handed_out >= messages


class Answer(NamedTuple):
    """What to tell the server about a message: its number, and whether all before it are meant."""

    number: int
    multiple: bool


@dataclass(slots=True, eq=False)
class _Held:
    number: int
    consumer: Consumer
    message: Message


@dataclass(slots=True, eq=False)
class _HandedOut:
    held: _Held
    until: datetime


class Inbox:
    """The messages of one channel that are not answered: some wait, some are handed out.

    The server numbers what it sends on a channel; the numbers rise. What is handed out gets a tag,
    which is good for this one time: one that comes back gets another. It does no I/O: answers are
    for the caller to send.
    """

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._tags = count(1)
        self._turns = count()
        self._unanswered: dict[int, Lane] = {}  # the numbers rise
        self._in_lane: Counter[Lane] = Counter()
        self._waiting: dict[Lane, list[tuple[int, _Held]]] = {}  # a heap for each lane
        self._handed_out: dict[str, _HandedOut] = {}  # by tag, the oldest first
        self._malformed: list[int] = []
        self.latest = 0
        """The number of what came last."""

    def __len__(self) -> int:
        return len(self._unanswered)

    def count(self, lane: Lane) -> int:
        """How many messages of a lane are here, waiting or handed out."""
        return self._in_lane[lane]

    def waiting(self, queues: Iterable[str]) -> int:
        """How many messages of these queues wait."""
        lanes = (lane for queue in queues for lane in lanes_of(queue))
        return sum(len(self._waiting.get(lane, ())) for lane in lanes)

    @property
    def waiting_queues(self) -> set[str]:
        """The queues of which messages wait."""
        return {lane.queue for lane in self._waiting}

    @property
    def malformed(self) -> int:
        """How many came that are no messages of ours."""
        return len(self._malformed)

    def arrive(self, consumer: Consumer, number: int, hint: bytes) -> None:
        """Note what the server sent. A hint is believed only if it came by its own lane."""
        lane = consumer.lane
        self.latest = number
        self._unanswered[number] = lane
        self._in_lane[lane] += 1
        try:
            message = decode(hint)
        except MalformedHint:
            message = None
        if message is None or (message.queue, message.priority) != lane:
            self._malformed.append(number)
        else:
            self._put(_Held(number, consumer, message))

    def take(self, queues: Sequence[str], limit: int, until: datetime) -> list[Delivery]:
        """Hand out what waits in these queues: by priority, and in each by turns."""
        turn = next(self._turns) % len(queues)
        by_turns = [*queues[turn:], *queues[:turn]]
        taken: list[Delivery] = []
        for priority in sorted(Priority):
            lanes = deque(
                lane for queue in by_turns if (lane := Lane(queue, priority)) in self._waiting
            )
            while lanes and len(taken) < limit:
                lane = lanes.popleft()
                taken.append(self._hand_out(self._pop(lane), until))
                if lane in self._waiting:
                    lanes.append(lane)
        return taken

    def bring_back(self, now: datetime) -> set[str]:
        """Let those wait again that were handed out for too long, and answer their queues.

        To the server they have been ours all the time.
        """
        late = []
        for tag, handed in self._handed_out.items():
            if handed.until > now:
                break
            late.append(tag)
        queues = set()
        for tag in late:
            held = self._handed_out.pop(tag).held
            held.consumer.handed_out -= 1
            self._put(held)
            queues.add(held.message.queue)
        return queues

    def acknowledge(self, tags: Iterable[str]) -> list[Answer]:
        """Forget what was handed out under these tags. Tags that are not known mean nothing."""
        numbers = []
        for tag in tags:
            if (handed := self._handed_out.pop(tag, None)) is not None:
                handed.held.consumer.handed_out -= 1
                numbers.append(handed.held.number)
        return self._answer(numbers)

    def drop_malformed(self) -> list[Answer]:
        """Forget what is no message of ours."""
        numbers, self._malformed = self._malformed, []
        return self._answer(numbers)

    def give_back(self, queues: Collection[str]) -> list[Answer]:
        """Forget what waits in these queues."""
        lanes = [lane for lane in self._waiting if lane.queue in queues]
        return self._answer([number for lane in lanes for number, _ in self._waiting.pop(lane)])

    def clear(self) -> list[Answer]:
        """Forget everything."""
        for handed in self._handed_out.values():
            handed.held.consumer.handed_out -= 1
        self._handed_out.clear()
        self._waiting.clear()
        self._malformed.clear()
        return self._answer(list(self._unanswered))

    def _put(self, held: _Held) -> None:
        heappush(self._waiting.setdefault(held.consumer.lane, []), (held.number, held))

    def _pop(self, lane: Lane) -> _Held:
        heap = self._waiting[lane]
        _, held = heappop(heap)
        if not heap:
            del self._waiting[lane]
        return held

    def _hand_out(self, held: _Held, until: datetime) -> Delivery:
        tag = f"{self._epoch}:{next(self._tags)}"
        held.consumer.handed_out += 1
        self._handed_out[tag] = _HandedOut(held, until)
        return Delivery(held.message, tag)

    def _answer(self, numbers: Collection[int]) -> list[Answer]:
        """Forget messages. As few answers as can be: one for all that nothing unanswered precedes.

        Batches are mostly taken and answered in the order of their coming.
        """
        answered = set(numbers)
        last = 0
        for number in self._unanswered:
            if number not in answered:
                break
            last = number
        for number in answered:
            self._in_lane[self._unanswered.pop(number)] -= 1
        answers = [Answer(last, multiple=True)] if last else []
        answers += [Answer(number, multiple=False) for number in answered if number > last]
        return answers
