"""A real SMTP server for the demo: it keeps each mail as an .eml file, or refuses every mail."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

REFUSAL = "554 5.7.1 this mail server accepts no mail"


class Postbox:
    """What the server does with mail: see aiosmtpd's handlers, whose names these are."""

    def __init__(self, folder: Path, *, refusing: bool) -> None:
        self._folder = folder
        self._refusing = refusing
        self.received = 0

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept a recipient, unless none is accepted."""
        if self._refusing:
            return REFUSAL
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the message, with the envelope's recipients on top as a mail server would add."""
        self.received += 1
        recipients = ", ".join(envelope.rcpt_tos)
        safe = re.sub(r"[^\w.@-]", "_", envelope.rcpt_tos[0])
        file = self._folder / f"{self.received:03d}-{safe}.eml"
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        message = f"X-Envelope-To: {recipients}\r\n".encode() + content
        await asyncio.to_thread(file.write_bytes, message)
        return "250 OK"


@asynccontextmanager
async def open_postbox(folder: Path, *, refusing: bool) -> AsyncIterator[int]:
    """Run the server within the block, on a free port of this machine, which is given."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    postbox = Postbox(folder, refusing=refusing)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(postbox, hostname="localhost", enable_SMTPUTF8=True), "127.0.0.1", 0
    )
    async with server:
        yield server.sockets[0].getsockname()[1]
