"""A server that speaks enough of Ninox's REST API to read records from: `--port 0` picks a port.

    python -m examples.invoices.ninox --port 8010

It answers like Ninox: pages counted from 0 and without a total, empty fields left out, times in UTC
without saying so. `--hiccups N` answers the first N requests for a second page with 503, as a busy
service would.
"""

from __future__ import annotations

import argparse
import hmac
import os
import re
import socket
from datetime import date, datetime, time
from typing import Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query, Request

from examples.invoices.dataset import SEED, Customer, Item, Order, make_data_set

TEAM = "lindner"
DATABASE = "shop"
DEMO_TOKEN = "demo-token"  # noqa: S105 -- it opens made-up data only

Record = dict[str, Any]


def make_server(seed: int = SEED, token: str = DEMO_TOKEN, hiccups: int = 0) -> FastAPI:
    """The server over the data set of this seed, for those who show the token."""
    server = FastAPI(title="A Ninox-like database")
    tables = make_tables(seed)
    remaining = hiccups

    def authorize(request: Request) -> None:
        shown = request.headers.get("authorization", "")
        if not hmac.compare_digest(shown.encode(), f"Bearer {token}".encode()):
            raise HTTPException(401, "the token is missing or wrong")

    path = "/v1/teams/{team}/databases/{database}"

    @server.get(path + "/tables/{table}/records", dependencies=[Depends(authorize)])
    def records(
        team: str,
        database: str,
        table: str,
        page: int = Query(0, ge=0),
        per_page: int = Query(100, alias="perPage", ge=1, le=1000),
    ) -> list[Record]:
        nonlocal remaining
        _check(team, database)
        if table not in tables:
            raise HTTPException(404, f"there is no table {table!r}")
        if page == 1 and remaining > 0:
            remaining -= 1
            raise HTTPException(503, "the database is busy, try again later")
        return tables[table][page * per_page : (page + 1) * per_page]

    @server.get(path + "/query", dependencies=[Depends(authorize)])
    def query(team: str, database: str, query: str) -> int:
        _check(team, database)
        counted = re.fullmatch(r"cnt\(select (\w+)\)", query)
        if counted is None or counted[1] not in tables:
            raise HTTPException(400, "only cnt(select TABLE) is understood here")
        return len(tables[counted[1]])

    return server


def _check(team: str, database: str) -> None:
    if (team, database) != (TEAM, DATABASE):
        raise HTTPException(404, f"there is no database {database!r} in the team {team!r}")


def make_tables(seed: int = SEED) -> dict[str, list[Record]]:
    """The data set as Ninox shows it."""
    data = make_data_set(seed)
    start = date(2026, 1, 5)
    return {
        "Customers": [_record(it.id, start, _customer_fields(it)) for it in data.customers],
        "Items": [_record(it.id, start, _item_fields(it)) for it in data.items],
        "Orders": [
            _record(it.id, it.delivered or it.ordered, _order_fields(it)) for it in data.orders
        ],
    }


def _record(id: int, modified: date, fields: Record) -> Record:
    at = datetime.combine(modified, time(15, id % 60)).isoformat()
    return {
        "id": id,
        "sequence": 1000 + id,
        "createdAt": at,
        "modifiedAt": at,
        # Ninox leaves out what is empty.
        "fields": {name: value for name, value in fields.items() if value is not None},
    }


def _customer_fields(customer: Customer) -> Record:
    return {
        "Company": customer.company,
        "Contact": customer.contact,
        "Street": customer.street,
        "Postcode": customer.postcode,
        "City": customer.city,
        "E-mail": customer.email,
        "VAT ID": customer.vat_id,
    }


def _item_fields(item: Item) -> Record:
    return {
        "SKU": item.sku,
        "Description": item.description,
        "Unit": item.unit,
        "Price": str(item.price),  # text: a JSON number would come back as a float
        "VAT": item.vat,
    }


def _order_fields(order: Order) -> Record:
    return {
        "Order no": order.number,
        "Customer": order.customer,
        "State": order.state,
        "Ordered on": order.ordered.isoformat(),
        "Delivered on": order.delivered.isoformat() if order.delivered else None,
        "Invoiced": order.invoice is not None,
        "Invoice no": order.invoice,
        "Lines": [{"Item": line.item, "Quantity": str(line.quantity)} for line in order.lines],
    }


def main() -> None:
    """Serve until told to stop; the first line of output is the address."""
    parser = argparse.ArgumentParser(description="A Ninox-like HTTP server with made-up data.")
    parser.add_argument("--port", type=int, default=8010, help="0 picks a free one")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--hiccups", type=int, default=0, metavar="N")
    options = parser.parse_args()
    token = os.environ.get("NINOX_TOKEN", DEMO_TOKEN)
    server = make_server(options.seed, token, options.hiccups)
    with socket.create_server(("127.0.0.1", options.port)) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        uvicorn.Server(uvicorn.Config(server, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main()
