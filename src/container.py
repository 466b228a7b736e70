"""The container: the one place where ports are given their adapters.

It is a graph of objects that are not open yet: constructors do no I/O, adapters are singletons and
use cases are made when asked for. Selectors look at the settings and make the chosen branch alone.
Opening and closing is `runtime`'s work.
"""

from __future__ import annotations

from random import random

from dependency_injector import containers, providers

from cueline.application.advancing import RunAdvancer
from cueline.application.application import Application
from cueline.application.bookmarks import Bookmarks
from cueline.application.catalogue import Catalogue
from cueline.application.changes import Announcer
from cueline.application.claiming import ClaimTasks
from cueline.application.context import Integrations
from cueline.application.dispatch import DispatchTasks, Outlet, Window
from cueline.application.due import DueTasks
from cueline.application.intake import Intake
from cueline.application.link import BrokerLink
from cueline.application.maintain import Maintain
from cueline.application.ports.broker import Broker
from cueline.application.ports.events import EventBus
from cueline.application.ports.mail import Mailer
from cueline.application.ports.persistence import Store
from cueline.application.ports.runtime import Clock
from cueline.application.queries import Queries
from cueline.application.queues import SteerQueues
from cueline.application.recent_runs import RecentRuns
from cueline.application.settle import SettleTasks
from cueline.application.tasks import SteerTasks, SubmitTasks
from cueline.application.workers import KeepWorkers, RecordLogs
from cueline.application.workflows import RegisterWorkflows, StartRuns, SteerRuns
from cueline.infrastructure.events.bus import SharedEventBus
from cueline.infrastructure.execution.checker import JsonSchemaChecker
from cueline.infrastructure.execution.executor import HandlerExecutor
from cueline.infrastructure.http.client import PooledHttpClient
from cueline.infrastructure.mail.smtp import NoMailer, SmtpMailer
from cueline.infrastructure.memory.broker import MemoryBroker
from cueline.infrastructure.memory.events import MemoryEventBus
from cueline.infrastructure.memory.store import MemoryStore
from cueline.infrastructure.pdf.xhtml import XhtmlPdfRenderer
from cueline.infrastructure.rabbitmq.broker import RabbitBroker
from cueline.infrastructure.rabbitmq.channel import RabbitChannel
from cueline.infrastructure.redis.broker import RedisBroker
from cueline.infrastructure.redis.channel import RedisChannel
from cueline.infrastructure.sql.postgres.broker import PostgresBroker
from cueline.infrastructure.sql.postgres.channel import PostgresChannel
from cueline.infrastructure.sql.postgres.listener import PostgresListener
from cueline.infrastructure.sql.postgres.store import PostgresStore
from cueline.infrastructure.sql.sqlite.broker import SqliteBroker
from cueline.infrastructure.sql.sqlite.store import SqliteStore
from cueline.infrastructure.system.clock import SystemClock
from cueline.infrastructure.system.ids import UuidGenerator
from cueline.infrastructure.telemetry.prometheus import PrometheusMetrics
from cueline.settings import Settings


class Container(containers.DeclarativeContainer):
    """Given the settings and what the user's application registers, everything else."""

    settings = providers.Dependency(instance_of=Settings)
    definitions = providers.Dependency(instance_of=tuple)
    handlers = providers.Dependency(instance_of=dict)

    # --- adapters ---------------------------------------------------------------------------------

    system_clock = providers.Singleton(SystemClock)
    ids = providers.Singleton(UuidGenerator)
    chance = providers.Object(random)
    checker = providers.Singleton(JsonSchemaChecker)
    executor = providers.Singleton(HandlerExecutor, handlers)
    metrics = providers.Singleton(PrometheusMetrics)

    sqlite_store = providers.Singleton(SqliteStore, settings.provided.sqlite_path)
    postgres_store = providers.Singleton(
        PostgresStore, settings.provided.store, settings.provided.store_connections
    )
    store: providers.Provider[Store] = providers.Selector(
        settings.provided.store_kind,
        memory=providers.Singleton(MemoryStore),
        sqlite=sqlite_store,
        postgres=postgres_store,
    )
    clock: providers.Provider[Clock] = providers.Selector(
        settings.provided.store_kind,
        memory=system_clock,
        sqlite=system_clock,
        postgres=postgres_store.provided.clock,
    )
    listener = providers.Singleton(PostgresListener, settings.provided.store)
    listeners = providers.Selector(
        settings.provided.store_kind,
        memory=providers.List(),
        sqlite=providers.List(),
        postgres=providers.List(listener),
    )
    broker: providers.Provider[Broker] = providers.Selector(
        settings.provided.broker_kind,
        memory=providers.Singleton(MemoryBroker, clock),
        sqlite=providers.Singleton(SqliteBroker, sqlite_store, clock, metrics),
        postgres=providers.Singleton(PostgresBroker, postgres_store, listener, clock, metrics),
        redis=providers.Singleton(
            RedisBroker, settings.provided.broker, settings.provided.namespace, clock, metrics
        ),
        rabbitmq=providers.Singleton(
            RabbitBroker, settings.provided.broker, settings.provided.namespace, clock, metrics
        ),
    )
    bus: providers.Provider[EventBus] = providers.Selector(
        settings.provided.bus_kind,
        memory=providers.Singleton(MemoryEventBus),
        postgres=providers.Singleton(
            SharedEventBus,
            providers.Factory(PostgresChannel, listener, settings.provided.namespace),
        ),
        redis=providers.Singleton(
            SharedEventBus,
            providers.Factory(RedisChannel, settings.provided.broker, settings.provided.namespace),
        ),
        rabbitmq=providers.Singleton(
            SharedEventBus,
            providers.Factory(RabbitChannel, settings.provided.broker, settings.provided.namespace),
        ),
    )
    http = providers.Singleton(PooledHttpClient)
    pdf = providers.Singleton(XhtmlPdfRenderer)
    mail: providers.Provider[Mailer] = providers.Selector(
        settings.provided.mail_kind,
        smtp=providers.Singleton(SmtpMailer, settings.provided.smtp, settings.provided.mail_from),
        none=providers.Singleton(NoMailer),
    )
    integrations = providers.Singleton(Integrations, http=http, mail=mail, pdf=pdf)

    # --- what the use cases share -----------------------------------------------------------------

    catalogue = providers.Singleton(Catalogue, store, clock, definitions)
    link = providers.Singleton(BrokerLink, broker, metrics)
    bookmarks = providers.Singleton(Bookmarks)
    due = providers.Singleton(DueTasks, store, clock, bookmarks)
    window = providers.Singleton(Window, store, link, clock)
    outlet = providers.Singleton(Outlet, store, link, window, clock)
    intake = providers.Singleton(Intake, link, due, outlet, clock)
    announcer = providers.Singleton(Announcer, outlet, bus, clock)
    recent = providers.Singleton(RecentRuns)
    advancer = providers.Singleton(RunAdvancer, catalogue, checker, announcer)

    # --- use cases --------------------------------------------------------------------------------

    submit = providers.Factory(SubmitTasks, store, catalogue, checker, announcer, clock, ids)
    settle = providers.Factory(SettleTasks, store, advancer, announcer, clock, chance, recent)
    tasks = providers.Factory(SteerTasks, store, settle, announcer, clock)
    queues = providers.Factory(SteerQueues, store, outlet)
    register = providers.Factory(RegisterWorkflows, store, catalogue)
    start = providers.Factory(StartRuns, store, register, advancer, announcer, clock, ids)
    runs = providers.Factory(SteerRuns, store, advancer, announcer, clock)
    queries = providers.Factory(Queries, store, link, bus, clock, metrics)
    workers = providers.Factory(KeepWorkers, store, outlet, clock, ids, settings.provided.lease)
    claim = providers.Factory(
        ClaimTasks, store, intake, bookmarks, announcer, clock, metrics, recent=recent
    )
    record = providers.Factory(RecordLogs, store, announcer)
    dispatch = providers.Factory(DispatchTasks, link, due, window, outlet, clock)
    maintain = providers.Factory(Maintain, store, settle, clock)

    application = providers.Singleton(
        Application,
        submit=submit,
        tasks=tasks,
        queues=queues,
        register=register,
        start=start,
        runs=runs,
        queries=queries,
        workers=workers,
        claim=claim,
        settle=settle,
        record=record,
        dispatch=dispatch,
        maintain=maintain,
        backlog=outlet.provided.backlog,
        catalogue=catalogue,
        executor=executor,
        integrations=integrations,
        clock=clock,
    )
