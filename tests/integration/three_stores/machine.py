"""What every rule has at hand: the stores, the time, and the process that acts."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Self, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.doubles import NOW
from tests.integration.three_stores.everything import everything
from tests.integration.three_stores.plain import Refused, require_same
from tests.integration.three_stores.trio import Ask, Trio

T = TypeVar("T")


class Machine(RuleBasedStateMachine):
    """Begins and ends transactions, and looks at everything.

    The time is the machine's own. Stores never ask for it: every moment is given to them, on
    PostgreSQL too, whose clock is for those who give it.
    """

    trio: ClassVar[Trio]

    @classmethod
    def on(cls, trio: Trio) -> type[Self]:
        """The machine for these stores: hypothesis makes a new one for each example."""
        return type(cls.__name__, (cls,), {"trio": trio})

    def __init__(self) -> None:
        super().__init__()
        self.trio.empty()
        self.now: datetime = NOW
        self.process = 0  # which acted last
        self.fails_first = False
        self.writes_left = 0
        self.kept = False

    def teardown(self) -> None:
        """What came of it, as a process sees it that need not have taken part."""
        self.trio.roll_back()
        self.trio.look(lambda uow: everything(uow, self.now), 1 - self.process)

    def write(self, ask: Ask[T]) -> T | Refused:
        """Do something in the open transaction, or in one of its own, of each process in turn.

        In half of the examples that one is tried in vain before: nothing of it may remain, neither
        in the store nor in what the process believes of it.
        """
        if self.trio.is_writing:
            return self._write_inside(ask)
        self.process = 1 - self.process
        if not self.fails_first:
            return self.trio.write(ask, self.process)
        self.trio.begin(self.process)
        in_vain = self.trio.write(ask)
        self.trio.roll_back()
        answer = self.trio.write(ask, self.process)
        require_same({"in vain": in_vain, "again": answer})
        return answer

    def _write_inside(self, ask: Ask[T]) -> T | Refused:
        answer = self.trio.write(ask)
        self.writes_left -= 1
        if self.trio.is_writing and not self.writes_left:
            if self.kept:
                self.trio.commit()
            else:
                self.trio.roll_back()
        return answer

    def ask(self, ask: Ask[T], *, inside: bool) -> T:
        """Ask for what is committed; `inside` the transaction, if one is open, for what it sees."""
        if inside and self.trio.is_writing:
            answer = self.trio.write(ask)
            assert not isinstance(answer, Refused), answer.error
            return answer
        return self.trio.look(ask, self.process)

    # --- transactions -----------------------------------------------------------------------------

    @precondition(lambda self: not self.trio.is_writing)
    @rule(durable=st.booleans(), writes=st.integers(1, 4), kept=st.booleans())
    def begin(self, durable: bool, writes: int, kept: bool) -> None:
        """A transaction for so many of the writes that follow; kept in the end, or not."""
        self.trio.begin(self.process, durable=durable)
        self.writes_left = writes
        self.kept = kept

    @initialize(fails_first=st.booleans())
    def fail_first(self, fails_first: bool) -> None:
        self.fails_first = fails_first

    @precondition(lambda self: self.trio.is_writing)
    @rule(inside=st.booleans())
    def look_at_everything(self, inside: bool) -> None:
        """While a transaction is open: what it sees, or what others do."""
        self.ask(lambda uow: everything(uow, self.now), inside=inside)
