"""Mailboxes keep bytes, bounds and locks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtap.servers import pop3_replies as replies
from mailtap.servers.accounts import Account, Accounts
from mailtap.servers.limits import Limits
from mailtap.servers.mailbox import Mailbox, Mailboxes, MailboxFull

HANAKO, TARO = (Account(username=name, password="x") for name in ("hanako", "taro"))


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(Limits(mailbox_octets=10), id="octets"),
        pytest.param(Limits(mailbox_messages=2), id="messages"),
    ],
)
def test_full_mailbox_takes_no_more(limits):
    box = Mailbox(limits)
    box.add(b"12345")
    box.add(b"12345")
    with pytest.raises(MailboxFull):
        box.add(b"1")
    assert len(box.messages) == 2


def test_room_comes_back_when_mail_is_deleted():
    box = Mailbox(Limits(mailbox_octets=5))
    box.add(b"12345")
    drop = box.lock()
    drop.delete(1)
    drop.commit()
    box.add(b"54321")
    assert [message.content for message in box.messages] == [b"54321"]


def test_delivery_is_once_per_mailbox_and_all_or_nothing():
    boxes = Mailboxes(Accounts([HANAKO, TARO]), Limits(mailbox_octets=10))
    boxes.deliver([TARO, TARO, HANAKO], b"12345", sender="a@lab.example")
    assert [len(boxes[name].messages) for name in boxes] == [1, 1]
    boxes["taro"].add(b"12345")
    with pytest.raises(MailboxFull):
        boxes.deliver([HANAKO, TARO], b"1")
    assert len(boxes["hanako"].messages) == 1


def test_lock_is_given_back_once():
    box = Mailbox(Limits())
    first = box.lock()
    assert box.lock() is None
    first.release()
    second = box.lock()
    first.release()
    assert box.lock() is None
    second.commit()
    assert box.lock() is not None


def test_many_threads_lose_nothing():
    box = Mailbox(Limits())
    with ThreadPoolExecutor(8) as pool:
        uids = set(pool.map(lambda number: box.add(b"%d" % (number % 7)).uid, range(400)))
    assert len(uids) == len(box.messages) == 400


def unstuff(reply):
    """Undo a multi-line response as RFC 1939, section 3, has it."""
    status, _, rest = reply.partition(b"\r\n")
    assert status.startswith(b"+OK")
    lines = rest.split(b"\r\n")
    end = lines.index(b".")
    assert lines[end:] == [b".", b""]
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in lines[:end])


PIECES = st.lists(st.sampled_from([b"\r\n", b".", b"..", b"a", b"\r", b"\n", b"\xff", b"Subject: x"]))


@given(PIECES.map(b"".join))
def test_message_survives_dot_stuffing(content):
    whole = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
    assert unstuff(replies.message(content)) == whole
    box = Mailbox(Limits())
    assert replies.octets(box.add(content)) == len(whole)


@pytest.mark.parametrize(
    ("content", "lines", "top"),
    [
        pytest.param(b"H: 1\r\n\r\na\r\nb\r\n", 0, b"H: 1\r\n\r\n", id="header only"),
        pytest.param(b"H: 1\r\n\r\na\r\nb\r\n", 1, b"H: 1\r\n\r\na\r\n", id="one line"),
        pytest.param(b"H: 1\r\n\r\na\r\nb\r\n", 9, b"H: 1\r\n\r\na\r\nb\r\n", id="more than there are"),
        pytest.param(b"H: 1\r\n\r\na\r\nb", 2, b"H: 1\r\n\r\na\r\nb", id="last line without end"),
        pytest.param(b"H: 1\r\n", 1, b"H: 1\r\n", id="no body"),
        pytest.param(b"\r\na\r\nb\r\n", 1, b"\r\na\r\n", id="no header"),
        pytest.param(b"H: 1\r\n\r\na\nb\r\nc\r\n", 1, b"H: 1\r\n\r\na\nb\r\n", id="a lone LF ends no line"),
    ],
)
def test_top(content, lines, top):
    assert replies.top(content, lines) == top
