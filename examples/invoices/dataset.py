"""What is in the shop's Ninox database: the same customers, items and orders for the same seed.

Quantities and prices are decimals, never floats: an invoice is exact to the cent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from examples.invoices.catalogue import CITIES, COMPANIES, CONTACTS, ITEMS, STREETS

SEED = 20261120
TODAY = date(2026, 11, 20)
ORDERS = 400


@dataclass(frozen=True, slots=True)
class Customer:
    """A company that buys on account. `vat_id` may be unknown."""

    id: int
    company: str
    contact: str
    street: str
    postcode: str
    city: str
    email: str
    vat_id: str | None


@dataclass(frozen=True, slots=True)
class Item:
    """Something for sale: its net price per unit in euros and its VAT rate in percent."""

    id: int
    sku: str
    description: str
    unit: str
    price: Decimal
    vat: int


@dataclass(frozen=True, slots=True)
class OrderLine:
    """So much of an item. Paper goes by the piece, carpet by the metre: `2.75` is a quantity."""

    item: int
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Order:
    """`state` is ordered, shipped, delivered or cancelled; `invoice` what billed it long ago."""

    id: int
    number: str
    customer: int
    ordered: date
    delivered: date | None
    state: str
    invoice: str | None
    lines: tuple[OrderLine, ...]


@dataclass(frozen=True, slots=True)
class DataSet:
    """The three tables, each in the order of its ids, which count from 1."""

    customers: tuple[Customer, ...]
    items: tuple[Item, ...]
    orders: tuple[Order, ...]


def make_data_set(seed: int = SEED) -> DataSet:
    """Make it up, always in the same way."""
    random = Random(seed)
    customers = tuple(_customer(number, random) for number in range(1, len(COMPANIES) + 1))
    items = tuple(
        Item(number, f"{4000 + 7 * number}", description, unit, Decimal(price), vat)
        for number, (description, unit, price, vat) in enumerate(ITEMS, start=1)
    )
    orders = tuple(_order(number, random, customers, items) for number in range(1, ORDERS + 1))
    return DataSet(customers, items, orders)


def _customer(number: int, random: Random) -> Customer:
    company, domain = COMPANIES[number - 1]
    postcode, city = random.choice(CITIES)
    return Customer(
        id=number,
        company=company,
        contact=random.choice(CONTACTS),
        street=f"{random.choice(STREETS)} {random.randint(1, 120)}",
        postcode=postcode,
        city=city,
        email=f"accounts@{domain}.example",
        vat_id=f"DE{random.randint(100_000_000, 399_999_999)}" if random.random() < 0.8 else None,
    )


def _order(
    number: int, random: Random, customers: tuple[Customer, ...], items: tuple[Item, ...]
) -> Order:
    """Orders came in evenly over eight weeks; what happened to each depends on its age."""
    age = (ORDERS - number) * 56 // ORDERS
    ordered = TODAY - timedelta(days=age)
    state, delivered = _fate(age, ordered, random)
    # Deliveries were billed until ten days ago; of the later ones, those paid in advance.
    billed = delivered is not None and (
        delivered < TODAY - timedelta(days=10) or random.random() < 0.15
    )
    return Order(
        id=number,
        number=f"A-{10_400 + number}",
        customer=_frequent(random, len(customers)),
        ordered=ordered,
        delivered=delivered,
        state=state,
        invoice=f"OLD-{number:05d}" if billed else None,
        lines=_lines(random, items),
    )


def _fate(age: int, ordered: date, random: Random) -> tuple[str, date | None]:
    if random.random() < 0.06:
        return "cancelled", None
    delivered = ordered + timedelta(days=random.randint(1, 12))
    if delivered <= TODAY:
        return "delivered", delivered
    return ("shipped" if age > 2 and random.random() < 0.7 else "ordered"), None


def _frequent(random: Random, count: int) -> int:
    """A customer's id: some order every week, some now and then."""
    return min(random.randint(1, count), random.randint(1, count))


def _lines(random: Random, items: tuple[Item, ...]) -> tuple[OrderLine, ...]:
    chosen = random.sample(items, random.randint(1, 6))
    return tuple(OrderLine(item.id, _quantity(item, random)) for item in chosen)


def _quantity(item: Item, random: Random) -> Decimal:
    if item.unit in ("m", "h"):
        return Decimal(random.randint(2, 60)) / 4  # quarters of a metre or an hour
    if item.unit == "kg":
        return Decimal(random.randint(200, 9_000)) / 1000  # weighed, to the gram
    return Decimal(random.choice([1, 1, 2, 2, 3, 5, 10, 12, 24, 50]))
