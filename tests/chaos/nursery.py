"""A process that has imported Cueline once and forks a worker for each line it is sent.

A worker that starts by itself spends a second of processor on imports; thousands of restarts would
measure those. What is forked goes through the same command line, `cueline worker`, from there on.

A line is JSON: `{"environment": {...}, "log": path}`; the answer is the process's number.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import tests.chaos.app
from cueline.__main__ import main as cueline_main

APP = f"{tests.chaos.app.__name__}:app"
PR_SET_PDEATHSIG = 1

LATE = (
    "alembic.command",
    "cueline.infrastructure.rabbitmq.broker",
    "cueline.infrastructure.redis.broker",
    "cueline.infrastructure.sql.postgres.store",
    "cueline.logs",
    "cueline.runtime",
    "httpcore2",
)
"""What a worker imports only once it runs."""


def main() -> None:
    """Fork until nobody is left who could ask for it; the workers then end with us."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asked
    for module in LATE:
        import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        number = os.fork()
        if number == 0:
            _be_a_worker(order["environment"], Path(order["log"]))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def _be_a_worker(environment: dict[str, Any], log: Path) -> NoReturn:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.update(environment)
    sys.argv = ["cueline", "worker", "--app", APP]
    code: object = 1
    try:
        cueline_main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    main()
