"""The same asked of three stores at once, and their answers held against one another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeAlias, TypeVar

from cueline.application.ports.persistence import UnitOfWork
from cueline.infrastructure.sql.postgres.session import PostgresSession
from tests.integration.three_stores.places import Place
from tests.integration.three_stores.plain import Refused, require_same

T = TypeVar("T")

Ask: TypeAlias = Callable[[UnitOfWork], Awaitable[T]]
"""Something done in a unit of work. It must not change what it was given: three will do it."""


class Trio:
    """Three stores, and the one transaction that may be open on all of them.

    Writers are tried one after another: two at once would wait for one another on the stores that
    have a single writer and not on PostgreSQL, where the contract's own tests have them compete.
    A reader beside an open writer sees on all three what was committed before. A reader that stays
    while others commit may be shown more by PostgreSQL, each of whose statements looks anew; so
    every look here is a reader of its own.
    """

    def __init__(self, places: Sequence[Place]) -> None:
        self.places = places
        self._runner = asyncio.Runner()
        self._open: AsyncExitStack | None = None
        self._units: list[UnitOfWork] = []

    def __enter__(self) -> Trio:
        for place in self.places:
            self._run(place.open())
        return self

    def __exit__(self, *_: object) -> None:
        for place in self.places:
            self._run(place.close())
        self._runner.close()

    @property
    def is_writing(self) -> bool:
        """Whether a transaction is open."""
        return self._open is not None

    def empty(self) -> None:
        """Forget everything, and what was not committed too."""
        self.roll_back()
        for place in self.places:
            self._run(place.empty())

    # --- transactions -----------------------------------------------------------------------------

    def begin(self, process: int, *, durable: bool = False) -> None:
        """Open a transaction of one of the two processes."""
        self._open = AsyncExitStack()
        self._units = self._run(self._enter(self._open, process, durable))

    def commit(self) -> None:
        """End the transaction and keep what it did."""
        self._ask(lambda uow: uow.commit(), self._units)
        self.roll_back()

    def roll_back(self) -> None:
        """End the transaction; what it has not committed is gone. Without one: nothing."""
        if self._open is not None:
            self._run(self._open.aclose())
            self._open = None

    # --- asking -----------------------------------------------------------------------------------

    def write(self, ask: Ask[T], process: int = 0) -> T | Refused:
        """Do something in the transaction that is open, or in one of its own; the answer to it.

        After a refusal the transaction is rolled back, which is all that can be done with it.
        """
        if self.is_writing:
            answer = self._ask(ask, self._units)
        else:
            self.begin(process)
            answer = self._ask(ask, self._units)
            if not isinstance(answer, Refused):
                self.commit()
        if isinstance(answer, Refused):
            self.roll_back()
        return answer

    def look(self, ask: Ask[T], process: int = 0) -> T:
        """Ask for what is committed."""
        answer = self._run(self._look(ask, process))
        assert not isinstance(answer, Refused), answer.error
        return answer

    # --- on the loop ------------------------------------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    async def _enter(
        self, stack: AsyncExitStack, process: int, durable: bool | None
    ) -> list[UnitOfWork]:
        stores = [place.processes[process] for place in self.places]
        units = [
            store.read() if durable is None else store.write(durable=durable) for store in stores
        ]
        return [await stack.enter_async_context(unit) for unit in units]

    async def _look(self, ask: Ask[T], process: int) -> T | Refused:
        async with AsyncExitStack() as stack:
            return await self._all(ask, await self._enter(stack, process, None))

    def _ask(self, ask: Ask[T], units: Sequence[UnitOfWork]) -> T | Refused:
        return self._run(self._all(ask, units))

    async def _all(self, ask: Ask[T], units: Sequence[UnitOfWork]) -> T | Refused:
        answers = await asyncio.gather(*(_answer(ask, unit) for unit in units))
        if any(isinstance(answer, Refused) for answer in answers):  # PostgreSQL may say so later
            answers = [await _at_last(*each) for each in zip(answers, units, strict=True)]
        named = {place.name: answer for place, answer in zip(self.places, answers, strict=True)}
        try:
            require_same(named)
        except AssertionError as difference:
            for name, answer in named.items():
                if isinstance(answer, Refused):
                    difference.add_note(f"{name} refused with {answer.error!r}")
            raise
        return answers[0]


async def _at_last(answer: T | Refused, unit: UnitOfWork) -> T | Refused:
    """The answer once nothing is put off any more."""
    session = getattr(unit, "session", None)
    if isinstance(answer, Refused) or not isinstance(session, PostgresSession):
        return answer
    try:
        await session.flush()
    except Exception as error:  # noqa: BLE001  # to be compared
        return Refused(error)
    return answer


async def _answer(ask: Ask[T], unit: UnitOfWork) -> T | Refused:
    try:
        return await ask(unit)
    except Exception as error:  # noqa: BLE001  # to be compared
        return Refused(error)
