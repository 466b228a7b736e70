"""The parts of the invoice example that must hold when steps are repeated, and its arithmetic."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from cueline import Email, PermanentError
from examples.invoices import tasks
from examples.invoices.billing import (
    Customer,
    Invoice,
    Item,
    Order,
    draft_invoices,
    due_orders,
)
from examples.invoices.books import AlreadyBilledError, Books
from examples.invoices.dataset import make_data_set
from examples.invoices.letter import invoice_html, quantity

DAY = date(2026, 11, 20)
BOOK: Item = {"id": 1, "sku": "1", "description": "Book", "unit": "pc", "price": "0.05", "vat": 7}
WIRE: Item = {"id": 2, "sku": "2", "description": "Wire", "unit": "m", "price": "1.29", "vat": 19}


def a_customer(id: int = 1, company: str = "Müller & Söhne") -> Customer:
    return {
        "id": id,
        "company": company,
        "contact": "Ada",
        "street": "Weg 1",
        "postcode": "20457",
        "city": "Hamburg",
        "email": f"c{id}@example.com",
        "vat_id": None,
    }


def an_order(
    number: str = "A-1",
    *,
    customer: int = 1,
    state: str = "delivered",
    invoiced: bool = False,
    lines: dict[int, str] | None = None,
) -> Order:
    return {
        "number": number,
        "customer": customer,
        "state": state,
        "delivered": "2026-11-18" if state == "delivered" else None,
        "invoiced": invoiced,
        "lines": [
            {"item": item, "quantity": amount} for item, amount in (lines or {1: "1"}).items()
        ],
    }


def drafts(*orders: Order, day: date = DAY) -> list[Invoice]:
    customers = {order["customer"]: a_customer(order["customer"]) for order in orders}
    return draft_invoices(day, orders, customers, {1: BOOK, 2: WIRE})


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path / "books.db")


# --- what is due, and what it comes to ------------------------------------------------------------


def test_only_what_is_delivered_and_not_yet_invoiced_is_due() -> None:
    orders = [
        an_order("A-1"),
        an_order("A-2", invoiced=True),
        an_order("A-3"),
        *(
            an_order(f"A-{n}", state=s)
            for n, s in enumerate(("ordered", "shipped", "cancelled"), 4)
        ),
    ]

    assert due_orders(orders, billed={"A-3"}) == [orders[0]]


def test_a_line_is_rounded_half_up_and_vat_is_computed_once_per_rate() -> None:
    [invoice] = drafts(
        an_order("A-1", lines={1: "0.5", 2: "7.75"}), an_order("A-2", lines={1: "30"})
    )

    # 0.025 -> 0.03; 9.9975 -> 10.00; 1.50. VAT: 7 % of 1.53 -> 0.11; 19 % of 10.00.
    assert [line["net"] for line in invoice["lines"]] == [3, 1000, 150]
    assert invoice["shares"] == [
        {"rate": 19, "net": 1000, "vat": 190},
        {"rate": 7, "net": 153, "vat": 11},
    ]
    assert (invoice["net"], invoice["vat"], invoice["gross"]) == (1153, 201, 1354)


def test_each_customer_gets_one_invoice_over_all_orders() -> None:
    made = drafts(an_order("A-2"), an_order("A-3", customer=2), an_order("A-1"))

    assert [sorted({line["order"] for line in it["lines"]}) for it in made] == [
        ["A-1", "A-2"],
        ["A-3"],
    ]


def test_quantities_are_shown_without_needless_zeros() -> None:
    assert [quantity(text) for text in ("2.50", "3.0", "10", "0.125", "100")] == [
        "2.5",
        "3",
        "10",
        "0.125",
        "100",
    ]


def test_a_customers_name_is_text_whatever_it_looks_like() -> None:
    [draft] = drafts(an_order())
    draft["customer"] = a_customer(company='<img src="/etc/passwd">')

    assert "<img" not in invoice_html(draft)


def test_the_data_set_is_the_same_each_time_and_has_every_kind_of_order() -> None:
    data = make_data_set()

    assert data == make_data_set()
    assert data != make_data_set(seed=1)
    kinds = {(order.state, order.invoice is not None) for order in data.orders}
    assert kinds == {
        ("delivered", False),
        ("delivered", True),
        ("ordered", False),
        ("shipped", False),
        ("cancelled", False),
    }


# --- the books ------------------------------------------------------------------------------------


def test_entering_the_same_run_twice_enters_nothing_twice(books: Books) -> None:
    made = drafts(an_order("A-1"), an_order("A-2", customer=2))

    assert books.create("run-1", made) == ["RE-2026-00001", "RE-2026-00002"]
    assert books.create("run-1", made) == ["RE-2026-00001", "RE-2026-00002"]
    assert len(books.entries()) == 2


def test_no_order_is_on_two_invoices_and_a_failed_entry_leaves_no_gap(books: Books) -> None:
    books.create("run-1", drafts(an_order("A-1")))
    with pytest.raises(AlreadyBilledError):
        books.create("run-2", drafts(an_order("A-9", customer=2), an_order("A-1", customer=3)))

    assert books.create("run-3", drafts(an_order("A-9", customer=2))) == ["RE-2026-00002"]


def test_numbers_have_no_gap_when_many_runs_enter_at_once(books: Books) -> None:
    def enter(n: int) -> list[str]:
        return books.create(f"run-{n}", drafts(an_order(f"A-{n}")))

    with ThreadPoolExecutor(8) as threads:
        numbers = [number for [number] in threads.map(enter, range(40))]

    assert sorted(numbers) == [f"RE-2026-{n:05d}" for n in range(1, 41)]


def test_numbers_begin_anew_with_the_year(books: Books) -> None:
    books.create("run-1", drafts(an_order("A-1")))

    assert books.create("run-2", drafts(an_order("A-2"), day=date(2027, 1, 1))) == ["RE-2027-00001"]


def test_a_voided_invoice_keeps_its_number_and_frees_its_orders(books: Books) -> None:
    books.create("run-1", drafts(an_order("A-1")))

    assert books.void(["RE-2026-00001"]) == ["RE-2026-00001"]
    assert books.void(["RE-2026-00001"]) == ["RE-2026-00001"]
    assert books.billed_orders() == set()
    assert books.create("run-1", drafts(an_order("A-1"))) == ["RE-2026-00002"]
    assert [entry.state for entry in books.entries()] == ["void", "open"]


def test_an_invoice_that_its_customer_has_is_not_voided(books: Books) -> None:
    [first, second] = books.create("run-1", drafts(an_order("A-1"), an_order("A-2", customer=2)))
    books.mark_mailed(first)

    assert books.void([first, second]) == [second]
    assert books.billed_orders() == {"A-1"}


def test_a_week_has_seven_days_and_leaves_out_void_invoices_and_served_customers(
    books: Books,
) -> None:
    for n, (age, customer) in enumerate([(0, 1), (6, 1), (7, 1), (3, 2), (2, 3)]):
        order = an_order(f"A-{n}", customer=customer)
        books.create(f"run-{n}", drafts(order, day=DAY - timedelta(days=age)))
    books.void(["RE-2026-00004"])
    books.mark_weekly(3, DAY)

    assert books.week(DAY) == {1: ["RE-2026-00001", "RE-2026-00002"]}
    assert books.week(DAY + timedelta(days=1)) == {1: ["RE-2026-00001"], 3: ["RE-2026-00005"]}


# --- the mails ------------------------------------------------------------------------------------


@dataclass
class RecordingMailer:
    """Keeps what it is given, and refuses those addresses."""

    refusing: set[str] = field(default_factory=set)
    sent: list[Email] = field(default_factory=list)

    async def send(self, email: Email) -> None:
        if email.to[0] in self.refusing:
            raise PermanentError(f"no such mailbox: {email.to[0]}")
        self.sent.append(email)


@dataclass
class FakeContext:
    mail: RecordingMailer

    def progress(self, percent: float, message: str = "", **fields: object) -> None: ...

    def log(self, message: str, level: str = "info", **fields: object) -> None: ...


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Books:
    """Books with three invoices whose PDFs are there, where the handlers look for them."""
    monkeypatch.setenv("BOOKS", str(tmp_path / "books.db"))
    monkeypatch.setenv("INVOICES_DIR", str(tmp_path))
    books = Books(tmp_path / "books.db")
    books.create("run", drafts(*(an_order(f"A-{n}", customer=n) for n in (1, 2, 3))))
    for entry in books.entries():
        (tmp_path / f"{entry.number}.pdf").write_bytes(entry.number.encode())
    return books


async def mail_all(books: Books, mailer: RecordingMailer) -> Any:
    numbers = [entry.number for entry in books.entries()]
    return await tasks.send_invoices.function(FakeContext(mailer), numbers=numbers)


async def test_one_wrong_address_keeps_nobody_else_from_getting_an_invoice(shop: Books) -> None:
    mailer = RecordingMailer(refusing={"c2@example.com"})

    with pytest.raises(PermanentError, match=r"1 of 3 mails were refused: .*c2@example\.com"):
        await mail_all(shop, mailer)

    assert [email.to for email in mailer.sent] == [("c1@example.com",), ("c3@example.com",)]
    assert [entry.mailed for entry in shop.entries()] == [True, False, True]


async def test_a_repeated_step_mails_only_what_was_not_mailed(shop: Books) -> None:
    shop.mark_mailed("RE-2026-00001")
    mailer = RecordingMailer()

    await mail_all(shop, mailer)
    await mail_all(shop, mailer)

    assert [email.to for email in mailer.sent] == [("c2@example.com",), ("c3@example.com",)]
    assert [email.key for email in mailer.sent] == [
        "invoice/RE-2026-00002",
        "invoice/RE-2026-00003",
    ]
    assert mailer.sent[0].attachments[0].content == b"RE-2026-00002"


async def test_the_weekly_mail_groups_a_customers_invoices_and_is_sent_once(
    shop: Books, tmp_path: Path
) -> None:
    shop.create("later", drafts(an_order("A-9", customer=1), day=DAY + timedelta(days=2)))
    (tmp_path / "RE-2026-00004.pdf").write_bytes(b"4")
    day = (DAY + timedelta(days=3)).isoformat()
    context = FakeContext(RecordingMailer())
    groups = tasks.gather_week.function(context, day=day)["groups"]

    for _ in range(2):
        await tasks.send_weekly.function(context, day=day, groups=groups)

    sent = {email.to[0]: [it.filename for it in email.attachments] for email in context.mail.sent}
    assert sent == {
        "c1@example.com": ["RE-2026-00001.pdf", "RE-2026-00004.pdf"],
        "c2@example.com": ["RE-2026-00002.pdf"],
        "c3@example.com": ["RE-2026-00003.pdf"],
    }
    assert len(context.mail.sent) == 3
