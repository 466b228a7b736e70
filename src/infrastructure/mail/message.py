"""An `Email` as it goes over the wire."""

from __future__ import annotations

import hashlib
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime
from uuid import uuid4

from cueline.application.ports.mail import Attachment, Email, MailRejected, parse_address


def to_message(email: Email, sender: Address) -> EmailMessage:
    """Build the MIME message. The hidden recipients are not in it: they belong to the envelope."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = [deliverable(text) for text in email.to]
    if email.cc:
        message["Cc"] = [deliverable(text) for text in email.cc]
    if email.reply_to:
        message["Reply-To"] = deliverable(email.reply_to)
    message["Subject"] = email.subject
    message["Date"] = localtime()
    message["Message-ID"] = message_id(email.key, sender.domain)
    message["Auto-Submitted"] = "auto-generated"  # tells holiday notices not to answer (RFC 3834)
    message.set_content(email.text)
    if email.html is not None:
        message.add_alternative(email.html, subtype="html")
    for attachment in email.attachments:
        _attach(message, attachment)
    return message


def message_id(key: str | None, domain: str) -> str:
    """The same for the same key and sender, and unlike any other; without a key, new each time."""
    # A digest, because a key may be long, secret or hold what a header may not.
    name = uuid4().hex if key is None else hashlib.sha256(key.encode()).hexdigest()[:32]
    return f"<{name}.cueline@{domain}>"


def deliverable(text: str) -> Address:
    """The address as a mail server takes it: a domain such as bücher.example in its ASCII form."""
    address = parse_address(text)
    try:
        domain = address.domain.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise MailRejected(f"{address.domain!r} is not a domain") from error
    return Address(address.display_name, address.username, domain)


def _attach(message: EmailMessage, attachment: Attachment) -> None:
    kind, _, subtype = attachment.content_type.partition("/")
    message.add_attachment(
        attachment.content, maintype=kind, subtype=subtype, filename=attachment.filename
    )
