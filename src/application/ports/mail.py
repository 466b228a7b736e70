"""Sending e-mail: what a message is, and the port through which handlers send one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.errors import HeaderParseError, NonASCIILocalPartDefect
from email.headerregistry import Address
from email.policy import SMTP
from typing import Protocol

from cueline.domain.errors import CuelineError, PermanentError


class MailRejected(PermanentError):
    """The message was refused for good: sending it again unchanged cannot help.

    `code` is the server's answer (500 to 599), or None where no server was asked because the
    message itself is wrong. `recipients` are those concerned.
    """

    def __init__(
        self, reason: str, *, code: int | None = None, recipients: Sequence[str] = ()
    ) -> None:
        self.reason = reason
        self.code = code
        self.recipients = tuple(recipients)
        super().__init__(_describe("the mail was refused for good", reason, code, recipients))


class MailUnavailable(CuelineError):
    """The message was not taken now; a later attempt may succeed.

    `code` is the server's answer (400 to 499), or None where there was none: nobody listens, the
    connection broke or the time was up. `recipients` are those concerned.
    """

    def __init__(
        self, reason: str, *, code: int | None = None, recipients: Sequence[str] = ()
    ) -> None:
        self.reason = reason
        self.code = code
        self.recipients = tuple(recipients)
        super().__init__(_describe("the mail was not taken for now", reason, code, recipients))


def _describe(what: str, reason: str, code: int | None, recipients: Sequence[str]) -> str:
    whom = f" ({', '.join(recipients)})" if recipients else ""
    return f"{what}{whom}: {reason}" if code is None else f"{what}{whom}: {code} {reason}"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that travels with a message: its name without folders, its bytes, its MIME type."""

    filename: str
    content: bytes
    content_type: str = "application/octet-stream"

    def __post_init__(self) -> None:
        _refuse_control_characters("the attachment's name", self.filename)
        if not self.filename or "/" in self.filename or "\\" in self.filename:
            raise MailRejected(f"{self.filename!r} is not a plain file name")
        kind, slash, subtype = self.content_type.partition("/")
        if not slash or not _is_token(kind) or not _is_token(subtype):
            raise MailRejected(f"{self.content_type!r} is not a MIME type such as application/pdf")


@dataclass(frozen=True, slots=True)
class Email:
    """A message to send. One that could not be sent correctly cannot be made: `MailRejected`.

    Each address is one address, bare (`ada@example.com`) or with a name (`Ada <ada@example.com>`).
    Text that ends up in a header must hold no control character, a newline above all: with one, a
    customer's name could add headers or recipients of its own.

    `text` is the plain body, `html` an alternative to it. `sender` overrides the configured one.
    `key` names the message: two sendings with one key carry the same Message-ID, by which a mail
    system or a person recognises the second as a repetition. A handler that sends one message gives
    its `ctx.idempotency_key`; one that sends several adds what tells them apart.
    """

    to: tuple[str, ...]
    subject: str
    text: str
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    reply_to: str | None = None
    sender: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        for name in ("to", "cc", "bcc"):
            # A lone text would be taken for a sequence of one-letter addresses.
            if isinstance(getattr(self, name), str):
                raise MailRejected(f"`{name}` must be a tuple of addresses, not one text")
        if not self.recipients:
            raise MailRejected("the message has no recipient")
        _refuse_control_characters("the subject", self.subject)
        for text in self._addresses():
            parse_address(text)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everyone who gets the message, the hidden ones included."""
        return (*self.to, *self.cc, *self.bcc)

    def _addresses(self) -> Iterator[str]:
        yield from self.recipients
        yield from (text for text in (self.reply_to, self.sender) if text is not None)


def parse_address(text: str) -> Address:
    """Read exactly one e-mail address, with or without a name; `MailRejected` if it is not one."""
    _refuse_control_characters("an address", text)
    try:
        header = SMTP.header_factory("To", text)
    except (HeaderParseError, ValueError, IndexError) as error:  # the standard parser leaks these
        raise MailRejected(f"{text!r} is not an e-mail address") from error
    addresses: tuple[Address, ...] = header.addresses
    named_group = any(group.display_name is not None for group in header.groups)
    # A local part such as jürgen is fine with a server that knows SMTPUTF8; the server will tell.
    defects = [it for it in header.defects if not isinstance(it, NonASCIILocalPartDefect)]
    if len(addresses) != 1 or named_group or defects:
        raise MailRejected(f"{text!r} is not one e-mail address")
    [address] = addresses
    if not address.username or not address.domain:
        raise MailRejected(f"{text!r} is not an e-mail address")
    return address


def _refuse_control_characters(what: str, text: str) -> None:
    if any(ord(character) < 32 or ord(character) in _LINE_ENDS for character in text):
        raise MailRejected(f"{what} holds a newline or another control character: {text!r}")


# DEL, and what str.splitlines takes for the end of a line beyond the ASCII control characters.
_LINE_ENDS = frozenset({0x7F, 0x85, 0x2028, 0x2029})


def _is_token(text: str) -> bool:
    return bool(text) and text.isascii() and all(c.isalnum() or c in "!#$&-^_.+" for c in text)


class Mailer(Protocol):
    """Hands messages to a mail server.

    *Concurrency*: any number of sends at once, all on the event loop that opened the application.
    *Idempotency*: none; a repeated send delivers a second copy. With `Email.key` both carry the
    same Message-ID. Where some recipients of one message were accepted and others not, the accepted
    ones have it although an error is raised.
    *Errors*: `MailRejected` for what no retry can mend (an answer of 5xx, a server that cannot
    carry the message, no server configured); `MailUnavailable` for everything that may pass.
    *Closing*: nothing to close; a connection lives no longer than its send.
    """

    async def send(self, email: Email) -> None:
        """Return once the server has taken the message for every recipient."""
        ...
