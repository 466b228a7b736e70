"""The PDF renderer on xhtml2pdf, which is pure Python: no browser and no system library."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from cueline.application.ports.pdf import PdfRenderer


class XhtmlPdfRenderer(PdfRenderer):
    """Renders in one worker thread of its own, one document after the other.

    xhtml2pdf renders one document at a time in a process whatever the number of threads; with one
    thread, the documents that wait do not take those of the default pool, which others need. The
    thread starts with the first document and ends with the process.
    """

    def __init__(self, *, longest_render: float = 60.0) -> None:
        self._longest = longest_render
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pdf")

    async def render(self, html: str) -> bytes:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, _render, html, self._longest)


def _render(html: str, longest: float) -> bytes:
    # Imported with the first document: xhtml2pdf takes half a second to load.
    from cueline.infrastructure.pdf.document import render_document

    return render_document(html, longest)
