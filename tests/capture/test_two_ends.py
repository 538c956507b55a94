"""Logins and mails between two TCP ends on a network that loses packets, and a capture that lacks some as well.

What the listener tells must be true, whatever is missing; and what is missing must be said.
"""

from __future__ import annotations

import random
from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple

import pytest
import tcpends
import wire
from hypothesis import given, settings
from hypothesis import strategies as st
from tcpends import Road

from mailtap.capture.decode import Decoder
from mailtap.capture.model import Endpoint, Field, Leak, Mail, Note, Segment
from mailtap.capture.pipeline import listen
from mailtap.capture.wire.ends import endpoints_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailtap.capture.model import Packet

MANY = settings(max_examples=50, deadline=None)
seeds = st.integers(0, 2**32)
roads = st.builds(
    Road, st.sampled_from([0.0, 0.05, 0.2]), st.sampled_from([0.0, 2.0, 20.0]), st.sampled_from([8, 40, 1460])
)


class Login(NamedTuple):
    """A login, and whether it is accepted."""

    name: str
    password: str
    accepted: bool


class Session(NamedTuple):
    """What is said to a server at a port, and the logins in it."""

    port: int
    turns: list[tuple[str, bytes]]
    logins: list[Login]


def _logins(chance: random.Random) -> list[Login]:
    return [Login(f"user{number}", f"secret-{number}", chance.random() < 0.5) for number in range(4)]


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def _plain(name: str, password: str) -> str:
    """Return the initial response of PLAIN (RFC 4616)."""
    return _base64(f"\0{name}\0{password}")


def pop3(chance: random.Random) -> Session:
    logins, lines = _logins(chance), ["S +OK ready"]
    for name, password, accepted in logins:
        verdict = "S +OK in" if accepted else "S -ERR no"
        user, secret = f"C USER {name}", f"C PASS {password}"
        lines += (
            [user, secret, "S +OK", verdict] if chance.random() < 0.3 else [user, "S +OK", secret, verdict]
        )
        if chance.random() < 0.3:
            lines += ["C NOOP", "S +OK"]
    return Session(110, _turns([*lines, "C QUIT", "S +OK"]), logins)


def imap(chance: random.Random) -> Session:
    logins, lines = _logins(chance), ["S * OK IMAP ready"]
    for number, (name, password, accepted) in enumerate(logins):
        ways = [
            [f"C a{number} LOGIN {name} {password}"],
            [
                f"C a{number} LOGIN {{{len(name)}}}", "S + go on",
                f"C {name} {{{len(password)}}}", "S + go on", f"C {password}",
            ],
            [f"C a{number} AUTHENTICATE PLAIN", "S + ", f"C {_plain(name, password)}"],
            [
                f"C a{number} AUTHENTICATE LOGIN", "S + VXNlcm5hbWU6", f"C {_base64(name)}",
                "S + UGFzc3dvcmQ6", f"C {_base64(password)}",
            ],
        ]  # fmt: skip
        lines += [*chance.choice(ways), f"S a{number} {'OK' if accepted else 'NO'} done"]
        if chance.random() < 0.3:
            lines += [f"C n{number} NOOP", "S * 5 EXISTS", f"S n{number} OK"]
    return Session(143, _turns([*lines, "C z LOGOUT", "S * BYE", "S z OK"]), logins)


def smtp(chance: random.Random) -> Session:
    logins = _logins(chance)
    lines = ["S 220 mail ESMTP", "C EHLO client", "S 250-mail", "S 250 AUTH PLAIN LOGIN"]
    for name, password, accepted in logins:
        ways = [
            [f"C AUTH PLAIN {_plain(name, password)}"],
            [
                "C AUTH LOGIN", "S 334 VXNlcm5hbWU6", f"C {_base64(name)}",
                "S 334 UGFzc3dvcmQ6", f"C {_base64(password)}",
            ],
        ]  # fmt: skip
        lines += [*chance.choice(ways), "S 235 in" if accepted else "S 535 no"]
        if chance.random() < 0.3:
            lines += ["C NOOP", "S 250 ok"]
    return Session(587, _turns([*lines, "C QUIT", "S 221 bye"]), logins)


def _turns(lines: list[str]) -> list[tuple[str, bytes]]:
    return [(line[0], line[2:].encode() + b"\r\n") for line in lines]


def captured(session: Session | Mails, road: Road, chance: random.Random) -> list[Packet]:
    """Return the packets of a session; of one that broke off, there are none."""
    return tcpends.tapped(session.turns, road, chance, Endpoint("192.0.2.1", session.port)) or []


def logins_in(packets: Sequence[Packet]) -> tuple[list[tuple[str | None, str, bool | None]], list[str]]:
    """Return the logins that are told, and the notes."""
    told = list(listen(packets))
    return [
        (leak.username, leak.value.reveal(), leak.accepted)
        for leak in told
        if isinstance(leak, Leak) and leak.field is Field.PASSWORD
    ], [str(note) for note in told if isinstance(note, Note)]


SESSIONS = pytest.mark.parametrize("write", [pop3, imap, smtp])


@SESSIONS
@given(seed=seeds, road=roads)
@MANY
def test_all_is_heard_where_the_capture_lacks_nothing(
    write: Callable[[random.Random], Session], seed: int, road: Road
) -> None:
    """What the network loses is sent again, in other pieces and in another order; the tap hears it all."""
    chance = random.Random(seed)
    session = write(chance)
    if packets := captured(session, road, chance):
        assert logins_in(packets) == (session.logins, [])


OLD = [
    (wire.ACK, b""),
    (wire.ACK | wire.PSH, b"PASS old\r\n"),
    (wire.ACK | wire.PSH, b"+OK old\r\n250 old\r\n"),
    (wire.ACK | wire.FIN, b""),
    (wire.ACK | wire.RST, b""),
    (wire.RST, b""),
]


def among_old(packets: Sequence[Packet], chance: random.Random) -> list[Packet]:
    """Return packets, and among them some of earlier connections between the same ports, long on their way.

    They are behind the handshake and before the first FIN, and far from all that the connection itself sends:
    initial sequence numbers are random (RFC 6528).
    """
    own = [item for item in Decoder().segments(packets) if isinstance(item, Segment)]
    fins = [place for place, segment in enumerate(own) if segment.flags & (wire.FIN | wire.RST)]
    out = list(packets)
    for _ in range(chance.randrange(1, 4)):
        like = chance.choice(own)
        flags, payload = chance.choice(OLD)
        far = chance.choice([1 << 17, 1 << 22, 1 << 31])
        sequence = like.sequence + chance.randrange(1 << 16, far) * chance.choice([1, -1])
        piece = wire.Piece("", sequence % (1 << 32), chance.randrange(1 << 32), flags, payload)
        data = wire.frame(*endpoints_of(like.ends), piece)
        out.insert(chance.randrange(3, fins[0]), packets[0]._replace(data=data, length=len(data)))
    return wire.renumber(out)


@SESSIONS
@given(seed=seeds, loss=st.sampled_from([0.0, 0.05]))
@MANY
def test_what_earlier_connections_left_behind_changes_nothing(
    write: Callable[[random.Random], Session], seed: int, loss: float
) -> None:
    chance = random.Random(seed)
    session = write(chance)
    if packets := captured(session, Road(loss), chance):
        assert logins_in(among_old(packets, chance)) == (session.logins, [])


def assert_true(heard: Sequence[tuple[str | None, str, bool | None]], session: Session) -> None:
    """Each login that is told is one of the session's; its name and its verdict may be unknown, not wrong."""
    for name, password, accepted in heard:
        login = next(each for each in session.logins if each.password == password)
        assert name in (None, login.name)
        assert accepted in (None, login.accepted)


@SESSIONS
@given(seed=seeds, road=roads, share=st.sampled_from([0.01, 0.05, 0.2]))
@MANY
def test_what_is_told_is_true_where_the_capture_lacks_packets(
    write: Callable[[random.Random], Session], seed: int, road: Road, share: float
) -> None:
    chance = random.Random(seed)
    session = write(chance)
    packets = [packet for packet in captured(session, road, chance) if chance.random() >= share]
    heard, notes = logins_in(packets)
    assert_true(heard, session)
    assert len(heard) == len(session.logins) or notes or not packets


@SESSIONS
@given(seed=seeds, road=roads, begin=st.floats(0, 1), share=st.sampled_from([0.0, 0.05]))
@MANY
def test_what_is_told_is_true_where_the_capture_began_late(
    write: Callable[[random.Random], Session], seed: int, road: Road, begin: float, share: float
) -> None:
    chance = random.Random(seed)
    session = write(chance)
    packets = captured(session, road, chance)
    late = [packet for packet in packets[int(begin * len(packets)) :] if chance.random() >= share]
    assert_true(logins_in(late)[0], session)


# --- mails ---------------------------------------------------------------------------------------------


class Mails(NamedTuple):
    """What is said to a server at a port, and the mails in it."""

    port: int
    turns: list[tuple[str, bytes]]
    mails: list[bytes]


# What stands in a mail's text and looks like something else.
TRAPS = ("+OK", "-ERR no", "250 ok", "354 go", ".", "a1 OK", "{5}", "QUIT", "MAIL FROM:<x>", "* 1 FETCH")


def _mails(chance: random.Random) -> list[str]:
    mails = []
    for number in range(4):
        lines = [f"From: a{number}@example.org", f"Subject: mail {number}", ""]
        lines += [
            f"{chance.choice(TRAPS)} {number}-{line} {'z' * chance.randrange(60)}"
            for line in range(chance.randrange(1, 12))
        ]
        mails.append("".join(line + "\r\n" for line in lines))
    return mails


def _dotted(mail: str) -> str:
    """Return a mail with its dots stuffed, and its end (RFC 5321, section 4.5.2)."""
    return mail.replace("\r\n.", "\r\n..") + ".\r\n"


def pop3_mails(chance: random.Random) -> Mails:
    mails = _mails(chance)
    said = [("S", "+OK\r\n"), ("C", "USER u\r\n"), ("S", "+OK\r\n"), ("C", "PASS p\r\n"), ("S", "+OK\r\n")]
    asked = [("C", f"RETR {number}\r\n") for number in range(4)]
    sent = [("S", f"+OK go\r\n{_dotted(mail)}") for mail in mails]
    if chance.random() < 0.3:  # pipelined
        said += asked + sent
    else:
        for question, answer in zip(asked, sent, strict=True):
            said += [question, answer]
            if chance.random() < 0.3:
                said += [("C", "DELE 1\r\n"), ("S", chance.choice(["+OK\r\n", "-ERR\r\n"]))]
    return _spoken(110, said, mails)


def smtp_mails(chance: random.Random) -> Mails:
    mails = _mails(chance)
    said = [("S", "220 ESMTP\r\n"), ("C", "EHLO c\r\n"), ("S", "250-x\r\n250 CHUNKING\r\n")]
    for number, mail in enumerate(mails):
        sender, recipient = f"MAIL FROM:<s{number}@example.org>\r\n", "RCPT TO:<r@example.org>\r\n"
        way = chance.random()
        if way < 0.4:
            said += [("C", f"{sender}{recipient}DATA\r\n"), ("S", "250 ok\r\n250 ok\r\n354 go\r\n")]
        else:
            said += [("C", sender), ("S", "250 ok\r\n"), ("C", recipient), ("S", "250 ok\r\n")]
        if 0.4 <= way < 0.7:
            said += [("C", "DATA\r\n"), ("S", "354 go\r\n")]
        if way < 0.7:
            said += [("C", _dotted(mail)), ("S", "250 taken\r\n")]
        else:
            cut = chance.randrange(1, len(mail))
            said += [("C", f"BDAT {cut}\r\n{mail[:cut]}"), ("S", "250 ok\r\n")]
            said += [("C", f"BDAT {len(mail) - cut} LAST\r\n{mail[cut:]}"), ("S", "250 taken\r\n")]
    return _spoken(25, said, mails)


def imap_mails(chance: random.Random) -> Mails:
    mails = _mails(chance)
    said = [("S", "* OK IMAP\r\n"), ("C", "a LOGIN u p\r\n"), ("S", "a OK\r\n")]
    for number, mail in enumerate(mails):
        way, done = chance.random(), f"c{number} OK\r\n"
        if way < 0.5:
            said.append(("C", f"c{number} FETCH {number + 1} BODY[]\r\n"))
            answer = f"BODY[] {{{len(mail)}}}\r\n{mail}"
        elif way < 0.75:
            said.append(("C", f"c{number} APPEND sent {{{len(mail)}}}\r\n"))
            said += [("S", "+ go\r\n"), ("C", f"{mail}\r\n"), ("S", done)]
            continue
        else:
            said.append(("C", f"c{number} FETCH {number + 1} (BODY[HEADER] BODY[TEXT])\r\n"))
            cut = mail.index("\r\n\r\n") + 4
            answer = (
                f"BODY[HEADER] {{{cut}}}\r\n{mail[:cut]} BODY[TEXT] {{{len(mail) - cut}}}\r\n{mail[cut:]}"
            )
        said.append(("S", f"* {number + 1} FETCH ({answer})\r\n{done}"))
    return _spoken(143, said, mails)


def _spoken(port: int, said: list[tuple[str, str]], mails: list[str]) -> Mails:
    return Mails(port, [(side, text.encode()) for side, text in said], [mail.encode() for mail in mails])


def mails_in(packets: Sequence[Packet]) -> tuple[list[bytes], list[str]]:
    """Return the mails that are told to be whole, and the notes."""
    mails: list[Mail] = []
    told = list(listen(packets, mails.append))
    whole = [mail.content for mail in mails if mail.whole]
    return whole, [str(note) for note in told if isinstance(note, Note)]


MAILS = pytest.mark.parametrize("write", [pop3_mails, smtp_mails, imap_mails])


@MAILS
@given(seed=seeds, road=roads.filter(lambda road: road.jitter_ms < 20))
@MANY
def test_all_mails_are_heard_where_the_capture_lacks_nothing(
    write: Callable[[random.Random], Mails], seed: int, road: Road
) -> None:
    chance = random.Random(seed)
    session = write(chance)
    if packets := captured(session, road, chance):
        assert mails_in(packets) == (session.mails, [])


@MAILS
@given(seed=seeds, road=roads, begin=st.floats(0, 1), share=st.sampled_from([0.01, 0.05, 0.2]))
@MANY
def test_a_mail_that_is_told_to_be_whole_is_what_was_sent(
    write: Callable[[random.Random], Mails], seed: int, road: Road, begin: float, share: float
) -> None:
    chance = random.Random(seed)
    session = write(chance)
    packets = captured(session, road, chance)
    first = int(begin * len(packets)) if chance.random() < 0.5 else 0
    told, _ = mails_in([packet for packet in packets[first:] if chance.random() >= share])
    assert [mail for mail in told if mail not in session.mails] == []
