"""The invoice demo, run as a person would, and checked against the data set it was made from.

What is expected is computed here from the orders, items and customers, with fractions; nothing of
the code that makes the invoices takes part.
"""

from __future__ import annotations

import email
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from fractions import Fraction
from math import floor
from pathlib import Path

import httpx2
import pytest
from pypdf import PdfReader

from examples.invoices.dataset import TODAY, Customer, make_data_set
from examples.invoices.demo import SINCE

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@dataclass
class Bill:
    """What one customer is to pay, in cents."""

    customer: Customer
    orders: set[str] = field(default_factory=set)
    net_by_rate: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    lines: list[int] = field(default_factory=list)

    @property
    def vat_by_rate(self) -> dict[int, int]:
        return {rate: half_up(Fraction(net * rate, 100)) for rate, net in self.net_by_rate.items()}

    @property
    def gross(self) -> int:
        return sum(self.net_by_rate.values()) + sum(self.vat_by_rate.values())


def half_up(cents: Fraction) -> int:
    return floor(cents + Fraction(1, 2))


def expected_bills() -> dict[str, Bill]:
    """By e-mail address: what is delivered, recent enough and not invoiced yet."""
    data = make_data_set()
    bills: dict[str, Bill] = {}
    for order in data.orders:
        if order.state != "delivered" or order.invoice is not None:
            continue
        assert order.delivered is not None
        assert SINCE <= order.delivered <= TODAY
        customer = data.customers[order.customer - 1]
        bill = bills.setdefault(customer.email, Bill(customer))
        bill.orders.add(order.number)
        for line in order.lines:
            item = data.items[line.item - 1]
            net = half_up(Fraction(line.quantity) * Fraction(item.price) * 100)
            bill.lines.append(net)
            bill.net_by_rate[item.vat] += net
    return bills


def euros(cents: int) -> str:
    return f"{cents // 100:,}.{cents % 100:02d} €"


def text_of(pdf: Path) -> str:
    """The text of all pages, with each run of white space as one blank."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(pdf).pages).split())


def run_demo(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "examples.invoices.demo", "--out", str(out), *arguments],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def clean_environment() -> dict[str, str]:
    """Without settings of whoever runs the tests, and wide enough for paths and tables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CUELINE_")}
    return {**kept, "COLUMNS": "240", "PYTHONUNBUFFERED": "1"}


def records(out: Path) -> list[tuple[str, str, int, bool]]:
    """Number, state, gross and whether it was mailed, of every invoice in the books."""
    with sqlite3.connect(out / "books.db") as books:
        rows = books.execute(
            "SELECT number, state, gross, mailed_at IS NOT NULL FROM invoices ORDER BY number"
        ).fetchall()
    books.close()
    return [(number, state, gross, bool(mailed)) for number, state, gross, mailed in rows]


@dataclass
class Mail:
    recipient: str
    envelope: str
    subject: str
    text: str
    message_id: str
    attachments: dict[str, bytes]


def received_mails(out: Path) -> list[Mail]:
    return [read_mail(file) for file in sorted((out / "mails").glob("*.eml"))]


def read_mail(file: Path) -> Mail:
    message = email.message_from_bytes(file.read_bytes(), policy=default)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("plain",))
    assert body is not None
    attachments = list(message.iter_attachments())
    assert all(part.get_content_type() == "application/pdf" for part in attachments)
    return Mail(
        recipient=message["To"].addresses[0].addr_spec,
        envelope=message["X-Envelope-To"],
        subject=message["Subject"],
        text=body.get_content(),
        message_id=message["Message-ID"],
        attachments={part.get_filename() or "": part.get_content() for part in attachments},
    )


def test_every_delivered_order_ends_in_a_mailed_pdf_with_the_right_total(tmp_path: Path) -> None:
    out = tmp_path / "out"
    bills = expected_bills()

    done = run_demo(out, "--weekly")

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^invoice \S+: succeeded", done.stdout, re.MULTILINE)
    total = sum(bill.gross for bill in bills.values())
    assert f"{len(bills)} invoices over {euros(total)}" in done.stdout
    assert str(out) in done.stdout
    entries = records(out)
    assert [number for number, *_ in entries] == [
        f"RE-2026-{n:05d}" for n in range(1, len(bills) + 1)
    ]
    assert all(state == "open" and mailed for _, state, _, mailed in entries)
    assert sum(gross for _, _, gross, _ in entries) == total

    mails = received_mails(out)
    single = {mail.recipient: mail for mail in mails if mail.subject.startswith("Invoice")}
    weekly = {mail.recipient: mail for mail in mails if mail.subject.startswith("Your invoices")}
    assert len(mails) == 2 * len(bills)
    assert set(single) == set(weekly) == set(bills)
    assert len({mail.message_id for mail in mails}) == len(mails)
    for address, bill in bills.items():
        number = check_mail(single[address], bill, out)
        check_pdf(text_of(out / "invoices" / f"{number}.pdf"), number, bill)
        assert weekly[address].envelope == address
        assert weekly[address].attachments == single[address].attachments
        assert f"Together: {euros(bill.gross)}" in weekly[address].text
    assert {file.name for file in (out / "invoices").iterdir()} == {
        f"{number}.pdf" for number, *_ in entries
    }


def check_mail(mail: Mail, bill: Bill, out: Path) -> str:
    """The right invoice went to the right customer; answers its number."""
    [(name, content)] = mail.attachments.items()
    number = name.removesuffix(".pdf")
    assert mail.envelope == bill.customer.email
    assert mail.subject == f"Invoice {number}"
    assert f"Dear {bill.customer.contact}," in mail.text
    assert f"{number} over {euros(bill.gross)}" in mail.text
    assert content == (out / "invoices" / name).read_bytes()
    return number


def check_pdf(text: str, number: str, bill: Bill) -> None:
    """The paper bills these orders to this customer, and no others, and adds up."""
    assert bill.customer.company in text
    assert f"{bill.customer.postcode} {bill.customer.city}" in text
    assert text.count(number) >= 3
    assert set(re.findall(r"A-\d{5}", text)) == bill.orders
    for net in bill.lines:
        assert euros(net) in text
    assert f"Net total {euros(sum(bill.net_by_rate.values()))}" in text
    assert set(re.findall(r"VAT (\d+) % on", text)) == {str(rate) for rate in bill.net_by_rate}
    for rate, vat in bill.vat_by_rate.items():
        assert f"VAT {rate} % on {euros(bill.net_by_rate[rate])} {euros(vat)}" in text
    assert f"Amount due {euros(bill.gross)}" in text


def test_a_mail_server_that_is_down_for_good_gets_every_invoice_voided(tmp_path: Path) -> None:
    out = tmp_path / "out"

    done = run_demo(out, "--mail", "down")

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^invoice \S+: compensated", done.stdout, re.MULTILINE)
    assert "554 5.7.1" in done.stdout
    entries = records(out)
    assert len(entries) == len(expected_bills())
    assert {(state, mailed) for _, state, _, mailed in entries} == {("void", False)}
    assert f"{len(entries)} invoices voided by compensation" in done.stdout
    assert received_mails(out) == []
    assert list((out / "invoices").iterdir()) == []


def test_an_interrupted_demo_leaves_no_process_behind(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "examples.invoices.demo", "--out", str(tmp_path / "out")],
        cwd=ROOT,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    with demo, demo.stdout:
        addresses: list[str] = []
        while len(addresses) < 2:
            line = demo.stdout.readline()
            assert line, "the demo ended before it was interrupted"
            addresses += re.findall(r"http://\S+", line)
        for address in addresses:
            assert httpx2.get(address).status_code > 0
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=60) == 130

    for address in addresses:
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(address)


def test_a_folder_that_holds_an_earlier_demo_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "books.db").touch()

    done = run_demo(tmp_path)

    assert done.returncode == 2
    assert "holds an earlier demo" in done.stderr
