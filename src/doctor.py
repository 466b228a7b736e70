"""What is selected, whether it answers, and what it can and cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cueline.application.ports.capabilities import (
    BrokerCapabilities,
    BusCapabilities,
    Reach,
    StoreCapabilities,
)
from cueline.application.queries import OK
from cueline.domain.errors import CuelineError, InvalidInput
from cueline.interfaces.cli import Check
from cueline.needs import require
from cueline.settings import THE_STORE, without_password

if TYPE_CHECKING:
    from cueline.app import App
    from cueline.application.application import Application
    from cueline.settings import Settings

WITHIN = {
    Reach.PROCESS: "this process only",
    Reach.MACHINE: "the processes of this machine",
    Reach.NETWORK: "processes anywhere on the network",
}
"""Who may share something, in words."""

NO_MAIL = "no server: set CUELINE_SMTP to send mail"
NOT_ASKED = "not asked, because the store comes first"
MEANING = {
    "store": "nothing can be submitted or run until it does",
    "broker": "nothing is lost or refused, but tasks may start up to a second later",
}
"""What it means that a part does not answer."""


# --- what adapters declare, in words --------------------------------------------------------------


def store_in_words(store: StoreCapabilities) -> str:
    """What a store can and cannot do."""
    keeping = "keep" if store.is_durable else "not keep"
    joining = "take" if store.joins_transactions else "not take"
    return (
        f"serve {WITHIN[store.reach]}, {keeping} what is committed over a restart, "
        f"{joining} part in your transactions"
    )


def broker_in_words(broker: BrokerCapabilities) -> str:
    """What a broker can and cannot do; it never matters for what becomes of a task."""
    keeping = "keep" if broker.outlives_server else "not keep"
    return (
        f"wake {WITHIN[broker.reach]}, {keeping} messages over a restart; "
        "what it loses the store has sent again"
    )


def bus_in_words(bus: BusCapabilities) -> str:
    """Who hears at once of what happens to a task."""
    if bus.reach is Reach.PROCESS:
        return f"live in {WITHIN[bus.reach]}; elsewhere whoever watches looks into the store"
    return f"live in {WITHIN[bus.reach]}"


# --- what is found --------------------------------------------------------------------------------


async def examine(settings: Settings, app: App | None) -> list[Check]:
    """Open what is selected and ask it."""
    from cueline.runtime import open_application  # loads the adapters

    checks = [
        *_selected(settings),
        _application_check(settings, app),
        Check("mail", None, without_password(settings.smtp) if settings.smtp else NO_MAIL),
    ]
    try:
        async with open_application(settings, app) as application:
            checks.extend(await _ask(application))
    except CuelineError as error:
        checks.append(Check("store answers", False, str(error)))
        checks.append(Check("broker answers", None, NOT_ASKED))
    return checks


def _selected(settings: Settings) -> list[Check]:
    """What the adapters declare; none of them is opened."""
    from cueline.container import Container  # loads the adapters

    container = Container(settings=settings, definitions=(), handlers={})
    store, broker = container.store().capabilities, container.broker().capabilities
    bus = container.bus().capabilities
    on_store = f"on the store ({settings.store_kind})"
    broker_url = on_store if settings.broker == THE_STORE else without_password(settings.broker)
    return [
        Check("store", None, without_password(settings.store)),
        Check("store can", None, store_in_words(store)),
        Check("broker", None, broker_url),
        Check("broker can", None, broker_in_words(broker)),
        Check("events", None, f"by {settings.bus_kind}: {bus_in_words(bus)}"),
        Check("namespace", None, f"{settings.namespace}: how our names on shared servers begin"),
        _roles_check(settings, store, broker),
    ]


def _roles_check(settings: Settings, store: StoreCapabilities, broker: BrokerCapabilities) -> Check:
    roles = ", ".join(settings.roles)
    try:
        require(settings.roles, store, broker)
    except InvalidInput as error:
        return Check("roles", False, f"{roles}: {error}")
    return Check("roles", True, roles)


def _application_check(settings: Settings, app: App | None) -> Check:
    if app is None:
        return Check("application", None, "none: set CUELINE_APP or --app to run handlers here")
    counts = f"{len(app.definitions)} tasks, {len(app.workflows)} workflows"
    return Check("application", True, f"{settings.app}: {counts}")


def _part_check(part: str, said: str) -> Check:
    answers = said == OK
    return Check(f"{part} answers", answers, said if answers else f"{said}; {MEANING[part]}")


async def _ask(application: Application) -> list[Check]:
    health = await application.queries.is_ready()
    checks = [_part_check(part, said) for part, said in health.items()]
    now = application.clock.now()
    live = [
        worker
        for worker in await application.queries.workers()
        if worker.state == "live" and not worker.has_lapsed(now)
    ]
    slots = sum(worker.slots for worker in live)
    checks.append(Check("workers", None, f"{len(live)} live, {slots} slots"))
    unserved = [
        detail.queue.name
        for detail in await application.queries.queues()
        if detail.workers == 0 and detail.counts.get("queued", 0)
    ]
    if unserved:
        waiting = ", ".join(unserved)
        checks.append(Check("queues", False, f"tasks wait, but no worker serves: {waiting}"))
    return checks
