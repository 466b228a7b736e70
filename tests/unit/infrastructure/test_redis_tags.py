"""Tags and keys of the Redis broker, without a server."""

from __future__ import annotations

from cueline.application.ports.broker import Delivery, Message
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Priority
from cueline.infrastructure.hints import encode
from cueline.infrastructure.redis.keys import Keys
from cueline.infrastructure.redis.tags import read

MAIL = Message(TaskId("0195e3a0-0000-7000-8000-000000000001"), "mail", Priority.HIGH)
PDF = Message(TaskId("0195e3a0-0000-7000-8000-000000000002"), "pdf", Priority.HIGH)


def a_tag(hint: bytes) -> bytes:
    return b"1 1772366430000 17 " + hint


def test_what_was_taken_is_read_in_the_order_of_the_script() -> None:
    pdf, mail = a_tag(encode(PDF)), a_tag(encode(MAIL))
    taken = read((0, [(1, [pdf]), (0, [mail])]), ["mail", "pdf"])
    assert taken.deliveries == [Delivery(PDF, pdf.decode()), Delivery(MAIL, mail.decode())]
    assert taken.refused == {}


def test_what_cannot_be_believed_is_refused_by_the_queue_in_which_it_lay() -> None:
    forged = [a_tag(b""), a_tag(b"\xff 1 2 3 4"), a_tag(encode(PDF))]
    taken = read((2, [(0, [*forged, a_tag(encode(MAIL))])]), ["mail", "pdf"])
    assert [delivery.message for delivery in taken.deliveries] == [MAIL]
    assert taken.refused == {"mail": forged}
    assert taken.dropped == 2


def test_all_keys_of_a_namespace_are_in_one_slot_of_a_cluster() -> None:
    keys = Keys("shop")
    for key in (keys.ages, *keys.of("mail")):
        assert key.startswith("{shop}:")


def test_no_two_queues_or_priorities_share_a_key() -> None:
    keys = Keys("shop")
    names = [key for queue in ("mail", "mail.0", "mail-1") for key in keys.of(queue)]
    assert len(set(names)) == len(names)


def test_the_pattern_of_a_namespace_takes_nothing_in_it_for_a_wildcard() -> None:
    assert Keys("a*[b]").pattern == r"{a\*\[b\]}:*"
