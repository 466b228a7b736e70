"""What the endpoints share: the application they ask, and the limits of this edge."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from cueline.application.application import Application

PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True)
class Pace:
    """The rhythm of event streams, in seconds: looks at the store, and signs of life."""

    look: float = 1.0
    heartbeat: float = 15.0


@dataclass(frozen=True, slots=True)
class Edge:
    """What one API is made with."""

    provide: Callable[[], Application]
    max_body: int
    max_batch: int
    pace: Pace


def edge_of(request: Request) -> Edge:
    """The edge that serves a request."""
    edge: Edge = request.app.state.edge
    return edge


async def _application(request: Request) -> Application:
    return edge_of(request).provide()


async def _pace(request: Request) -> Pace:
    return edge_of(request).pace


def a_router(path: str, tag: str, route: type[APIRoute] = APIRoute) -> APIRouter:
    """A router for the resources below a path. Operations are known by their endpoint's name."""
    return APIRouter(
        prefix=path, tags=[tag], route_class=route, generate_unique_id_function=lambda it: it.name
    )


App: TypeAlias = Annotated[Application, Depends(_application)]
StreamPace: TypeAlias = Annotated[Pace, Depends(_pace)]


class DirectRoute(APIRoute):
    """A route that FastAPI documents, but whose endpoint takes the request as it comes.

    Resolving parameters costs more than all else that a small request needs: twice the time.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint itself."""
        return self.endpoint
