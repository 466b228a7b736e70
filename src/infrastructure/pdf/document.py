"""Rendering one document with xhtml2pdf. Loading this module loads the library."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from xhtml2pdf.config.resources import ResourceAccessError, ResourceAccessPolicy
from xhtml2pdf.context import pisaContext
from xhtml2pdf.document import pisaDocument

from cueline.application.ports.pdf import PdfRejected


@dataclass(frozen=True)
class _SelfContained(ResourceAccessPolicy):
    """Lets a document have nothing but what is in it, and remembers what it asked for.

    xhtml2pdf asks the policy before every read and every connection, and merely leaves out what is
    refused; the memory is what lets us refuse the whole document instead.
    """

    refused: list[str] = field(default_factory=list)

    def check_url(self, url: str) -> None:
        self._refuse(url)

    def check_path(self, path: str | Path) -> None:
        # xhtml2pdf has joined a relative path to the working directory, which is nobody's business.
        self._refuse(str(path).removeprefix(f"{Path.cwd()}/"))

    def _refuse(self, address: str) -> None:
        shown = address[:200]
        if shown not in self.refused:
            self.refused.append(shown)
        raise ResourceAccessError(f"{shown!r} is not in the document")


def render_document(html: str, longest: float) -> bytes:
    """The PDF of `html`; `PdfRejected` if it cannot be had, or not within `longest` seconds.

    `ResourceAccessPolicy.server` also bounds the document's size and depth, and its images.
    """
    policy = _SelfContained.server(None, allow_remote=False, max_render_seconds=longest)
    pdf = BytesIO()
    try:
        # capacity: the source stays in memory; its temporary files would never be closed.
        result = pisaDocument(html, dest=pdf, resource_policy=policy, capacity=-1)
    except MemoryError:
        raise  # says something about this machine at this moment, not about the document
    except Exception as error:  # whatever a document can provoke in a parser, it will provoke again
        raise PdfRejected(f"{type(error).__name__}: {error}") from error
    if policy.refused:
        asked = ", ".join(repr(address) for address in policy.refused)
        raise PdfRejected(
            f"the HTML asks for {asked}; images, fonts and styles must be inline or data: URIs",
            refused=policy.refused,
        )
    if result.err:
        raise PdfRejected(f"xhtml2pdf found {result.err} error(s): {result.log}")
    _refuse_blank_letters(result)
    return pdf.getvalue()


def _refuse_blank_letters(result: pisaContext) -> None:
    """A letter that no font of the document has would come out blank: a name silently misspelt."""
    # The library only logs this and keeps it in a private set, which the tests watch.
    if missing := sorted(result._glyph_warned):
        raise PdfRejected(
            f"no font of the document has {' '.join(missing)}; beyond Western European letters, "
            "embed one with @font-face and a data: URI"
        )
