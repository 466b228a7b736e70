"""What the shop writes: the invoice as HTML for its PDF, and the texts of its e-mails."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from examples.invoices.billing import Invoice

SENDER = "Lindner & Voss Billing <billing@lindner-voss.example>"


def money(cents: int) -> str:
    """`1,234.50 €`."""
    return f"{Decimal(cents) / 100:,.2f} €"


def price(euros: str) -> str:
    """A price as it stands in the catalogue: `4.49 €`."""
    return f"{Decimal(euros):,.2f} €"


def quantity(text: str) -> str:
    """A quantity without needless zeros: `12`, `2.75`."""
    number = Decimal(text)
    return f"{number.normalize():f}" if number != number.to_integral_value() else f"{number:.0f}"


def day(iso: str) -> str:
    """`20 November 2026`."""
    moment = date.fromisoformat(iso)
    return f"{moment.day} {moment:%B %Y}"


# Autoescape, because a customer's name is text, whatever it looks like; StrictUndefined, because a
# letter with a hole in it must not be sent.
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {"money": money, "price": price, "quantity": quantity, "day": day}


def invoice_html(invoice: Invoice) -> str:
    """The invoice as a page to print."""
    return _TEMPLATES.get_template("invoice.html.j2").render(invoice=invoice)


def invoice_mail(invoice: Invoice) -> tuple[str, str]:
    """Subject and text of the mail that brings one invoice."""
    subject = f"Invoice {invoice['number']}"
    text = (
        f"Dear {invoice['customer']['contact']},\n\n"
        f"please find attached our invoice {invoice['number']} over {money(invoice['gross'])}, "
        f"payable by {day(invoice['due'])}.\n\n"
        "Kind regards\nLindner & Voss\n"
    )
    return subject, text


def weekly_mail(invoices: Sequence[Invoice], until: date) -> tuple[str, str]:
    """Subject and text of the mail that brings one customer the invoices of a week."""
    listed = "".join(
        f"  {invoice['number']}  {day(invoice['day']):>17}  {money(invoice['gross']):>14}\n"
        for invoice in invoices
    )
    subject = f"Your invoices of the week to {day(until.isoformat())}"
    text = (
        f"Dear {invoices[0]['customer']['contact']},\n\n"
        f"these are your invoices of the last seven days, attached once more:\n\n{listed}\n"
        f"Together: {money(sum(invoice['gross'] for invoice in invoices))}\n\n"
        "Kind regards\nLindner & Voss\n"
    )
    return subject, text
