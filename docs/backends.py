"""The page of the backends: what each declares, which go together, which suites they pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cueline.application.ports.capabilities import (
    BrokerCapabilities,
    Reach,
    StoreCapabilities,
)
from cueline.container import Container
from cueline.doctor import WITHIN
from cueline.infrastructure.events.bus import SharedEventBus
from cueline.settings import BROKERS, STORES, URLS, Settings
from docs.suites import scenarios, suites

INTRODUCTION = """\
`CUELINE_STORE` and `CUELINE_BROKER` select them ([settings](settings.md)). Whichever they are, each
change of state happens once, each handler runs at least once, and no fact about a task is in the
broker alone. Below is what differs. Each adapter declares it in its own code; the start compares
it with the roles of the process, and `cueline doctor` says it of what is selected."""

PAIRS = """\
A cell names what carries live events (`cueline tasks watch`, server-sent events). A broker in a
database is in the store's own, and is what `CUELINE_BROKER=store` selects. Each pair passes the
same {scenarios} scenarios from end to end (`tests/integration/test_every_pair.py`)."""

STORES_MEAN = """\
- **serves**: who may work on one store at the same time. A store that serves one process needs all
  roles in that process: without `worker` or `dispatcher` it does not start.
- **over a restart**: what is there when every process has ended and others begin.
- **your transactions**: whether a submit with `with_options(session=...)` can be part of a
  transaction of your own. Where it cannot, such a submit is refused, and nothing is stored."""

BROKERS_MEAN = """\
- **wakes**: which workers hear of a task at once. With a broker that wakes one process, senders and
  workers must be together: otherwise a process does not start.
- **messages after a restart**: what the broker still has when its server was restarted. Nothing
  depends on it: what is lost, here or by wiping the broker, costs time and no task. The dispatcher
  sends it again, after 5 s as a rule ([ADR 4](adr/0004-window-and-dispatch-at.md)).

While a broker does not answer, submits are accepted and workers take tasks from the store
([ADR 12](adr/0012-falling-back-to-the-store.md))."""

EVENTS_MEAN = """\
Who watches a task hears at once of what happens in the processes that the events reach, and of the
rest by looking into the store now and then. Events may be lost: they are for screens."""

SUITES_MEAN = """\
One suite for each port, in `tests/contracts/`. Every adapter passes all of it, and a test class is
no more than the adapter's fixtures. Most declarations above are tried there too: what says that it
reaches other processes, keeps or joins must do so, and what says that it does not, must not."""


def backends_page() -> str:
    """The page of the stores, the brokers and the event buses."""
    return "\n".join(
        [
            "# Backends",
            "",
            "<!-- Written by `make docs` from what adapters declare; a change here is lost. -->",
            "",
            INTRODUCTION,
            *_section("Which go together", PAIRS.format(scenarios=scenarios()), _pairs()),
            *_section("Stores", STORES_MEAN, _stores()),
            *_section("Brokers", BROKERS_MEAN, _brokers()),
            *_section("Live events", EVENTS_MEAN, _buses()),
            *_section("Suites", SUITES_MEAN, _suites()),
            "",
        ]
    )


# --- the adapters that can be selected ------------------------------------------------------------


def adapters() -> Mapping[str, Mapping[str, Any]]:
    """By port, by the kind that the settings call it, the class that the contract suites try."""
    ports: Mapping[str, Any] = {
        "store": Container.store,
        "broker": Container.broker,
        "event bus": Container.bus,
    }
    return {
        port: {kind: _class_of(provider) for kind, provider in selector.providers.items()}
        for port, selector in ports.items()
    }


def _class_of(provider: Any) -> Any:
    """What a provider makes; of the bus that works on any channel, the channel."""
    return provider.args[0].cls if provider.cls is SharedEventBus else provider.cls


# --- the tables -----------------------------------------------------------------------------------


def _section(title: str, prose: str, rows: Iterable[Sequence[str]]) -> Iterator[str]:
    head, *body = rows
    yield from ("", f"## {title}", "", _row(head), f"|{'---|' * len(head)}")
    yield from map(_row, body)
    yield from ("", prose)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _pairs() -> Iterator[Sequence[str]]:
    brokers = adapters()["broker"]
    yield ["store", *(f"broker {kind}" for kind in brokers)]
    for store in STORES:
        yield [store, *(_bus(store, broker) for broker in brokers)]


def _bus(store: str, broker: str) -> str:
    if broker not in BROKERS[store]:
        return ""
    selected = "store" if broker == store else URLS[broker]
    # Not validated, so that no variable of whoever makes the docs has a say.
    return Settings.model_construct(store=URLS[store], broker=selected).bus_kind


def _stores() -> Iterator[Sequence[str]]:
    yield ["store", "URL", "serves", "over a restart", "your transactions"]
    for kind, adapter in adapters()["store"].items():
        can: StoreCapabilities = adapter.capabilities
        kept = "everything committed" if can.is_durable else "nothing"
        joins = "yes" if can.joins_transactions else "no"
        yield [kind, f"`{URLS[kind]}`", WITHIN[can.reach], kept, joins]


def _brokers() -> Iterator[Sequence[str]]:
    yield ["broker", "URL", "wakes", "messages after a restart"]
    for kind, adapter in adapters()["broker"].items():
        can: BrokerCapabilities = adapter.capabilities
        kept = "kept" if can.outlives_server else "forgotten"
        url = "store" if kind in STORES and kind != "memory" else URLS[kind]
        yield [kind, f"`{url}`", WITHIN[can.reach], kept]


def _buses() -> Iterator[Sequence[str]]:
    yield ["by", "reach"]
    for kind, adapter in adapters()["event bus"].items():
        yield [kind, WITHIN[_reach(adapter)]]


def _reach(adapter: Any) -> Reach:
    """A bus declares it among its capabilities, a channel by itself."""
    declared: Reach = (
        adapter.capabilities.reach if hasattr(adapter, "capabilities") else adapter.reach
    )
    return declared


def _suites() -> Iterator[Sequence[str]]:
    yield ["port", "adapter", "cases", "tried in"]
    for port, kinds in adapters().items():
        for adapter in kinds.values():
            found = [suite for suite in suites() if suite.adapter is adapter]
            total = sum(suite.cases for suite in found)
            files = ", ".join(f"`{suite.file}`" for suite in found)
            yield [port, f"`{adapter.__name__}`", str(total) if found else "**none**", files]
