"""Pages: the part of a listing that is wanted, and the cursor that leads to the next."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

T = TypeVar("T")

STANDARD = 50
MOST = 1000
_LARGEST = 2**63 - 1


class PageDocument(TypedDict, Generic[T]):
    """A part of a listing, and the cursor for the part after it; null when there is none."""

    items: list[T]
    next: str | None


def cursor(after: str | int) -> str:
    """The cursor that leads beyond this id or position."""
    return urlsafe_b64encode(str(after).encode()).decode().rstrip("=")


def _opened(text: str) -> str:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except ValueError as error:
        raise ValueError("not a cursor that this list gave") from error


def _id_cursor(text: str) -> str:
    opened = _opened(text)
    try:
        return str(UUID(opened))
    except ValueError as error:
        raise ValueError("not a cursor that this list gave") from error


def _position_cursor(text: str) -> str:
    opened = _opened(text)
    if not opened.isdecimal() or len(opened) > 19 or int(opened) > _LARGEST:
        raise ValueError("not a cursor that this list gave")
    return opened


Limit = Annotated[int, Field(ge=1, le=MOST, description="How many items at most.")]
_ABOUT_CURSOR = Field(description="Where to go on: the `next` of the page before.", max_length=100)


class Listing(BaseModel):
    """What every listing takes. A parameter that does not exist is refused, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Limit = STANDARD


class IdListing(Listing):
    """A listing in the order of ids."""

    cursor: Annotated[str, AfterValidator(_id_cursor), _ABOUT_CURSOR] | None = None


class PositionListing(Listing):
    """A listing in the order of positions."""

    cursor: Annotated[str, AfterValidator(_position_cursor), _ABOUT_CURSOR] | None = None

    @property
    def after(self) -> int:
        """The position after which to go on."""
        return int(self.cursor or 0)


def page(
    found: Sequence[T],
    limit: int,
    place: Callable[[T], str | int],
    document: Callable[[T], Any],
) -> PageDocument[Any]:
    """A page of what was found when one more than `limit` was asked for."""
    more = len(found) > limit
    return {
        "items": [document(item) for item in found[:limit]],
        "next": cursor(place(found[limit - 1])) if more else None,
    }


def whole(items: Sequence[Any]) -> PageDocument[Any]:
    """A listing that has one page only."""
    return {"items": list(items), "next": None}
