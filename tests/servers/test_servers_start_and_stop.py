"""The servers start on loopback only, say what is in the way, and stop with nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from rawpeer import RawPeer, raw_peer
from toylab import ALL_SERVICES, HANAKO, SERVICES, TARO

from mailtap.servers import (
    Account,
    AddressRefused,
    Limits,
    PortForbidden,
    PortTaken,
    Security,
    ServerProtocol,
    ServersError,
    Service,
    ToyServers,
    runner,
)
from mailtap.servers import listener as listener_module
from mailtap.servers.listener import listen

SMTP = Service(protocol=ServerProtocol.SMTP, security=Security.PLAIN)
POP3 = Service(protocol=ServerProtocol.POP3, security=Security.PLAIN)


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "::",
        "192.0.2.1",
        "10.0.0.1",
        "localhost",
        "mail.lab.example",
        "127.0.0.1.example.com",
        "::ffff:127.0.0.1",
        "::ffff:192.0.2.1",
        "::1%lo",
        "127.1",
        "",
        "2130706433",
    ],
)
def test_anything_but_a_loopback_address_is_refused(host):
    with pytest.raises(AddressRefused, match="loopback"):
        ToyServers([POP3], accounts=[TARO], host=host)
    with pytest.raises(AddressRefused, match="loopback"):
        listener_module.listen(host, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
def test_loopback_addresses_are_served(host):
    try:
        servers = ToyServers([POP3], accounts=[TARO], host=host).start()
    except AddressRefused:
        pytest.skip(f"this machine has no {host}")
    try:
        assert servers.endpoints[POP3][0] == host
        with raw_peer(servers.endpoints[POP3]) as peer:
            assert peer.line().startswith(b"+OK mail.lab.example")
            assert peer.ask(b"QUIT").startswith(b"+OK")
        assert servers.wait_idle(10)
    finally:
        servers.stop()


def test_socket_is_known_for_tcp_so_that_asyncio_turns_off_delays():
    with listener_module.listen("127.0.0.1", 0) as sock:
        assert sock.proto == socket.IPPROTO_TCP


def test_taken_port_names_the_program_that_holds_it():
    pytest.importorskip("psutil")
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        port = squatter.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            ToyServers([SMTP, replace(POP3, port=port)], accounts=[TARO]).start()
    assert (caught.value.host, caught.value.port) == ("127.0.0.1", port)
    assert caught.value.holder is not None
    assert caught.value.holder.process == os.getpid()
    assert f"{caught.value.holder.name} (process {os.getpid()})" in str(caught.value)


def test_taken_port_without_psutil_is_still_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        port = squatter.getsockname()[1]
        with pytest.raises(PortTaken, match="by another program"):
            listener_module.listen("127.0.0.1", port)


def test_port_of_the_administrator_is_told_apart(monkeypatch):
    def refuse(self, address):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(PortForbidden, match="from 1024 up"):
        listener_module.listen("127.0.0.1", 110)


@pytest.mark.parametrize(
    ("step", "number", "said"),
    [
        pytest.param(
            "bind", errno.EADDRNOTAVAIL, "This machine has no address ::1: use 127", id="no such address"
        ),
        pytest.param(
            "__init__", errno.EAFNOSUPPORT, "This machine has no address ::1: use 127", id="no IPv6"
        ),
        pytest.param("__init__", errno.EMFILE, "Too many open files", id="no file left"),
    ],
)
def test_why_an_address_cannot_be_had_is_told(monkeypatch, step, number, said):
    def refuse(self, *_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, step, refuse)
    with pytest.raises((AddressRefused, OSError), match=said):
        listener_module.listen("::1", 0)


def test_no_event_loop_is_told_and_leaves_no_port_open(monkeypatch):
    def fail(_main):
        _main.close()
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("mailtap.servers.runner.asyncio.run", fail)
    servers = ToyServers([POP3], accounts=[TARO])
    with pytest.raises(ServersError, match="Too many open files"):
        servers.start()
    with pytest.raises(ConnectionRefusedError):
        RawPeer(servers.endpoints[POP3])
    servers.stop()


@pytest.mark.parametrize(
    ("services", "accounts", "message"),
    [
        pytest.param([POP3, POP3], [TARO], "alike", id="two services alike"),
        pytest.param(
            [replace(POP3, security=Security.TLS)], [TARO], "certificates", id="TLS, no certificate"
        ),
        pytest.param([POP3], [TARO, TARO], "Two accounts", id="two accounts alike"),
    ],
)
def test_contradictions_are_told(services, accounts, message):
    with pytest.raises(ValueError, match=message):
        ToyServers(services, accounts=accounts)


@pytest.mark.parametrize("wrong", [{"mechanisms": ("NTLM",)}, {"port": 65536}, {"port": -1}])
def test_service_that_cannot_be_is_told(wrong):
    with pytest.raises(ValueError, match=r"NTLM|Port"):
        replace(POP3, **wrong)


def test_servers_start_once_and_stop_twice():
    servers = ToyServers([POP3], accounts=[TARO])
    servers.stop()
    with servers, pytest.raises(RuntimeError, match="make new ones"):
        servers.start()
    servers.stop()
    with pytest.raises(ConnectionRefusedError):
        RawPeer(servers.endpoints[POP3])


def silent(peer, _certificates):
    """Connect and say nothing; on a TLS port, the handshake never begins."""


def half_a_line(peer, _certificates):
    peer.send(b"\x16\x03\x01")


def mid_data(peer, _certificates):
    peer.line()
    peer.send(b"EHLO x\r\n")
    peer.read_until(b"250 HELP\r\n")
    peer.ask(b"AUTH PLAIN AGhhbmFrbwB1bWUtbm8taGFuYQ==")
    peer.ask(b"MAIL FROM:<>")
    peer.ask(b"RCPT TO:<taro@lab.example>")
    peer.ask(b"DATA")
    peer.send(b"Subject: half\r\n")


def waiting_for_a_handshake(peer, _certificates):
    peer.line()
    peer.ask(b"STLS")


def waiting_for_a_handshake_smtp(peer, _certificates):
    peer.line()
    peer.ask(b"STARTTLS")


def encrypted(peer, certificates):
    peer.start_tls(certificates.client_context())
    peer.line()


STUCK = [
    *(pytest.param(key, silent, id=f"{'-'.join(key)}, silent") for key in SERVICES),
    *(pytest.param(key, half_a_line, id=f"{'-'.join(key)}, half a line") for key in SERVICES),
    pytest.param(("smtp", "plain"), mid_data, id="in DATA"),
    pytest.param(("pop3", "starttls"), waiting_for_a_handshake, id="after STLS"),
    pytest.param(("smtp", "starttls"), waiting_for_a_handshake_smtp, id="after STARTTLS"),
    pytest.param(("pop3", "tls"), encrypted, id="pop3 in TLS"),
    pytest.param(("smtp", "tls"), encrypted, id="smtp in TLS"),
]


def open_files():
    """Return this process's open descriptors, where the system lists them."""
    try:
        return set(Path("/dev/fd").iterdir())
    except OSError:
        return set()


@pytest.mark.parametrize(("key", "get_stuck"), STUCK)
def test_stop_ends_stuck_sessions_and_leaves_nothing(certificates, key, get_stuck):
    files, threads = open_files(), threading.active_count()
    servers = ToyServers(
        ALL_SERVICES, accounts=(HANAKO, TARO), certificates=certificates, limits=Limits(close_seconds=0.5)
    ).start()
    with raw_peer(servers.endpoints[SERVICES[key]]) as peer:
        get_stuck(peer, certificates)
        servers.stop()
        peer.read_to_end()
    assert servers.wait_idle(0)
    assert servers.faults == ()
    assert threading.active_count() == threads
    assert len(open_files()) == len(files)


def test_stop_does_not_wait_for_a_client_that_reads_nothing():
    servers = ToyServers([POP3], accounts=[TARO], limits=Limits(idle_seconds=600)).start()
    with raw_peer(servers.endpoints[POP3]) as peer:
        peer.line()
        stopper = threading.Thread(target=servers.stop)

        def flood():
            peer.send_until_closed(b"CAPA\r\n" * 1000)

        flooder = threading.Thread(target=flood)
        flooder.start()
        stopper.start()
        stopper.join(10)
        assert not stopper.is_alive()
        flooder.join(10)
        assert not flooder.is_alive()
    assert servers.faults == ()


def test_counts_and_idleness():
    with ToyServers([SMTP, POP3], accounts=[TARO]) as servers:
        assert servers.wait_idle(0)
        with raw_peer(servers.endpoints[POP3]) as peer, raw_peer(servers.endpoints[SMTP]) as other:
            peer.line()
            other.line()
            assert not servers.wait_idle(0)
            assert servers.sessions[POP3].open == 1
            assert peer.ask(b"QUIT").startswith(b"+OK")
        assert servers.wait_idle(10)
        assert (servers.sessions[POP3].finished, servers.sessions[POP3].aborted) == (1, 0)
        assert (servers.sessions[SMTP].finished, servers.sessions[SMTP].aborted) == (0, 1)


def test_challenges_come_from_the_nonce_that_was_passed_in():
    service = replace(POP3, apop=True)
    with ToyServers([service], accounts=[TARO], nonce=iter(["1.1", "2.2"]).__next__) as servers:
        for nonce in (b"<1.1@mail.lab.example>", b"<2.2@mail.lab.example>"):
            with raw_peer(servers.endpoints[service]) as peer:
                assert peer.line().endswith(nonce + b"\r\n")
                peer.ask(b"QUIT")


def test_importing_the_nouns_is_cheap():
    code = (
        "import sys; from mailtap.servers import Service, LabCertificates, Account;"
        "print(sorted({'aiosmtpd', 'asyncio', 'trustme', 'cryptography', 'psutil'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    assert done.stdout.strip() == b"[]"


def test_a_session_that_cannot_be_made_is_a_fault_and_the_next_client_is_served(monkeypatch):
    making = runner.SessionTransport

    def fail_once(*arguments, **options):
        monkeypatch.setattr(runner, "SessionTransport", making)
        raise RuntimeError("out of order")

    monkeypatch.setattr(runner, "SessionTransport", fail_once)
    with ToyServers([POP3], accounts=[TARO]) as servers:
        with raw_peer(servers.endpoints[POP3]) as peer:
            assert peer.read_to_end() == b""
        assert servers.wait_idle(10, sessions=1)
        assert servers.sessions[POP3].aborted == 1
        with raw_peer(servers.endpoints[POP3]) as peer:
            assert peer.line().startswith(b"+OK")
        assert servers.wait_idle(10, sessions=2)
    (fault,) = servers.faults
    assert "out of order" in fault


def test_a_desk_that_died_is_a_fault(monkeypatch):
    died = threading.Event()

    async def die(_reception):
        died.set()
        raise RuntimeError("gone")

    monkeypatch.setattr(runner.Reception, "receive", die)
    with ToyServers([POP3], accounts=[TARO]) as servers:
        assert died.wait(10)
    (fault,) = servers.faults
    assert "gone" in fault


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EINVAL, errno.EPERM], ids=errno.errorcode.get)
def test_a_port_that_cannot_accept_does_not_spin(monkeypatch, number):
    tries, enough = [], threading.Event()

    class Loop(asyncio.SelectorEventLoop):
        async def sock_accept(self, _sock):
            tries.append(self.time())
            if len(tries) >= 3:
                enough.set()
            raise OSError(number, "no")

    def run(main):
        with asyncio.Runner(loop_factory=Loop) as loop:
            loop.run(main)

    monkeypatch.setattr(runner.asyncio, "run", run)
    with ToyServers([POP3], accounts=[TARO]):
        assert enough.wait(10)
    assert tries[2] - tries[0] > 0.1


def test_account_of_another_alphabet_logs_in():
    ume = Account(username="梅", password="うめ")
    with ToyServers([POP3], accounts=[ume]) as servers, raw_peer(servers.endpoints[POP3]) as peer:
        peer.line()
        assert peer.ask("USER 梅".encode()).startswith(b"+OK")
        assert peer.ask("PASS うめ".encode()).startswith(b"+OK")
        peer.ask(b"QUIT")


def test_a_crowd_that_nobody_has_accepted_yet_can_connect() -> None:
    with listen("127.0.0.1", 0) as listening, contextlib.ExitStack() as crowd:
        for _ in range(300):
            crowd.enter_context(socket.create_connection(listening.getsockname(), timeout=20))
        for _ in range(300):
            crowd.enter_context(listening.accept()[0])
