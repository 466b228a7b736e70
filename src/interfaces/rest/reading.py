"""Reading bodies: bounded in size, decoded once, and refused with the place where they go wrong."""

from __future__ import annotations

import json
import re

import orjson
from starlette.requests import Request

from cueline.domain.errors import InvalidInput, Problem
from cueline.domain.json import Json, require_json
from cueline.interfaces.rest.problems import (
    MALFORMED_JSON,
    TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    Refused,
)

_LONG_NUMBER = re.compile(rb"[0-9]{19}")
"""The shortest that an integer beyond 64 bits can be."""

_BEYOND = 2**64


async def read_json(request: Request, limit: int) -> Json:
    """The JSON body of a request, at most `limit` bytes of it."""
    _require_json_type(request)
    return decode(await _read(request, limit))


def decode(body: bytes) -> Json:
    """Read JSON, strictly: UTF-8, no NaN, no half surrogates, integers within 64 bits."""
    try:
        value: Json = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _malformed(body, error) from error
    # orjson quietly turns an integer beyond 64 bits into the nearest float. Looking for digits is
    # cheap; only where there are that many is the body read a second time.
    if _LONG_NUMBER.search(body):
        _refuse_huge_integers(body)
    return value


def _require_json_type(request: Request) -> None:
    # Also a guard: a web page elsewhere can make a browser send forms and plain text here without
    # asking, but not this type.
    sent = request.headers.get("content-type", "")
    essence = sent.partition(";")[0].strip().lower()
    if essence != "application/json" and not essence.endswith("+json"):
        detail = f"the body is sent as {sent or 'nothing in particular'}: send application/json"
        raise Refused(UNSUPPORTED_MEDIA_TYPE, detail, headers={"Accept": "application/json"})
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        detail = f"the body is encoded as {coding}: send it as it is"
        raise Refused(UNSUPPORTED_MEDIA_TYPE, detail, headers={"Accept-Encoding": "identity"})


async def _read(request: Request, limit: int) -> bytes:
    """The body. One that is too large is refused by what it announces, or as soon as it shows."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(limit: int) -> Refused:
    return Refused(TOO_LARGE, f"the body is larger than {limit} bytes", limit=limit)


def _malformed(body: bytes, error: orjson.JSONDecodeError) -> Refused:
    try:
        body.decode()
    except UnicodeDecodeError as wrong:
        message = f"byte {wrong.start} (0x{body[wrong.start]:02x}) is not UTF-8"
        return Refused(MALFORMED_JSON, message, [Problem("", message)], offset=wrong.start)
    where = f"line {error.lineno}, column {error.colno}"
    return Refused(
        MALFORMED_JSON,
        f"{error.msg} at {where}",
        [Problem(where, error.msg)],
        line=error.lineno,
        column=error.colno,
        offset=error.pos,
    )


def _refuse_huge_integers(body: bytes) -> None:
    try:
        value = json.loads(body, parse_int=_bounded)
    except RecursionError as error:
        raise Refused(MALFORMED_JSON, "the body is nested too deeply") from error
    try:
        require_json(value, "")
    except InvalidInput as error:
        found = [Problem(problem.path.lstrip("."), problem.message) for problem in error.problems]
        raise InvalidInput(error.summary, found) from error


def _bounded(digits: str) -> int:
    """The integer, or one that is beyond 64 bits too, without the cost of thousands of digits."""
    return int(digits) if len(digits) < 25 else _BEYOND
