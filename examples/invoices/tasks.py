"""The invoice workflow: from the shop's delivered orders to invoices in its customers' mailboxes.

    orders -> select -> customers ┐
                     -> items     ┴-> create -> pdf -> email

`create` enters the invoices in the shop's books. Should anything fail afterwards, the invoices that
no customer has yet are voided, and their orders are due again.

Each handler may run more than once. So each is built to be repeated: the books know a run's
invoices by its key, a PDF that is there is not rendered again, and a mail that was sent is not sent
again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict  # in Python 3.11, what pydantic can check

import cueline
from cueline import Attachment, Context, Email, PermanentError, exponential
from examples.invoices.billing import Customer, Invoice, Item, Order, draft_invoices, due_orders
from examples.invoices.books import AlreadyBilledError, Books
from examples.invoices.letter import SENDER, invoice_html, invoice_mail, weekly_mail
from examples.invoices.records import read_some, read_table, to_customer, to_item, to_order
from examples.invoices.settings import ShopSettings

app = cueline.App("invoices")

READING = exponential(attempts=5, first="1s")
SENDING = exponential(attempts=5, first="2s")


class Group(TypedDict):
    """A customer's invoices of a week."""

    customer: int
    numbers: list[str]


# --- reading --------------------------------------------------------------------------------------


@app.task(queue="ninox", retry=READING, timeout="2m")
async def fetch_orders(ctx: Context, since: str) -> dict[str, Any]:
    """Every order that changed on or after the date `since`."""
    orders = [
        to_order(record)
        async for page in read_table(ctx, "Orders")
        for record in page
        if record["modifiedAt"] >= since  # both in ISO form, which sorts by time
    ]
    return {"orders": orders}


@app.task(queue="books")
def select_orders(ctx: Context, orders: list[Order]) -> dict[str, Any]:
    """Keep those delivered and not yet invoiced; say whose they are and what is in them."""
    due = due_orders(orders, books().billed_orders())
    ctx.log(f"{len(due)} of {len(orders)} orders are to be invoiced")
    return {
        "orders": due,
        "customers": sorted({order["customer"] for order in due}),
        "items": sorted({line["item"] for order in due for line in order["lines"]}),
    }


@app.task(queue="ninox", retry=READING, timeout="2m")
async def fetch_customers(ctx: Context, ids: list[int]) -> dict[str, Any]:
    """The customers with these ids."""
    return {"customers": [to_customer(it) async for it in read_some(ctx, "Customers", ids)]}


@app.task(queue="ninox", retry=READING, timeout="2m")
async def fetch_items(ctx: Context, ids: list[int]) -> dict[str, Any]:
    """The items with these ids: their prices, VAT rates and descriptions."""
    return {"items": [to_item(it) async for it in read_some(ctx, "Items", ids)]}


# --- the books ------------------------------------------------------------------------------------


@app.task(queue="books")
def create_invoices(
    ctx: Context, day: str, orders: list[Order], customers: list[Customer], items: list[Item]
) -> dict[str, Any]:
    """Enter one invoice per customer, dated `day`, over all of the customer's orders."""
    drafts = draft_invoices(
        date.fromisoformat(day),
        orders,
        {customer["id"]: customer for customer in customers},
        {item["id"]: item for item in items},
    )
    # The run's id, not the task's: should an operator have the step done again, it is a new task.
    try:
        numbers = books().create(str(ctx.run_id or ctx.idempotency_key), drafts)
    except AlreadyBilledError as error:  # another run was faster: trying again cannot help
        raise PermanentError(str(error)) from error
    gross = sum(draft["gross"] for draft in drafts)
    ctx.log(f"{len(numbers)} invoices entered", gross=gross)
    return {"numbers": numbers, "gross": gross}


@app.task(queue="books", retry=exponential(attempts=10, first="1s"))
def void_invoices(ctx: Context, output: dict[str, Any]) -> dict[str, Any]:
    """Undo `create_invoices`: void the invoices that no customer has yet, and drop their PDFs."""
    void = books().void(output["numbers"])
    for number in void:
        pdf_of(number).unlink(missing_ok=True)
    ctx.log(f"{len(void)} of {len(output['numbers'])} invoices voided")
    return {"void": void}


# --- the PDFs -------------------------------------------------------------------------------------


@app.task(queue="pdf", timeout="10m")
async def render_pdfs(ctx: Context, numbers: list[str]) -> dict[str, Any]:
    """Render each invoice into the folder of invoices."""
    for done, number in enumerate(numbers):
        ctx.progress(100 * done / len(numbers), f"{done} of {len(numbers)} rendered")
        if not pdf_of(number).exists():
            html = invoice_html(await asyncio.to_thread(books().invoice, number))
            await asyncio.to_thread(keep, pdf_of(number), await ctx.pdf.render(html))
    ctx.progress(100, f"{len(numbers)} of {len(numbers)} rendered")
    return {"files": [pdf_of(number).name for number in numbers]}


# --- the mails ------------------------------------------------------------------------------------


@app.task(queue="email", retry=SENDING, timeout="10m")
async def send_invoices(ctx: Context, numbers: list[str]) -> dict[str, Any]:
    """Mail each invoice to its customer; what an earlier attempt sent is not sent again.

    One customer's wrong address keeps nobody else from getting an invoice: a mail that is refused
    for good fails the step, but only when the others have been sent.
    """
    refusals: list[str] = []
    mailed = await asyncio.to_thread(books().mailed)
    for done, number in enumerate(numbers):
        ctx.progress(100 * done / len(numbers), f"{done} of {len(numbers)} mails")
        if number in mailed:
            continue
        invoice = await asyncio.to_thread(books().invoice, number)
        try:
            await ctx.mail.send(await asyncio.to_thread(mail_for, invoice))
        except PermanentError as error:
            ctx.log(str(error), level="warning", invoice=number)
            refusals.append(str(error))
        else:
            await asyncio.to_thread(books().mark_mailed, number)
    ctx.progress(100, f"{len(numbers) - len(refusals)} of {len(numbers)} mails sent")
    fail_if_refused(refusals, len(numbers))
    return {"sent": len(numbers)}


@app.task(queue="books")
def gather_week(ctx: Context, day: str) -> dict[str, Any]:
    """By customer, the invoices of the seven days up to `day` that stand."""
    week = books().week(date.fromisoformat(day))
    return {"groups": [{"customer": customer, "numbers": n} for customer, n in week.items()]}


@app.task(queue="email", retry=SENDING, timeout="10m")
async def send_weekly(ctx: Context, day: str, groups: list[Group]) -> dict[str, Any]:
    """Mail each customer the invoices of the week, all in one mail."""
    until = date.fromisoformat(day)
    unsent = await asyncio.to_thread(books().week, until)  # fewer than `groups` in a later attempt
    refusals: list[str] = []
    for done, group in enumerate(groups):
        ctx.progress(100 * done / len(groups), f"{done} of {len(groups)} mails")
        if group["customer"] not in unsent:
            continue
        try:
            await ctx.mail.send(await asyncio.to_thread(weekly_mail_for, group["numbers"], until))
        except PermanentError as error:
            ctx.log(str(error), level="warning", customer=group["customer"])
            refusals.append(str(error))
        else:
            await asyncio.to_thread(books().mark_weekly, group["customer"], until)
    ctx.progress(100, f"{len(groups) - len(refusals)} of {len(groups)} mails sent")
    fail_if_refused(refusals, len(groups))
    return {"sent": len(groups)}


# --- what the handlers share ----------------------------------------------------------------------


def books() -> Books:
    """The shop's books."""
    return Books(ShopSettings.from_environment().books)


def pdf_of(number: str) -> Path:
    """Where an invoice's PDF is kept."""
    return ShopSettings.from_environment().invoices / f"{number}.pdf"


def keep(file: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(file)


def mail_for(invoice: Invoice) -> Email:
    """The mail that brings an invoice. Its key makes a second sending recognisable as such."""
    subject, text = invoice_mail(invoice)
    return Email(
        to=(invoice["customer"]["email"],),
        subject=subject,
        text=text,
        attachments=(attachment(invoice["number"]),),
        sender=SENDER,
        key=f"invoice/{invoice['number']}",
    )


def weekly_mail_for(numbers: Sequence[str], until: date) -> Email:
    """The mail that brings one customer's invoices of a week."""
    invoices = [books().invoice(number) for number in numbers]
    customer = invoices[0]["customer"]
    subject, text = weekly_mail(invoices, until)
    return Email(
        to=(customer["email"],),
        subject=subject,
        text=text,
        attachments=tuple(attachment(number) for number in numbers),
        sender=SENDER,
        key=f"weekly/{until.isoformat()}/{customer['id']}",
    )


def attachment(number: str) -> Attachment:
    """An invoice's PDF, to go with a mail."""
    return Attachment(f"{number}.pdf", pdf_of(number).read_bytes(), "application/pdf")


def fail_if_refused(refusals: Sequence[str], total: int) -> None:
    """Fail for good if a mail was refused for good; the first refusal stands for all."""
    if refusals:
        raise PermanentError(f"{len(refusals)} of {total} mails were refused: {refusals[0]}")


# --- the workflows --------------------------------------------------------------------------------

invoice = app.workflow("invoice", version=1)
orders = invoice.step("orders", fetch_orders, since=invoice.input.since)
selected = invoice.step("select", select_orders, orders=orders.output.orders)
customers = invoice.step("customers", fetch_customers, ids=selected.output.customers)
items = invoice.step("items", fetch_items, ids=selected.output["items"])
created = invoice.step(
    "create",
    create_invoices,
    compensate=void_invoices,
    day=invoice.input.day,
    orders=selected.output.orders,
    customers=customers.output.customers,
    items=items.output["items"],
)
pdfs = invoice.step("pdf", render_pdfs, numbers=created.output.numbers)
mailed = invoice.step("email", send_invoices, after=[pdfs], numbers=created.output.numbers)
invoice.returns({"numbers": created.output.numbers, "gross": created.output.gross})

weekly = app.workflow("weekly-mail", version=1)
week = weekly.step("gather", gather_week, day=weekly.input.day)
weekly.step("email", send_weekly, day=weekly.input.day, groups=week.output.groups)
