"""The mailer that speaks SMTP, on aiosmtplib, and the one for where there is no mail server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aiosmtplib
from aiosmtplib import SMTPRecipientsRefused, SMTPResponseException

from cueline.application.ports.mail import Email, Mailer, MailRejected, MailUnavailable
from cueline.infrastructure.mail.address import Security, SmtpServer
from cueline.infrastructure.mail.message import deliverable, to_message

_START_TLS = {Security.WHEN_OFFERED: None, Security.REQUIRED: True, Security.FROM_THE_START: False}


class SmtpMailer(Mailer):
    """Sends each message over a connection of its own.

    `url` is what `SmtpServer.parse` reads, `sender` the From address of messages that name none,
    and `timeout` the seconds that the server may take for each of its answers.
    """

    def __init__(self, url: str, sender: str, *, timeout: float = 30.0) -> None:
        self._server = SmtpServer.parse(url)
        self._sender = sender
        self._timeout = timeout

    async def send(self, email: Email) -> None:
        sender = deliverable(email.sender or self._sender)
        message = to_message(email, sender)
        recipients = [deliverable(text).addr_spec for text in email.recipients]
        server = self._server
        try:
            refused, _ = await aiosmtplib.send(
                message,
                sender=sender.addr_spec,
                recipients=recipients,
                hostname=server.host,
                port=server.port,
                username=server.user,
                password=server.password,
                use_tls=server.security is Security.FROM_THE_START,
                start_tls=_START_TLS[server.security],
                timeout=self._timeout,
            )
        except SMTPRecipientsRefused as error:
            codes = {one.recipient: (one.code, one.message) for one in error.recipients}
            raise _refusal(codes) from error
        except SMTPResponseException as error:
            raise _answer(error.code, error.message, recipients) from error
        except aiosmtplib.SMTPNotSupported as error:
            raise MailRejected(error.message, recipients=recipients) from error
        except (aiosmtplib.SMTPException, OSError) as error:  # OSError: network, TLS, time is up
            where = f"{server.host}:{server.port}"
            raise MailUnavailable(
                f"{where}: {_one_line(str(error))}", recipients=recipients
            ) from error
        if refused:
            raise _refusal(refused)


class NoMailer(Mailer):
    """The mailer where no mail server is configured: it says which setting is missing."""

    async def send(self, email: Email) -> None:
        raise MailRejected(
            "no mail server is configured; set CUELINE_SMTP, for example smtp://localhost:25",
            recipients=email.recipients,
        )


def _refusal(refused: Mapping[str, tuple[int, str]]) -> MailRejected | MailUnavailable:
    """One refusal for several recipients: for good only where it is so for each of them."""
    code, reason = min(refused.values())
    return _answer(code, reason, list(refused))


def _answer(code: int, reason: str, recipients: Sequence[str]) -> MailRejected | MailUnavailable:
    if 500 <= code <= 599:
        return MailRejected(_one_line(reason), code=code, recipients=recipients)
    # aiosmtplib says -1 for an answer that it could not read: no answer, then.
    known = code if 400 <= code <= 499 else None
    return MailUnavailable(_one_line(reason), code=known, recipients=recipients)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
