"""Making PDF documents: the port through which handlers turn HTML into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cueline.domain.errors import PermanentError


class PdfRejected(PermanentError):
    """This HTML cannot become a PDF: rendering it again cannot help.

    `refused` are the addresses of what the document asked for and may not have.
    """

    def __init__(self, reason: str, *, refused: Sequence[str] = ()) -> None:
        self.reason = reason
        self.refused = tuple(refused)
        super().__init__(f"the PDF cannot be made: {reason}")


class PdfRenderer(Protocol):
    """Turns an HTML document into a PDF.

    The HTML must be self-contained: images, fonts and stylesheets are inline or `data:` URIs. The
    document may come from a stranger, so nothing is fetched from the network and no file is read. A
    document that asks for either, or holds letters that none of its fonts has, is refused rather
    than rendered with a hole in it. Its page size and margins are its own (`@page`).

    *Concurrency*: any number of calls at once, all on the event loop that opened the application,
    which stays responsive meanwhile. Documents may wait for one another.
    *Idempotency*: the same HTML gives the same pages; the bytes may differ by a timestamp.
    *Errors*: `PdfRejected`, always permanent.
    *Closing*: nothing to close. A cancelled call returns at once, but its rendering may go on.
    """

    async def render(self, html: str) -> bytes:
        """The document as the bytes of a PDF file."""
        ...
