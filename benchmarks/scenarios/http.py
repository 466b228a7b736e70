"""Submitting over HTTP, and the same posts to a service that does nothing."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks.scenario import Bench, Figure, Figures, Scenario, Which
from benchmarks.subject import PATIENCE, ROOT, Failed, Process

APP = "benchmarks.subjects.cueline_app:app"
TASKS, READY = "/api/v1/tasks", "/health/ready"


def _http(bench: Bench) -> Figures:
    bench.subject.prepare(bench.scale.requests).close()
    with api(bench) as (_, port):
        ours = posted(port, TASKS, bench.scale.requests, bench.scale.connections)
    port = _free_port()
    with bench.subject.running("benchmarks.web.empty", f"--port={port}") as service:
        until_listening(service, port, "/docs")
        empty = posted(port, "/", bench.scale.requests, bench.scale.connections)
    return {"http": ours, "http_empty": empty, "http_share": ours / empty * 100}


HTTP = Scenario(
    "http",
    "posts to one API process, which is nothing else, over 64 connections unless told otherwise, "
    "each sending its next one as it is answered; and the same posts to an empty FastAPI service",
    (
        Figure("http", "POST /tasks", "requests/s"),
        Figure("http_empty", "empty POST", "requests/s"),
        Figure("http_share", "share", "%"),
    ),
    _http,
    of=Which.MANY_PROCESSES,
)


@contextmanager
def api(bench: Bench) -> Iterator[tuple[Process, int]]:
    """An API process of Cueline that is ready, and its port."""
    port = _free_port()
    settings = {**bench.subject.own_settings, "CUELINE_LOG_LEVEL": "WARNING"}
    command = ["cueline", "serve", "--app", APP, "--roles", "api", "--port", str(port)]
    with bench.subject.running(*command, **settings) as process:
        until_listening(process, port, READY)
        yield process, port


def until_listening(process: Process, port: int, path: str) -> None:
    """Wait until a service answers."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.popen.poll() is not None:
            raise Failed(f"the service ended with {process.popen.returncode}")
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                if answer.status == 200:
                    process.ready_at = time.monotonic()
                    return
        except (URLError, OSError):
            time.sleep(0.01)
    raise Failed("the service was not ready in time")


def posted(port: int, path: str, count: int, connections: int) -> float:
    """Requests a second, posted by a process of its own."""
    words = [f"--port={port}", f"--path={path}", f"--count={count}", f"--connections={connections}"]
    command = [sys.executable, "-m", "benchmarks.web.load", *words]
    answer = json.loads(subprocess.check_output(command, cwd=ROOT))
    if answer["refused"]:
        raise Failed(f"{answer['refused']} of {count} posts were not accepted")
    return count / float(answer["seconds"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
