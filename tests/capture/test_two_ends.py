"""Logins between two TCP ends on a network that loses packets, and a capture that lacks some as well.

What the listener tells must be true, whatever is missing; and what is missing must be said.
"""

from __future__ import annotations

import random
from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple

import pytest
import tcpends
from hypothesis import given, settings
from hypothesis import strategies as st
from tcpends import Road

from mailtap.capture.model import Endpoint, Field, Leak, Note
from mailtap.capture.pipeline import listen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailtap.capture.model import Packet

MANY = settings(max_examples=150, deadline=None)
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


def captured(session: Session, road: Road, chance: random.Random) -> list[Packet]:
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
