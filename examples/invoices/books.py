"""The shop's books: its invoice records, in a SQLite database of its own.

Every change is one transaction, and every change can be repeated without a second effect, because
the steps that make it may run more than once. Opening the books costs little, so each call does it
anew; that makes them safe to use from any thread.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from examples.invoices.billing import Invoice

_TABLES = """
CREATE TABLE IF NOT EXISTS invoices (
    number TEXT PRIMARY KEY,
    run_key TEXT NOT NULL,
    customer INTEGER NOT NULL,
    day TEXT NOT NULL,
    gross INTEGER NOT NULL,               -- cents
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'void')),
    mailed_at TEXT,
    voided_at TEXT,
    document TEXT NOT NULL                -- the whole invoice, as JSON
);
CREATE UNIQUE INDEX IF NOT EXISTS one_invoice_per_run_and_customer
    ON invoices (run_key, customer) WHERE state = 'open';
CREATE TABLE IF NOT EXISTS billed_orders (
    number TEXT NOT NULL REFERENCES invoices,
    order_number TEXT NOT NULL UNIQUE,    -- no order is on two invoices; voiding sets it free
    PRIMARY KEY (number, order_number)
);
CREATE TABLE IF NOT EXISTS weekly_mails (
    customer INTEGER NOT NULL,
    day TEXT NOT NULL,
    mailed_at TEXT NOT NULL,
    PRIMARY KEY (customer, day)
);
"""


class AlreadyBilledError(Exception):
    """An order that should be invoiced is on another invoice already."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An invoice record as the books list it; `gross` is in cents."""

    number: str
    customer: int
    day: str
    gross: int
    state: str
    mailed: bool


class Books:
    """The books in this file, which is made when it is first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self, run_key: str, drafts: Sequence[Invoice]) -> list[str]:
        """Enter the drafts and give them numbers; all of them or, on an error, none.

        Numbers follow one another without a gap within a year. What was entered before under the
        same key is not entered again; its numbers are returned. `AlreadyBilledError` if an order
        is on an invoice that another key made.
        """
        with self._writing() as db:
            return [self._enter(db, run_key, draft) for draft in drafts]

    def _enter(self, db: sqlite3.Connection, run_key: str, draft: Invoice) -> str:
        customer = draft["customer"]["id"]
        known = db.execute(
            "SELECT number FROM invoices WHERE run_key = ? AND customer = ? AND state = 'open'",
            (run_key, customer),
        ).fetchone()
        if known is not None:
            return str(known[0])
        number = _next_number(db, draft["day"][:4])
        document: Invoice = {**draft, "number": number}
        db.execute(
            "INSERT INTO invoices (number, run_key, customer, day, gross, document)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (number, run_key, customer, draft["day"], draft["gross"], json.dumps(document)),
        )
        orders = sorted({line["order"] for line in draft["lines"]})
        try:
            db.executemany("INSERT INTO billed_orders VALUES (?, ?)", [(number, o) for o in orders])
        except sqlite3.IntegrityError as error:
            raise AlreadyBilledError(f"one of {', '.join(orders)} is on another invoice") from error
        return number

    def void(self, numbers: Sequence[str]) -> list[str]:
        """Void those that no customer has yet, and free their orders; say which are void now.

        A voided invoice keeps its number: that is what makes the numbers gapless. One that was
        mailed stands, since its customer has it.
        """
        with self._writing() as db:
            for number in numbers:
                db.execute(
                    "UPDATE invoices SET state = 'void', voided_at = ?"
                    " WHERE number = ? AND state = 'open' AND mailed_at IS NULL",
                    (_now(), number),
                )
                db.execute(
                    "DELETE FROM billed_orders WHERE number = ? AND number IN"
                    " (SELECT number FROM invoices WHERE state = 'void')",
                    (number,),
                )
        void = {entry.number for entry in self.entries() if entry.state == "void"}
        return [number for number in numbers if number in void]

    def mark_mailed(self, number: str) -> None:
        """Note that the customer has the invoice."""
        with self._writing() as db:
            db.execute(
                "UPDATE invoices SET mailed_at = ? WHERE number = ? AND mailed_at IS NULL",
                (_now(), number),
            )

    def mark_weekly(self, customer: int, day: date) -> None:
        """Note that the customer has the grouped mail of the week that ends on this day."""
        with self._writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO weekly_mails VALUES (?, ?, ?)",
                (customer, day.isoformat(), _now()),
            )

    def invoice(self, number: str) -> Invoice:
        """The whole invoice; `KeyError` if there is none of that number."""
        with self._reading() as db:
            row = db.execute("SELECT document FROM invoices WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise KeyError(number)
        document: Invoice = json.loads(row[0])
        return document

    def entries(self) -> list[Entry]:
        """Every record, void ones included, by number."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT number, customer, day, gross, state, mailed_at IS NOT NULL"
                " FROM invoices ORDER BY number"
            ).fetchall()
        return [
            Entry(number, customer, day, gross, state, bool(mailed))
            for number, customer, day, gross, state, mailed in rows
        ]

    def mailed(self) -> set[str]:
        """The numbers of the invoices that their customers have."""
        return {entry.number for entry in self.entries() if entry.mailed}

    def billed_orders(self) -> set[str]:
        """The orders that are on an invoice that stands."""
        with self._reading() as db:
            return {row[0] for row in db.execute("SELECT order_number FROM billed_orders")}

    def week(self, day: date) -> dict[int, list[str]]:
        """By customer, the invoices of the seven days up to this one that stand.

        Left out are customers who have had the grouped mail of this day.
        """
        first = (day - timedelta(days=6)).isoformat()
        groups: dict[int, list[str]] = {}
        with self._reading() as db:
            rows = db.execute(
                "SELECT customer, number FROM invoices"
                " WHERE state = 'open' AND day BETWEEN ? AND ? AND customer NOT IN"
                " (SELECT customer FROM weekly_mails WHERE day = ?) ORDER BY customer, number",
                (first, day.isoformat(), day.isoformat()),
            )
            for customer, number in rows:
                groups.setdefault(customer, []).append(number)
        return groups

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other writer can come between."""
        with self._reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        with closing(db):
            db.executescript(_TABLES)
            yield db


def _next_number(db: sqlite3.Connection, year: str) -> str:
    """One more than the last of the year. Within the transaction, so that no number is lost."""
    [[last]] = db.execute(
        "SELECT coalesce(max(CAST(substr(number, 9) AS INTEGER)), 0) FROM invoices"
        " WHERE number LIKE ?",
        (f"RE-{year}-%",),
    ).fetchall()
    return f"RE-{year}-{last + 1:05d}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
