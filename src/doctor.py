"""What is selected, whether it answers, and what it can and cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cueline.domain.errors import CuelineError
from cueline.interfaces.cli import Check

if TYPE_CHECKING:
    from cueline.app import App
    from cueline.application.application import Application
    from cueline.settings import Settings

STORE_NOTES = {
    "sqlite": "one file on this machine; survives restarts; several processes may share it",
    "memory": "this process only; everything is gone when it ends",
}
BROKER_NOTES = {
    "sqlite": "on the store's file; wakes other processes within 20 ms",
    "memory": "this process only; workers of other processes fall back on what is redispatched",
}


async def examine(settings: Settings, app: App | None) -> list[Check]:
    """Open what is selected and ask it."""
    from cueline.runtime import open_application  # loads the adapters

    checks = [
        Check("store", None, f"{settings.store}: {STORE_NOTES[settings.store_kind]}"),
        Check("broker", None, f"{settings.broker}: {BROKER_NOTES[settings.broker_kind]}"),
        Check("roles", None, ", ".join(settings.roles)),
        _application_check(settings, app),
        Check("mail", None, settings.smtp or "no server: set CUELINE_SMTP to send mail"),
    ]
    try:
        async with open_application(settings, app) as application:
            checks.extend(await _ask(application))
    except CuelineError as error:
        checks.append(Check("store answers", False, str(error)))
    return checks


def _application_check(settings: Settings, app: App | None) -> Check:
    if app is None:
        return Check("application", None, "none: set CUELINE_APP or --app to run handlers here")
    counts = f"{len(app.definitions)} tasks, {len(app.workflows)} workflows"
    return Check("application", True, f"{settings.app}: {counts}")


async def _ask(application: Application) -> list[Check]:
    health = await application.queries.is_ready()
    checks = [Check(f"{part} answers", said == "ok", said) for part, said in health.items()]
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
