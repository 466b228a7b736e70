"""A process that has loaded everything: lives are forked from it, as most are shorter than that.

It listens on the socket that it is told, and says `ready` when it does. For each connection it
forks a server: plans come in, and for each the exit code of the life goes out.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from multiprocessing.connection import Connection, Listener
from typing import NoReturn

import anyio._backends._asyncio  # noqa: F401  # what a life would load on first use
from sqlalchemy import create_engine

from cueline.infrastructure.sql.schema import upgrade
from tests.integration.failpoints.life import Plan, end_in_time


def main() -> NoReturn:
    """Fork a server for each connection, for ever."""
    _warm_up()
    with Listener(sys.argv[1], "AF_UNIX") as listener:
        print("ready", flush=True)  # noqa: T201
        while True:
            connection = listener.accept()
            if os.fork() == 0:
                listener.close()
                _serve(connection)
            connection.close()


def _warm_up() -> None:
    """Load the migrations, too; and keep what is here out of the collector's way."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        upgrade(connection)
    engine.dispose()
    gc.freeze()


def _serve(connection: Connection) -> NoReturn:
    """Have one life lived after the other, until nobody asks any more."""
    while True:
        try:
            plan: Plan = connection.recv()
        except EOFError:
            os._exit(0)
        child = os.fork()
        if child == 0:
            connection.close()
            _be_alone(plan)
            end_in_time(plan)
        _, status = os.waitpid(child, 0)
        connection.send(os.waitstatus_to_exitcode(status))


def _be_alone(plan: Plan) -> None:
    """Write to the log of the world, and make sure of an end."""
    signal.alarm(int(plan.patience) + 10)
    log = os.open(plan.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)


if __name__ == "__main__":
    main()
