"""The listener hears real clients: in clear everything, with a digest all but the password, inside TLS a name.

Each client talks to the toy servers while the wire between is tapped: at the packets where this user
may capture, else at the relay.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import imappeers
import peers
import pytest
from spellings import spellings
from toylab import HANAKO, LETTER, PASSWORD_ONLY, SERVICES, TARO

from mailtap.capture import Leak, listen
from mailtap.capture.model import Field
from mailtap.demo.lab import Lab, Rung, probe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailtap.capture.live import Recording
    from mailtap.servers import Account, ToyServers

SENDER, RECIPIENT = "hanako@lab.example", "taro@lab.example"
DIGESTS = {"APOP", "CRAM-MD5"}
SUBJECT, BODY = "梅の花", "梅の花が咲きました。"


def ways(rows: tuple[tuple[str, str, str], ...]) -> list[object]:
    return [pytest.param(*row, id="-".join(row).replace("/", "").replace(" ", "-")) for row in rows]


@pytest.fixture(scope="session")
def wire() -> Lab:
    rung = Rung.HOST_LOOPBACK if probe(Rung.HOST_LOOPBACK).works else Rung.RELAY
    return Lab(rung, real_ports=False)


@pytest.fixture
def overhear(
    lab: ToyServers, wire: Lab, ca_file: Path, tmp_path: Path
) -> Callable[..., tuple[Recording, list[Leak]]]:
    """Tap one service while a client talks to it, and return what was recorded and heard."""

    def run(
        protocol: str, security: str, mechanism: str, account: Account, talk: Callable[[peers.Target], object]
    ) -> tuple[Recording, list[Leak]]:
        service = PASSWORD_ONLY[security] if mechanism == "USER/PASS" else SERVICES[protocol, security]
        with wire.tap({"server": lab.endpoints[service]}) as tap:
            talk(
                peers.Target(
                    host="localhost",
                    port=tap.endpoints["server"][1],
                    security=security,
                    mechanism=mechanism,
                    username=account.username,
                    password=account.password,
                    home=tmp_path,
                    ca_file=ca_file,
                )
            )
            assert lab.wait_idle(10)
            recording = tap.finish()
        assert (recording.dropped, recording.complete) == (0, True)
        assert recording.packets
        return recording, [item for item in listen(recording.packets) if isinstance(item, Leak)]

    return run


def values(leaks: list[Leak], field: Field) -> set[str]:
    return {leak.value.reveal() for leak in leaks if leak.field is field}


def assert_login_heard(leaks: list[Leak], mechanism: str, account: Account) -> None:
    assert values(leaks, Field.USERNAME) == {account.username}
    logins = [leak for leak in leaks if leak.field in (Field.PASSWORD, Field.DIGEST)]
    assert {(leak.mechanism, leak.username, leak.accepted) for leak in logins} == {
        (mechanism, account.username, True)
    }
    for leak in logins:
        if mechanism in ("APOP", "CRAM-MD5"):
            assert leak.field is Field.DIGEST
            assert leak.value.reveal() == right_digest(leak, account.password)
        else:
            assert (leak.field, leak.value.reveal()) == (Field.PASSWORD, account.password)


def right_digest(leak: Leak, password: str) -> str:
    assert leak.challenge is not None
    if leak.mechanism == "APOP":
        return hashlib.md5((leak.challenge + password).encode(), usedforsecurity=False).hexdigest()
    return hmac.new(password.encode(), leak.challenge.encode(), "md5").hexdigest()


def assert_nothing_but_a_name(recording: Recording, leaks: list[Leak], password: str) -> None:
    assert {leak.field for leak in leaks} <= {Field.SERVER_NAME}
    assert values(leaks, Field.SERVER_NAME) <= {"localhost"}
    assert not found(recording, password)
    assert not found(recording, BODY)


def assert_the_same_search_finds(recording: Recording, mechanism: str, password: str) -> None:
    """Assert, of a session in clear, that the search which finds nothing inside TLS would have found it."""
    assert found(recording, BODY)
    assert bool(found(recording, password)) is (mechanism not in DIGESTS)


def found(recording: Recording, secret: str) -> list[str]:
    """Return the spellings in which a secret stands in the packets."""
    wire_bytes = b"".join(packet.data for packet in recording.packets)
    return [name for name, octets in spellings(secret).items() if octets in wire_bytes]


@pytest.mark.parametrize(("client", "security", "mechanism"), ways(peers.SUBMIT_WAYS))
def test_a_client_that_submits(overhear, lab, client, security, mechanism):
    def talk(target: peers.Target) -> None:
        peers.submit(client, target, LETTER, sender=SENDER, recipients=[RECIPIENT])

    recording, leaks = overhear("smtp", security, mechanism, HANAKO, talk)
    assert [message.content for message in lab.mailboxes["taro"].messages] == [LETTER]
    if security != "plain":
        assert_nothing_but_a_name(recording, leaks, HANAKO.password)
        return
    assert_the_same_search_finds(recording, mechanism, HANAKO.password)
    assert_login_heard(leaks, mechanism, HANAKO)
    assert values(leaks, Field.SENDER) == {SENDER}
    assert values(leaks, Field.RECIPIENT) == {RECIPIENT}
    assert values(leaks, Field.SUBJECT) == {SUBJECT}
    assert {body.splitlines()[0] for body in values(leaks, Field.BODY)} == {BODY}


@pytest.mark.parametrize(("client", "security", "mechanism"), ways(peers.FETCH_WAYS))
def test_a_client_that_fetches(overhear, lab, client, security, mechanism):
    fetched = []
    lab.mailboxes["taro"].add(LETTER)
    recording, leaks = overhear(
        "pop3", security, mechanism, TARO, lambda target: fetched.append(peers.fetch(client, target))
    )
    assert fetched == [LETTER]
    assert_what_was_fetched(recording, leaks, security, mechanism)


@pytest.mark.parametrize(("client", "security", "mechanism"), ways(imappeers.FETCH_WAYS))
def test_a_client_that_fetches_by_imap(overhear, lab, client, security, mechanism):
    fetched = []
    lab.mailboxes["taro"].add(LETTER)
    recording, leaks = overhear(
        "imap", security, mechanism, TARO, lambda target: fetched.append(imappeers.fetch(client, target))
    )
    assert fetched == [LETTER]
    heard_as = "LOGIN" if mechanism == imappeers.COMMAND else mechanism
    assert_what_was_fetched(recording, leaks, security, heard_as)


def assert_what_was_fetched(recording: Recording, leaks: list[Leak], security: str, mechanism: str) -> None:
    """Assert that of a session that fetched the letter all was heard, or nothing."""
    if security != "plain":
        assert_nothing_but_a_name(recording, leaks, TARO.password)
        return
    assert_the_same_search_finds(recording, mechanism, TARO.password)
    assert_login_heard(leaks, mechanism, TARO)
    assert values(leaks, Field.SUBJECT) == {SUBJECT}
    assert {body.splitlines()[0] for body in values(leaks, Field.BODY)} == {BODY}
