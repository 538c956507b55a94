"""The man in the path by himself: loopback only, and nothing that a peer does breaks him."""

from __future__ import annotations

import gc
import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from rawpeer import RawPeer, raw_peer

from mailtap.capture.model import Field
from mailtap.demo import cast
from mailtap.demo.adversary.betweentwo import BetweenTwo
from mailtap.demo.adversary.man import ManInThePath
from mailtap.demo.scenarios import SCENARIOS
from mailtap.servers import (
    Account,
    AddressRefused,
    LabCertificates,
    Security,
    ServerProtocol,
    Service,
    ToyServers,
)

if TYPE_CHECKING:
    from pathlib import Path

TARO = Account(username=cast.TARO.username, password=cast.TARO.password, addresses=(cast.TARO.address,))
ELSEWHERE = [
    pytest.param("192.0.2.1", id="another machine"),
    pytest.param("10.0.0.1", id="a private network"),
    pytest.param("0.0.0.0", id="any address"),
    pytest.param("::", id="any address of IPv6"),
    pytest.param("::ffff:192.0.2.1", id="IPv4 in IPv6"),
    pytest.param("mail.lab.example", id="a name"),
    pytest.param("localhost", id="even a harmless name"),
    pytest.param("127.0.0.1.example", id="a name like an address"),
    pytest.param("", id="nothing"),
]
MEN = [leg for row in SCENARIOS for leg in row.legs if leg.man]


def service(protocol: str, security: str) -> Service:
    return Service(protocol=ServerProtocol(protocol), security=Security(security), clear_login=False)


SERVICES = [
    pytest.param(service(protocol, security), id=f"{protocol}-{security}")
    for protocol in ("smtp", "pop3")
    for security in ("starttls", "tls")
]


@pytest.mark.parametrize("host", ELSEWHERE)
def test_he_cannot_be_pointed_elsewhere(host: str) -> None:
    with pytest.raises(AddressRefused):
        ManInThePath(service("pop3", "tls"), (host, 995))


@pytest.mark.parametrize("host", ELSEWHERE)
@pytest.mark.parametrize("leg", MEN, ids=lambda leg: f"{leg.man.__name__}-{leg.service.port}")
def test_no_row_can_point_him_elsewhere(leg: object, host: str, tmp_path: Path) -> None:
    with pytest.raises(AddressRefused):
        leg.man(leg, (host, 995), tmp_path / "keys.log")


@pytest.mark.parametrize("shown", ["in clear", "in TLS of his own"])
@pytest.mark.parametrize("asked", SERVICES)
def test_he_passes_on_what_both_say_and_reads_it(asked: Service, shown: str) -> None:
    theirs, his = LabCertificates(), LabCertificates() if "TLS" in shown else None
    with ToyServers([asked], accounts=[TARO], certificates=theirs) as servers:
        with ManInThePath(asked, servers.endpoints[asked], certificates=his) as man:
            assert man.endpoint[0] == "127.0.0.1"
            with raw_peer(man.endpoint) as peer:
                if his:
                    peer.start_tls(his.client_context())
                assert b"toy server ready" in peer.line()
                if asked.protocol is ServerProtocol.POP3:
                    assert peer.ask(b"USER taro").startswith(b"+OK")
                    assert peer.ask(b"PASS " + cast.TARO.password.encode()).startswith(b"+OK")
                else:
                    assert peer.ask(b"HELO pc.lab.example").startswith(b"250")
                    assert peer.ask(b"MAIL FROM:<hanako@lab.example>").startswith(b"250")
                    assert peer.ask(b"RCPT TO:<taro@lab.example>").startswith(b"250")
                    assert peer.ask(b"DATA").startswith(b"354")
                    assert peer.ask(b"Subject: hello\r\n\r\nbody\r\n.").startswith(b"250")
                peer.ask(b"QUIT")
            assert man.wait_idle(10)
        (count,) = servers.sessions.values()
        assert (count.started, servers.faults) == (1, ())
    fields = {leak.field for leak in man.loot()}
    assert fields >= ({Field.PASSWORD} if asked.protocol is ServerProtocol.POP3 else {Field.BODY})


PASS = b"PASS " + cast.TARO.password.encode()
MAIL = (
    b"MAIL FROM:<hanako@lab.example>",
    b"RCPT TO:<taro@lab.example>",
    b"DATA",
    b"Subject: hi\r\n\r\nhi\r\n.",
)
SAID_AT_ONCE = {
    ServerProtocol.POP3: ((b"USER taro", PASS, b"STAT"), (b"+OK", b"+OK", b"+OK", b"+OK 0 0")),
    ServerProtocol.SMTP: ((b"HELO pc.lab.example", *MAIL), (b"220", b"250", b"250", b"250", b"354", b"250")),
}


@pytest.mark.parametrize("last", [[b"QUIT"], []], ids=["QUIT", "no QUIT"])
@pytest.mark.parametrize("asked", SERVICES)
def test_who_has_said_his_last_still_gets_the_answers(asked: Service, last: list[bytes]) -> None:
    said, answers = SAID_AT_ONCE[asked.protocol]
    with (
        ToyServers([asked], accounts=[TARO], certificates=LabCertificates()) as servers,
        ManInThePath(asked, servers.endpoints[asked]) as man,
    ):
        with raw_peer(man.endpoint) as peer:
            peer.send(b"\r\n".join([*said, *last, b""]))
            peer.sock.shutdown(socket.SHUT_WR)
            lines = peer.read_to_end().splitlines()
        assert man.wait_idle(10)
    assert len(lines) == len(answers) + len(last)
    assert all(line.startswith(answer) for line, answer in zip(lines, answers, strict=False))


@pytest.mark.parametrize("asked", SERVICES)
def test_a_server_that_is_not_there_ends_the_session(asked: Service) -> None:
    with socket.socket() as deaf:  # holds a port and does not listen: connections are refused
        deaf.bind(("127.0.0.1", 0))
        with ManInThePath(asked, deaf.getsockname()) as man:
            with raw_peer(man.endpoint) as peer:
                assert peer.read_to_end() == b""
            assert man.wait_idle(10)
    assert man.loot() == ()


@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_a_server_that_refuses_tls_ends_the_session(protocol: str) -> None:
    offered = service(protocol, "plain")
    asked = service(protocol, "starttls")
    with (
        ToyServers([offered], accounts=[TARO]) as servers,
        ManInThePath(asked, servers.endpoints[offered]) as man,
    ):
        with raw_peer(man.endpoint) as peer:
            assert peer.read_to_end() == b""
        assert man.wait_idle(10)
    assert man.loot() == ()


def test_a_mail_program_that_leaves_before_the_server_speaks_leaves_nothing_undone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left = threading.Event()
    lose = BetweenTwo.connection_lost

    def note(self: BetweenTwo, error: Exception | None) -> None:
        lose(self, error)
        left.set()

    monkeypatch.setattr(BetweenTwo, "connection_lost", note)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        ManInThePath(service("pop3", "starttls"), server.getsockname()) as man,
    ):
        peer = RawPeer(man.endpoint)
        reached, _ = server.accept()
        with reached:
            peer.vanish()
            assert left.wait(10)
            gc.collect()  # what nobody holds is gone now
        assert man.wait_idle(10)
    assert caplog.records == []


def test_his_end_ends_what_is_still_open() -> None:
    asked = service("pop3", "tls")
    with ToyServers([asked], accounts=[TARO], certificates=LabCertificates()) as servers:
        with ManInThePath(asked, servers.endpoints[asked]) as man:
            peer = RawPeer(man.endpoint)
            assert peer.line().startswith(b"+OK")
        with closing(peer.sock):
            assert peer.read_to_end() == b""
        assert servers.wait_idle(10, sessions=1)
