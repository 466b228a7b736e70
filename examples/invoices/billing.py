"""From orders to invoices: which are due, and what they come to.

Pure rules without I/O. Money is a whole number of cents. A line's net amount is quantity times
price, rounded half up to the cent; VAT is computed once per rate on the sum of its lines, as German
invoices do, and rounded likewise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

from typing_extensions import TypedDict  # in Python 3.11, what pydantic can check

PAYABLE_WITHIN = timedelta(days=14)


class OrderLine(TypedDict):
    """So much of an item; `quantity` is a decimal number as text."""

    item: int
    quantity: str


class Order(TypedDict):
    """An order as Ninox has it; `delivered` is a date in ISO form."""

    number: str
    customer: int
    state: str
    delivered: str | None
    invoiced: bool
    lines: list[OrderLine]


class Customer(TypedDict):
    """Whom to bill."""

    id: int
    company: str
    contact: str
    street: str
    postcode: str
    city: str
    email: str
    vat_id: str | None


class Item(TypedDict):
    """What was sold; `price` is net per unit, in euros, as text; `vat` a rate in percent."""

    id: int
    sku: str
    description: str
    unit: str
    price: str
    vat: int


class InvoiceLine(TypedDict):
    """One line of an invoice; `net` is in cents."""

    order: str
    delivered: str
    sku: str
    description: str
    unit: str
    quantity: str
    price: str
    vat: int
    net: int


class VatShare(TypedDict):
    """What was sold at one VAT rate, in percent, and the VAT on it; in cents."""

    rate: int
    net: int
    vat: int


class Invoice(TypedDict):
    """All that the paper says. It is a copy: what Ninox changes later does not change an invoice.

    `number` is empty until the books give it one. `net`, `vat` and `gross` are in cents.
    """

    number: str
    day: str
    due: str
    customer: Customer
    lines: list[InvoiceLine]
    shares: list[VatShare]
    net: int
    vat: int
    gross: int


def due_orders(orders: Sequence[Order], billed: Collection[str]) -> list[Order]:
    """Those delivered and not yet invoiced, neither by Ninox's word nor by our own books."""
    return [
        order
        for order in orders
        if order["state"] == "delivered" and not order["invoiced"] and order["number"] not in billed
    ]


def draft_invoices(
    day: date,
    orders: Sequence[Order],
    customers: Mapping[int, Customer],
    items: Mapping[int, Item],
) -> list[Invoice]:
    """One invoice for each customer, over all of these orders that are theirs."""
    by_customer: defaultdict[int, list[Order]] = defaultdict(list)
    for order in orders:
        by_customer[order["customer"]].append(order)
    return [
        _draft(day, customers[customer], theirs, items)
        for customer, theirs in sorted(by_customer.items())
    ]


def _draft(
    day: date, customer: Customer, orders: Sequence[Order], items: Mapping[int, Item]
) -> Invoice:
    lines = [
        _line(order, line, items[line["item"]])
        for order in sorted(orders, key=lambda order: order["number"])
        for line in order["lines"]
    ]
    shares = _shares(lines)
    net = sum(share["net"] for share in shares)
    vat = sum(share["vat"] for share in shares)
    return Invoice(
        number="",
        day=day.isoformat(),
        due=(day + PAYABLE_WITHIN).isoformat(),
        customer=customer,
        lines=lines,
        shares=shares,
        net=net,
        vat=vat,
        gross=net + vat,
    )


def _line(order: Order, line: OrderLine, item: Item) -> InvoiceLine:
    return InvoiceLine(
        order=order["number"],
        delivered=order["delivered"] or "",
        sku=item["sku"],
        description=item["description"],
        unit=item["unit"],
        quantity=line["quantity"],
        price=item["price"],
        vat=item["vat"],
        net=to_cents(Decimal(line["quantity"]) * Decimal(item["price"])),
    )


def _shares(lines: Sequence[InvoiceLine]) -> list[VatShare]:
    nets: defaultdict[int, int] = defaultdict(int)
    for line in lines:
        nets[line["vat"]] += line["net"]
    return [
        VatShare(rate=rate, net=net, vat=to_cents(Decimal(net * rate) / 10_000))
        for rate, net in sorted(nets.items(), reverse=True)
    ]


def to_cents(euros: Decimal) -> int:
    """A sum of money rounded half up to whole cents."""
    return int((euros * 100).to_integral_value(ROUND_HALF_UP))
