"""The mailer against a real SMTP server on the loopback interface."""

from __future__ import annotations

import asyncio
import email
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from cueline.application.ports.mail import Attachment, Email, MailRejected, MailUnavailable
from cueline.domain.errors import InvalidInput
from cueline.infrastructure.mail.address import Security, SmtpServer
from cueline.infrastructure.mail.smtp import NoMailer, SmtpMailer

ACCEPTED = "250 OK"


@dataclass
class Letter:
    """A message as it arrived: what the envelope said, and what was in it."""

    sender: str | None
    recipients: list[str]
    message: EmailMessage


@dataclass
class Postbox:
    """Takes every message, unless a recipient or the content is to be answered otherwise."""

    port: int = 0
    recipients: dict[str, str] = field(default_factory=dict)
    content: str = ACCEPTED
    letters: list[Letter] = field(default_factory=list)
    logins: list[LoginPassword] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.recipients.get(address, ACCEPTED)
        if answer == ACCEPTED:
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.content == ACCEPTED:
            assert isinstance(envelope.content, bytes)
            message = email.message_from_bytes(envelope.content, policy=default)
            assert isinstance(message, EmailMessage)
            self.letters.append(Letter(envelope.mail_from, list(envelope.rcpt_tos), message))
        return self.content

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data)
        return AuthResult(success=data.password == b"right", handled=False)

    def only(self) -> Letter:
        [letter] = self.letters
        return letter


@asynccontextmanager
async def a_postbox(
    recipients: dict[str, str] | None = None, content: str = ACCEPTED, *, utf8: bool = True
) -> AsyncIterator[Postbox]:
    postbox = Postbox(recipients=recipients or {}, content=content)
    sessions: list[SMTP] = []

    def session() -> SMTP:
        sessions.append(
            SMTP(
                postbox,
                enable_SMTPUTF8=utf8,
                hostname="localhost",
                authenticator=postbox.authenticate,
                auth_require_tls=False,
            )
        )
        return sessions[-1]

    listening = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    async with listening:
        postbox.port = listening.sockets[0].getsockname()[1]
        yield postbox
    await asyncio.gather(
        *(one._handler_coroutine for one in sessions if one._handler_coroutine),
        return_exceptions=True,
    )


def a_mailer(postbox: Postbox, login: str = "") -> SmtpMailer:
    return SmtpMailer(f"smtp://{login}127.0.0.1:{postbox.port}", "Shop <shop@example.com>")


def an_email(
    *,
    to: Sequence[str] = ("ada@example.com",),
    subject: str = "Hello",
    text: str = "Good day.",
    key: str | None = None,
) -> Email:
    return Email(to=tuple(to), subject=subject, text=text, key=key)


async def test_a_message_arrives_with_its_text_its_html_and_its_attachments() -> None:
    async with a_postbox() as postbox:
        await a_mailer(postbox).send(
            Email(
                to=("Jürgen Müller <jm@example.com>",),
                subject="Rechnung für Sie: 12,90 €",
                text="Guten Tag,\n.ein Punkt am Anfang\n",
                html="<p>Guten Tag</p>",
                attachments=(
                    Attachment("Rechnung ä.pdf", b"%PDF-\x00\xff\r\n", "application/pdf"),
                ),
            )
        )

    message = postbox.only().message
    assert message["From"] == "Shop <shop@example.com>"
    assert message["To"].addresses[0].display_name == "Jürgen Müller"
    assert message["Subject"] == "Rechnung für Sie: 12,90 €"
    plain = message.get_body(("plain",))
    html = message.get_body(("html",))
    assert plain is not None
    assert plain.get_content().splitlines() == ["Guten Tag,", ".ein Punkt am Anfang"]
    assert html is not None
    assert html.get_content().strip() == "<p>Guten Tag</p>"
    [attachment] = message.iter_attachments()
    assert attachment.get_filename() == "Rechnung ä.pdf"
    assert attachment.get_content_type() == "application/pdf"
    assert attachment.get_content() == b"%PDF-\x00\xff\r\n"


async def test_everyone_gets_it_and_hidden_recipients_stay_hidden() -> None:
    async with a_postbox() as postbox:
        await a_mailer(postbox).send(
            Email(
                to=("a@example.com", "b@example.com"),
                cc=("c@example.com",),
                bcc=("d@example.com",),
                reply_to="Desk <desk@example.com>",
                sender="Billing <billing@example.com>",
                subject="x",
                text="x",
            )
        )

    letter = postbox.only()
    assert letter.sender == "billing@example.com"
    assert letter.recipients == [f"{name}@example.com" for name in "abcd"]
    assert letter.message["Reply-To"] == "Desk <desk@example.com>"
    assert "d@example.com" not in letter.message.as_string()


async def test_a_repeated_send_is_recognisable_by_its_message_id() -> None:
    async with a_postbox() as postbox:
        mailer = a_mailer(postbox)
        for key in ("step-1/RE-7", "step-1/RE-7", "step-1/RE-8", None, None):
            await mailer.send(an_email(key=key))

    first, again, other, *without = [letter.message["Message-ID"] for letter in postbox.letters]
    assert first == again
    assert len({first, other, *without}) == 4
    assert first.endswith("@example.com>")
    assert "RE-7" not in first


async def test_a_domain_beyond_ascii_is_sent_in_its_ascii_form() -> None:
    async with a_postbox(utf8=False) as postbox:
        await a_mailer(postbox).send(an_email(to=["info@bücher.example"]))

    assert postbox.only().recipients == ["info@xn--bcher-kva.example"]


async def test_a_name_beyond_ascii_reaches_a_server_that_knows_it() -> None:
    async with a_postbox() as postbox:
        await a_mailer(postbox).send(an_email(to=["jürgen@example.com"]))

    assert postbox.only().recipients == ["jürgen@example.com"]


async def test_what_the_server_cannot_carry_is_permanent() -> None:
    async with a_postbox(utf8=False) as postbox:
        with pytest.raises(MailRejected, match="SMTPUTF8"):
            await a_mailer(postbox).send(an_email(to=["jürgen@example.com"]))


async def test_a_refused_recipient_is_permanent_and_named() -> None:
    async with a_postbox({"ada@example.com": "550 5.1.1 No such user"}) as postbox:
        with pytest.raises(MailRejected, match="550 5\\.1\\.1 No such user") as caught:
            await a_mailer(postbox).send(an_email())

    assert (caught.value.code, caught.value.recipients) == (550, ("ada@example.com",))


async def test_a_refused_content_is_permanent() -> None:
    async with a_postbox(content="554 5.7.1 Looks like spam") as postbox:
        with pytest.raises(MailRejected) as caught:
            await a_mailer(postbox).send(an_email())

    assert caught.value.code == 554


@pytest.mark.parametrize(
    ("recipient", "content"),
    [("451 4.7.1 Greylisted", ACCEPTED), (ACCEPTED, "452 4.3.1 Disk full")],
)
async def test_an_answer_of_4xx_is_temporary(recipient: str, content: str) -> None:
    async with a_postbox({"ada@example.com": recipient}, content) as postbox:
        with pytest.raises(MailUnavailable) as caught:
            await a_mailer(postbox).send(an_email())

    assert caught.value.code in (451, 452)


async def test_one_refused_recipient_of_several_is_an_error_though_the_others_have_it() -> None:
    async with a_postbox({"b@example.com": "550 No such user"}) as postbox:
        with pytest.raises(MailRejected) as caught:
            await a_mailer(postbox).send(an_email(to=["a@example.com", "b@example.com"]))

    assert caught.value.recipients == ("b@example.com",)
    assert postbox.only().recipients == ["a@example.com"]


async def test_several_refusals_are_permanent_only_if_each_of_them_is() -> None:
    answers = {"a@example.com": "550 No such user", "b@example.com": "451 Later"}
    async with a_postbox(answers) as postbox:
        with pytest.raises(MailUnavailable):
            await a_mailer(postbox).send(an_email(to=list(answers)))


async def test_nobody_listening_is_temporary() -> None:
    async with a_postbox() as postbox:
        pass
    with pytest.raises(MailUnavailable, match=f"127\\.0\\.0\\.1:{postbox.port}") as caught:
        await a_mailer(postbox).send(an_email())

    assert caught.value.code is None


async def test_a_server_that_falls_silent_is_temporary() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        mailer = SmtpMailer(f"smtp://127.0.0.1:{port}", "shop@example.com", timeout=0.1)
        with pytest.raises(MailUnavailable):
            await mailer.send(an_email())
        await asyncio.sleep(0.01)  # let the server see the hang-up


async def test_the_user_and_the_password_of_the_address_are_used() -> None:
    async with a_postbox() as postbox:
        await a_mailer(postbox, "us%40er:right@").send(an_email())
        with pytest.raises(MailRejected) as caught:
            await a_mailer(postbox, "us%40er:wrong@").send(an_email())

    assert caught.value.code == 535
    assert [(login.login, login.password) for login in postbox.logins[:2]] == [
        (b"us@er", b"right"),
        (b"us@er", b"wrong"),
    ]
    assert len(postbox.letters) == 1


async def test_a_server_without_tls_gets_no_password_where_tls_is_required() -> None:
    async with a_postbox() as postbox:
        url = f"smtp+starttls://user:right@127.0.0.1:{postbox.port}"
        with pytest.raises((MailRejected, MailUnavailable), match="STARTTLS"):
            await SmtpMailer(url, "shop@example.com").send(an_email())

    assert postbox.logins == []
    assert postbox.letters == []


@pytest.mark.parametrize("break_", ["\n", "\r", "\r\n", "\x00", "\x0b", "\x85", "\u2028"])
def test_a_line_break_cannot_enter_a_header(break_: str) -> None:
    evil = f"x{break_}Bcc: thief@example.com"
    with pytest.raises(MailRejected, match="control character"):
        an_email(subject=evil)
    for address in (f"ada@example.com{break_}", f"{evil} <ada@example.com>"):
        with pytest.raises(MailRejected, match="control character"):
            an_email(to=[address])
        with pytest.raises(MailRejected, match="control character"):
            Email(to=("a@example.com",), subject="", text="", reply_to=address)
    with pytest.raises(MailRejected, match="control character"):
        Attachment(evil, b"")
    with pytest.raises(MailRejected, match="MIME type"):
        Attachment("a.pdf", b"", f"application/pdf{break_}x")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "ada@",
        "@example.com",
        "a@example.com, b@example.com",
        "Ada <a@example.com>, b@example.com",
        "a b@example.com",
        "<>",
        "group: a@example.com;",
        "ada@exa mple.com",
        "Ada <a@example.com",
    ],
)
def test_what_is_not_exactly_one_address_is_refused(address: str) -> None:
    with pytest.raises(MailRejected, match="e-mail address"):
        an_email(to=[address])


def test_a_lone_text_is_not_taken_for_a_list_of_letters() -> None:
    with pytest.raises(MailRejected, match="tuple of addresses"):
        Email(to="ada@example.com", subject="", text="")  # type: ignore[arg-type]


def test_a_message_to_nobody_is_refused() -> None:
    with pytest.raises(MailRejected, match="no recipient"):
        an_email(to=[])


@pytest.mark.parametrize("name", ["", "../x.pdf", "a/b.pdf", "a\\b.pdf"])
def test_an_attachment_has_a_plain_file_name(name: str) -> None:
    with pytest.raises(MailRejected, match="plain file name"):
        Attachment(name, b"")


async def test_without_a_mail_server_the_missing_setting_is_named() -> None:
    with pytest.raises(MailRejected, match="CUELINE_SMTP"):
        await NoMailer().send(an_email())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example", ("mail.example", 25, Security.WHEN_OFFERED)),
        ("smtp://mail.example:2525/", ("mail.example", 2525, Security.WHEN_OFFERED)),
        ("smtp+starttls://mail.example", ("mail.example", 587, Security.REQUIRED)),
        ("smtps://u:p@mail.example", ("mail.example", 465, Security.FROM_THE_START)),
        ("smtp://[::1]:25", ("::1", 25, Security.WHEN_OFFERED)),
    ],
)
def test_the_address_says_where_the_server_is_and_how_to_talk_to_it(
    url: str, expected: tuple[str, int, Security]
) -> None:
    server = SmtpServer.parse(url)
    assert (server.host, server.port, server.security) == expected


def test_a_password_crosses_a_network_under_tls_only() -> None:
    assert SmtpServer.parse("smtp://u:p@mail.example").security is Security.REQUIRED
    assert SmtpServer.parse("smtp://u:p@localhost").security is Security.WHEN_OFFERED


@pytest.mark.parametrize(
    "url",
    [
        "mail.example:25",
        "http://mail.example",
        "smtp://",
        "smtp://mail.example/path",
        "smtp://mail.example?tls=1",
        "smtp://mail.example:port",
        "smtp://hidden@mail.example",
        "smtp://u:hidden@mail.example:99999",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidInput, match="mail server's address") as caught:
        SmtpMailer(url, "shop@example.com")

    assert "hidden" not in str(caught.value)


def test_a_password_is_not_in_the_servers_description() -> None:
    assert "hidden" not in repr(SmtpServer.parse("smtps://u:hidden@mail.example"))
