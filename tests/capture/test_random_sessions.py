"""Whole sessions between two TCP ends: all kinds of logins, mails, TLS, webmail and load balancers.

Of a capture that lacks nothing all is told, exactly; of one that lacks packets nothing is told that is not so.
The seeds are fixed: these run in seconds. With others, a mail whose text quotes logins can still tell one where the
capture lacks its beginning, in two or three sessions of a thousand.
"""

from __future__ import annotations

import random
import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pytest
import scripts
import scriptwriters
import tcpends
from tcpends import Road

from mailtap.capture.model import Endpoint, Field, Leak, Mail, Note, Source
from mailtap.capture.pipeline import listen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripts import Letter, Login, Script

    from mailtap.capture.model import Packet

SECRETS = (Field.PASSWORD, Field.DIGEST, Field.TOKEN)
WRITERS = {
    "pop3": scriptwriters.pop3,
    "smtp": scriptwriters.smtp,
    "imap": scriptwriters.imap,
    "web": scriptwriters.web,
    "tls": scripts.tls,
    "pop3-proxied": partial(scripts.proxied, write=scriptwriters.pop3),
    "smtp-proxied": partial(scripts.proxied, write=scriptwriters.smtp),
    "imap-proxied": partial(scripts.proxied, write=scriptwriters.imap),
    "tls-proxied": partial(scripts.proxied, write=scripts.tls),
}
SEEDS = range(8)
# What is noted of a whole session, besides logins that were cancelled.
EXPECTED = (
    "TLS began",
    "The client's certificate names",
    "The server's certificate names",
    "No login and no mail crossed",
    "One TCP connection carried no mail",
)
sessions = pytest.mark.parametrize("write", [pytest.param(write, id=name) for name, write in WRITERS.items()])


class Told(NamedTuple):
    """What the listener told of a capture."""

    leaks: list[Leak]
    notes: list[str]
    mails: list[Mail]

    def of(self, *fields: Field) -> list[Leak]:
        """Return the leaks of some fields."""
        return [leak for leak in self.leaks if leak.field in fields]

    @property
    def envelopes(self) -> list[Leak]:
        """Return the addresses of envelopes."""
        return [leak for leak in self.leaks if leak.source is Source.ENVELOPE]


def captured(script: Script, chance: random.Random) -> list[Packet]:
    """Return what a tap hears of a session on some network; of one that broke off, nothing."""
    road = Road(
        chance.choice((0.0, 0.05, 0.2)), chance.choice((0.0, 2.0, 20.0)), chance.choice((8, 40, 1460))
    )
    return tcpends.tapped(script.turns, road, chance, Endpoint("192.0.2.1", script.port)) or []


def hear(packets: list[Packet]) -> Told:
    mails: list[Mail] = []
    told = list(listen(packets, mails.append))
    leaks = [each for each in told if isinstance(each, Leak)]
    return Told(leaks, [str(each) for each in told if isinstance(each, Note)], mails)


def shown(login: Login) -> tuple[str | None, ...]:
    return (login.mechanism, login.name, login.secret, str(login.accepted), login.challenge)


@sessions
def test_all_is_told_of_a_capture_that_lacks_nothing(write: Callable[[random.Random], Script]) -> None:
    for seed in SEEDS:
        chance = random.Random(seed)
        script = write(chance)
        if not (packets := captured(script, chance)):
            continue
        told = hear(packets)
        assert sorted(
            (leak.mechanism, leak.username, leak.value.reveal(), str(leak.accepted), leak.challenge)
            for leak in told.of(*SECRETS)
        ) == sorted(shown(login) for login in script.logins if login.secret is not None), seed
        assert sorted(
            (leak.value.reveal(), str(leak.accepted)) for leak in told.of(Field.USERNAME)
        ) == sorted((login.name, str(login.accepted)) for login in script.logins), seed
        assert [mail.content for mail in told.mails if mail.whole] == [
            letter.content for letter in script.letters if letter.content is not None
        ], seed
        assert sorted((leak.value.reveal(), leak.accepted) for leak in told.envelopes) == sorted(
            address for letter in script.letters for address in letter.addresses
        ), seed
        assert [leak.value.reveal() for leak in told.of(Field.SERVER_NAME)] == (
            [script.server_name] if script.server_name else []
        ), seed
        assert sorted(note for note in told.notes if not note.startswith(EXPECTED)) == sorted(
            f"A {login.mechanism} login was cancelled." for login in script.cancelled
        ), seed
        began = [note for note in told.notes if note.startswith("TLS began")]
        assert [f"({script.tls})" in note for note in began] == [True] * bool(script.tls), seed


@sessions
@pytest.mark.parametrize("lack", ["packets", "the-beginning", "both"])
def test_nothing_false_is_told_of_a_capture_that_lacks(
    lack: str, write: Callable[[random.Random], Script]
) -> None:
    for seed in SEEDS:
        chance = random.Random(seed)
        script = write(chance)
        packets = captured(script, chance)
        if lack != "packets":
            packets = packets[int(chance.random() * len(packets)) :]
        share = 0 if lack == "the-beginning" else chance.choice((0.01, 0.05, 0.2))
        assert list(false(script, hear([packet for packet in packets if chance.random() >= share]))) == [], (
            seed
        )


def false(script: Script, told: Told) -> Iterator[object]:
    """Yield what was told and is not so."""
    logins = [*script.logins, *script.cancelled]
    for leak in told.of(*SECRETS, Field.USERNAME):
        value = leak.value.reveal()
        login = next((login for login in logins if value in (login.secret, login.name)), None)
        if (
            login is None
            or leak.mechanism != login.mechanism
            or leak.username not in (None, login.name)
            or leak.accepted not in (None, login.accepted)
            or leak.challenge not in (None, login.challenge)
        ):
            yield leak
    for leak in told.of(Field.SERVER_NAME):
        if leak.value.reveal() != script.server_name:
            yield leak
    for leak in told.envelopes:
        if (leak.value.reveal(), leak.accepted) not in [
            (address, verdict)
            for letter in script.letters
            for address, taken in letter.addresses
            for verdict in (None, taken)
        ]:
            yield leak
    for mail in told.mails:
        addresses = {leak.value.reveal() for leak in told.envelopes if leak.message == mail.number}
        if not any(fits(mail, letter, addresses) for letter in script.letters):
            yield mail
    yield from filter(is_false, told.notes)


def is_false(note: str) -> bool:
    """Tell whether a note says what no script has, or a range of packets that ends before it begins."""
    ranged = re.search(r"packet range (\d+)-(\d+)", note)
    if ranged is not None and int(ranged[1]) > int(ranged[2]):
        return True
    return re.search("not of its mechanism|not TLS|Unknown protocol", note) is not None


def fits(mail: Mail, letter: Letter, addresses: set[str]) -> bool:
    """Tell whether a mail is, or may be part of, one that was sent, and its addresses are that one's."""
    content = letter.content or b""
    is_told = mail.content == content if mail.whole else mail.content.rstrip(b"\r\n.") in content
    return is_told and addresses <= {address for address, _ in letter.addresses}
