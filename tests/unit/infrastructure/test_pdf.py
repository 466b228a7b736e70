"""The PDF renderer: what it draws, and what it must never fetch."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader

from cueline.application.ports.pdf import PdfRejected
from cueline.infrastructure.pdf.xhtml import XhtmlPdfRenderer

# One black pixel.
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgAB"
    "SK+kcQAAAABJRU5ErkJggg=="
)


def text_of(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)


@asynccontextmanager
async def a_listening_server() -> AsyncIterator[tuple[str, list[bytes]]]:
    """An HTTP address, and the requests that it has received."""
    received: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readline())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", received


async def test_html_becomes_a_pdf_with_its_text() -> None:
    pdf = await XhtmlPdfRenderer().render("<h1>Rechnung für Müller &amp; Söhne</h1><p>12,90 €</p>")

    assert pdf.startswith(b"%PDF-")
    assert "Rechnung für Müller & Söhne" in text_of(pdf)
    assert "12,90 €" in text_of(pdf)


async def test_page_size_and_page_breaks_are_the_documents_own() -> None:
    pdf = await XhtmlPdfRenderer().render(
        "<style>@page { size: A5; margin: 1cm }</style>one<pdf:nextpage/>two"
    )

    pages = PdfReader(BytesIO(pdf)).pages
    assert [page.extract_text().strip() for page in pages] == ["one", "two"]
    assert [round(float(length)) for length in pages[0].mediabox[2:]] == [420, 595]


async def test_inline_images_are_drawn() -> None:
    pdf = await XhtmlPdfRenderer().render(f'<img src="{PIXEL}" width="20" height="20"/>')

    assert len(PdfReader(BytesIO(pdf)).pages[0].images) == 1


@pytest.mark.parametrize(
    "html",
    [
        '<img src="{address}/logo.png"/>',
        '<link rel="stylesheet" href="{address}/style.css"/><p>x</p>',
        '<style>@import url("{address}/style.css");</style><p>x</p>',
        "<style>@font-face {{ font-family: F; src: url({address}/f.ttf) }}</style><p>x</p>",
        '<div style="background-image: url({address}/b.png)">x</div>',
        '<style>@page {{ background-image: url("{address}/b.pdf") }}</style><p>x</p>',
    ],
)
async def test_a_document_that_asks_for_the_network_is_refused_and_nothing_is_fetched(
    html: str,
) -> None:
    async with a_listening_server() as (address, received):
        with pytest.raises(PdfRejected, match="inline or data: URIs") as caught:
            await XhtmlPdfRenderer().render(html.format(address=address))

    assert received == []
    assert all(asked.startswith(address) for asked in caught.value.refused)


@pytest.mark.parametrize("form", ["{path}", "file://{path}", "file:{path}", "../..{path}"])
async def test_a_document_that_asks_for_a_file_is_refused(form: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.css"
    secret.write_text("body { color: red }")

    with pytest.raises(PdfRejected, match=r"secret\.css") as caught:
        await XhtmlPdfRenderer().render(
            f'<link rel="stylesheet" href="{form.format(path=secret)}"/><p>x</p>'
        )

    assert len(caught.value.refused) == 1


async def test_a_refusal_does_not_tell_the_working_directory() -> None:
    with pytest.raises(PdfRejected, match=r"asks for 'logo\.png'") as caught:
        await XhtmlPdfRenderer().render('<img src="logo.png"/>')

    assert str(Path.cwd()) not in str(caught.value)


async def test_a_letter_that_no_font_has_is_refused_rather_than_left_blank() -> None:
    with pytest.raises(PdfRejected, match="no font of the document has Ł"):
        await XhtmlPdfRenderer().render("<p>Łódź</p>")


async def test_a_document_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(PdfRejected, match="longer than"):
        await XhtmlPdfRenderer(longest_render=0.05).render("<p>slow</p>" * 20_000)


async def test_the_event_loop_goes_on_while_documents_are_rendered() -> None:
    renderer = XhtmlPdfRenderer()
    await renderer.render("<p>warm</p>")
    rows = "".join(f"<tr><td>{n}</td><td>line</td></tr>" for n in range(300))
    beats: list[float] = []

    async def beat() -> None:
        while True:
            beats.append(time.monotonic())
            await asyncio.sleep(0.005)

    heart = asyncio.create_task(beat())
    pdfs = await asyncio.gather(*(renderer.render(f"<table>{rows}</table>") for _ in range(3)))
    heart.cancel()

    assert all(pdf.startswith(b"%PDF-") for pdf in pdfs)
    # Each pause is the interpreter's switch interval and a little more, never a whole document.
    assert len(beats) > 10


def test_starting_up_does_not_load_the_pdf_library() -> None:
    program = (
        "import sys, cueline.infrastructure.pdf.xhtml as x; x.XhtmlPdfRenderer();"
        "print([m for m in sys.modules if m.startswith(('xhtml2pdf', 'reportlab'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
