"""Reading the shop's Ninox database, page by page, and saying what is there in our own words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Any

from cueline import Context
from examples.invoices.billing import Customer, Item, Order
from examples.invoices.settings import ShopSettings

PER_PAGE = 50

Record = dict[str, Any]


async def read_table(ctx: Context, table: str) -> AsyncIterator[list[Record]]:
    """Every record of a table, a page at a time; each page moves the task's progress."""
    settings = ShopSettings.from_environment()
    headers = {"authorization": f"Bearer {settings.ninox_token}"}
    total = await ctx.http.get_json(
        f"{settings.ninox_url}/query", query={"query": f"cnt(select {table})"}, headers=headers
    )
    fetched = page = 0
    while True:
        records = await ctx.http.get_json(
            f"{settings.ninox_url}/tables/{table}/records",
            query={"page": page, "perPage": PER_PAGE},
            headers=headers,
        )
        fetched += len(records)
        ctx.progress(
            # The table may have grown since it was counted.
            min(100.0, 100.0 * fetched / max(total, 1)),
            f"{table}: page {page + 1}, {fetched} of {total}",
            page=page + 1,
            fetched=fetched,
        )
        yield records
        if len(records) < PER_PAGE:  # Ninox does not say which page is the last
            return
        page += 1


async def read_some(ctx: Context, table: str, ids: Collection[int]) -> AsyncIterator[Record]:
    """The records with these ids."""
    wanted = set(ids)
    async for page in read_table(ctx, table):
        for record in page:
            if record["id"] in wanted:
                yield record


def to_order(record: Record) -> Order:
    """A record of the table Orders."""
    fields = record["fields"]
    return Order(
        number=fields["Order no"],
        customer=fields["Customer"],
        state=fields["State"],
        delivered=fields.get("Delivered on"),
        invoiced=fields.get("Invoiced", False),
        lines=[{"item": line["Item"], "quantity": line["Quantity"]} for line in fields["Lines"]],
    )


def to_customer(record: Record) -> Customer:
    """A record of the table Customers."""
    fields = record["fields"]
    return Customer(
        id=record["id"],
        company=fields["Company"],
        contact=fields["Contact"],
        street=fields["Street"],
        postcode=fields["Postcode"],
        city=fields["City"],
        email=fields["E-mail"],
        vat_id=fields.get("VAT ID"),
    )


def to_item(record: Record) -> Item:
    """A record of the table Items."""
    fields = record["fields"]
    return Item(
        id=record["id"],
        sku=fields["SKU"],
        description=fields["Description"],
        unit=fields["Unit"],
        price=fields["Price"],
        vat=fields["VAT"],
    )
