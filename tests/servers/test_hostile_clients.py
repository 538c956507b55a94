"""Hostile and broken clients meet bounds; the next client finds the server as it should be."""

from __future__ import annotations

import os
import poplib
import random
import smtplib
import socket
import subprocess
import sys
import tracemalloc
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import toylab
from rawpeer import RawPeer, raw_peer
from toylab import ALL_SERVICES, HANAKO, LETTER, PASSWORD_ONLY, SERVICES, TARO

from mailtap.servers import Limits, ToyServers

LIMITS = Limits(connections=5, message_octets=100_000, junk_octets=10_000, recipients=3, close_seconds=0.5)
IMPATIENT = replace(LIMITS, idle_seconds=0.5, handshake_seconds=0.5)
PATIENCE = 20.0  # seconds; a bound, not a wait
ENCRYPTED = [key for key in SERVICES if key[1] != "plain"]
SMTP, POP3 = SERVICES["smtp", "plain"], PASSWORD_ONLY["plain"]


@pytest.fixture
def limits():
    return LIMITS


@pytest.fixture
def besieged(certificates, capfd, limits):
    """Servers with tight limits; afterwards they serve the next client, and nothing was printed."""
    servers = ToyServers(ALL_SERVICES, accounts=(HANAKO, TARO), certificates=certificates, limits=limits)
    with servers:
        yield servers
        assert servers.wait_idle(PATIENCE)
        assert_serves(servers, certificates)
        assert servers.wait_idle(PATIENCE)
    assert servers.faults == ()
    assert capfd.readouterr() == ("", "")


impatient = pytest.mark.parametrize("limits", [pytest.param(IMPATIENT, id="impatient")])


def assert_serves(servers, certificates):
    """Send one message over each SMTP port and find it over each POP3 port."""
    context = certificates.client_context()
    before = len(servers.mailboxes["taro"].messages)
    for security in ("plain", "starttls", "tls"):
        host, port = servers.endpoints[SERVICES["smtp", security]]
        tls = security == "tls"
        # Its own name is given: to ask the system for it may take longer than these servers wait.
        own = {"local_hostname": "client.lab.example"}
        opened = (
            smtplib.SMTP_SSL(host, port, context=context, **own) if tls else smtplib.SMTP(host, port, **own)
        )
        with opened as client:
            if security == "starttls":
                client.starttls(context=context)
            client.login("hanako", "ume-no-hana")
            client.sendmail("hanako@lab.example", ["taro@lab.example"], LETTER)
        host, port = servers.endpoints[PASSWORD_ONLY[security]]
        fetcher = poplib.POP3_SSL(host, port, context=context) if tls else poplib.POP3(host, port)
        if security == "starttls":
            fetcher.stls(context=context)
        fetcher.user("taro")
        fetcher.pass_("tanstaaf")
        before += 1
        assert fetcher.stat()[0] == before
        fetcher.quit()


def log_in(peer):
    peer.line()
    assert peer.ask(b"USER taro").startswith(b"+OK")
    assert peer.ask(b"PASS tanstaaf").startswith(b"+OK")


def ready_for_data(peer):
    peer.line()
    peer.send(b"EHLO client.lab.example\r\n")
    peer.read_until(b"250 HELP\r\n")
    assert peer.ask(b"AUTH PLAIN AGhhbmFrbwB1bWUtbm8taGFuYQ==").startswith(b"235")
    assert peer.ask(b"MAIL FROM:<hanako@lab.example>").startswith(b"250")
    assert peer.ask(b"RCPT TO:<taro@lab.example>").startswith(b"250")
    assert peer.ask(b"DATA").startswith(b"354")


@pytest.mark.parametrize("key", list(SERVICES), ids="-".join)
def test_binary_junk(besieged, key):
    junk = random.Random(20261125).randbytes(50_000)
    with raw_peer(besieged.endpoints[SERVICES[key]]) as peer:
        with suppress(OSError):  # it may hang up before all is said
            peer.send(junk)
            peer.sock.shutdown(socket.SHUT_WR)
        peer.read_to_end()


@pytest.mark.parametrize("key", list(SERVICES), ids="-".join)
def test_line_that_never_ends(besieged, key):
    with raw_peer(besieged.endpoints[SERVICES[key]]) as peer:
        peer.send_until_closed(b"x" * 4096)
    assert besieged.wait_idle(PATIENCE)
    assert besieged.sessions[SERVICES[key]].aborted == 1


@impatient
@pytest.mark.parametrize("key", list(SERVICES), ids="-".join)
def test_trickle_of_single_bytes_is_cut_off(besieged, key):
    with raw_peer(besieged.endpoints[SERVICES[key]]) as peer:
        peer.send_until_closed(b"x", pause=0.02)
    assert besieged.wait_idle(PATIENCE)
    assert besieged.sessions[SERVICES[key]].aborted == 1


@impatient
@pytest.mark.parametrize("key", list(SERVICES), ids="-".join)
def test_silent_client_is_cut_off(besieged, key):
    with raw_peer(besieged.endpoints[SERVICES[key]]) as peer:
        peer.read_to_end()


@pytest.mark.parametrize("key", list(SERVICES), ids="-".join)
def test_client_that_vanishes_at_once(besieged, key):
    for _ in range(10):
        RawPeer(besieged.endpoints[SERVICES[key]]).vanish()
    assert besieged.wait_idle(PATIENCE, sessions=1)


@pytest.mark.parametrize("limits", [pytest.param(replace(LIMITS, session_seconds=0.5), id="short")])
@pytest.mark.parametrize("key", [("smtp", "plain"), ("pop3", "plain")], ids="-".join)
def test_session_that_never_ends_is_cut_off(besieged, key):
    if key[0] == "pop3":
        besieged.mailboxes["taro"].add(LETTER)
    with raw_peer(besieged.endpoints[PASSWORD_ONLY["plain"] if key[0] == "pop3" else SMTP]) as peer:
        if key[0] == "pop3":
            log_in(peer)
        assert b"OK" in peer.send_until_closed(b"NOOP\r\n", pause=0.02)


@impatient
def test_body_that_trickles_is_cut_off(besieged):
    with raw_peer(besieged.endpoints[SMTP]) as peer:
        ready_for_data(peer)
        assert b"421" in peer.send_until_closed(b"a line\r\n", pause=0.02)
    assert besieged.mailboxes["taro"].messages == ()


@pytest.mark.parametrize("leave", ["close", "vanish"])
def test_client_that_leaves_in_data_delivers_nothing(besieged, leave):
    peer = RawPeer(besieged.endpoints[SMTP])
    ready_for_data(peer)
    peer.send(LETTER)
    getattr(peer, leave)()
    assert besieged.wait_idle(PATIENCE, sessions=1)
    assert besieged.mailboxes["taro"].messages == ()
    assert besieged.sessions[SMTP].aborted == 1


def test_message_too_large_is_refused_and_the_session_goes_on(besieged):
    with raw_peer(besieged.endpoints[SMTP]) as peer:
        ready_for_data(peer)
        peer.send(b"0123456789012345678901234567890123456789\r\n" * 2450 + b".\r\n")
        assert peer.line().startswith(b"552")
        assert peer.ask(b"QUIT").startswith(b"221")


def test_message_that_never_ends_is_cut_off(besieged):
    with raw_peer(besieged.endpoints[SMTP]) as peer:
        ready_for_data(peer)
        peer.send_until_closed(b"0123456789012345678901234567890123456789\r\n" * 100)
    assert besieged.mailboxes["taro"].messages == ()


def test_announced_size_too_large_is_refused_at_once(besieged):
    with raw_peer(besieged.endpoints[SMTP]) as peer:
        ready_for_data(peer)
        assert peer.ask(LETTER + b".").startswith(b"250")
        assert peer.ask(b"MAIL FROM:<hanako@lab.example> SIZE=100001").startswith(b"552")


@pytest.mark.parametrize(
    ("key", "refusal", "next_reply"),
    [(("smtp", "plain"), b"500 ", b"250 "), (("pop3", "plain"), b"-ERR Line too long", b"-ERR Not now")],
    ids=["smtp", "pop3"],
)
def test_line_too_long_is_refused_and_the_next_one_heard(besieged, key, refusal, next_reply):
    with raw_peer(besieged.endpoints[SERVICES[key]]) as peer:
        peer.line()
        assert peer.ask(b"NOOP " + b"x" * 5000).startswith(refusal)
        assert peer.ask(b"NOOP").startswith(next_reply)


def test_too_many_recipients(besieged):
    with raw_peer(besieged.endpoints[SMTP]) as peer:
        ready_for_data(peer)
        assert peer.ask(LETTER + b".").startswith(b"250")
        assert peer.ask(b"MAIL FROM:<hanako@lab.example>").startswith(b"250")
        replies = [peer.ask(b"RCPT TO:<taro@lab.example>")[:3] for _ in range(5)]
    assert replies == [b"250", b"250", b"250", b"452", b"452"]


@pytest.mark.parametrize(
    ("key", "attempt", "refusals"),
    [
        (("smtp", "plain"), b"AUTH PLAIN AGhhbmFrbwB3cm9uZw==", [b"535", b"535", b"421"]),
        (("pop3", "plain"), b"AUTH PLAIN AHRhcm8Ad3Jvbmc=", [b"-ER", b"-ER", b"-ER"]),
    ],
    ids=["smtp", "pop3"],
)
def test_failed_logins_are_counted(besieged, key, attempt, refusals):
    with raw_peer(besieged.endpoints[SERVICES[key]]) as peer:
        peer.line()
        if key[0] == "smtp":
            peer.send(b"EHLO x\r\n")
            peer.read_until(b"250 HELP\r\n")
        assert [peer.ask(attempt)[:3] for _ in refusals] == refusals
        assert peer.read_to_end() == b""


def test_commands_no_one_knows_are_counted(besieged):
    with raw_peer(besieged.endpoints[SMTP]) as peer:
        assert peer.send_until_closed(b"XYZZY\r\n", pause=0.01).count(b"\n") <= 10


@impatient
def test_client_that_reads_nothing_is_cut_off(besieged):
    besieged.mailboxes["taro"].add(b"x" * 90_000 + b"\r\n")
    with raw_peer(besieged.endpoints[POP3]) as peer:
        log_in(peer)
        peer.send(b"RETR 1\r\n" * 5000)  # 450 MB, if all were answered
        assert besieged.wait_idle(PATIENCE)
    assert besieged.sessions[POP3].aborted == 1


@impatient
@pytest.mark.parametrize(
    ("key", "command"), [(("smtp", "plain"), b"HELP\r\n"), (("pop3", "plain"), b"CAPA\r\n")]
)
def test_client_that_only_writes_is_cut_off(besieged, key, command):
    with raw_peer(besieged.endpoints[SERVICES[key]]) as peer:
        peer.send_until_closed(command * 1000)
    assert besieged.wait_idle(PATIENCE)
    assert besieged.sessions[SERVICES[key]].aborted == 1


@impatient
@pytest.mark.parametrize("key", ENCRYPTED, ids="-".join)
def test_client_that_only_writes_inside_tls_is_cut_off(besieged, certificates, key):
    with raw_peer(besieged.endpoints[SERVICES[key]]) as peer:
        begin_tls(peer, key)
        peer.start_tls(certificates.client_context())
        peer.send_until_closed(
            {"smtp": b"HELP\r\n", "pop3": b"CAPA\r\n", "imap": b"a NOOP\r\n"}[key[0]] * 1000
        )
    assert besieged.wait_idle(PATIENCE)
    assert besieged.sessions[SERVICES[key]].aborted == 1


def test_mail_that_is_asked_for_again_and_again_is_not_held_as_often(besieged):
    besieged.mailboxes["taro"].add(b"x" * 1_000_000)
    with raw_peer(besieged.endpoints[SERVICES["imap", "plain"]]) as peer:
        peer.line()
        assert peer.ask(b"a LOGIN taro tanstaaf").startswith(b"a OK")
        peer.send(b"b SELECT INBOX\r\n")
        peer.read_until(b"b OK [READ-WRITE] Open\r\n")
        tracemalloc.start()
        try:
            peer.send(b"c FETCH 1 (" + b" ".join([b"BODY.PEEK[]"] * 200) + b")\r\n")
            peer.read_until(b"* 1 FETCH (BODY[]")
            held = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert held < 20_000_000


def test_client_that_vanishes_in_retr_leaves_the_maildrop_unlocked(besieged):
    besieged.mailboxes["taro"].add(b"x" * 90_000 + b"\r\n")
    peer = RawPeer(besieged.endpoints[POP3])
    log_in(peer)
    peer.send(b"DELE 1\r\nRSET\r\n" + b"RETR 1\r\n" * 100 + b"DELE 1\r\n")
    peer.read_until(b" octets")
    peer.vanish()
    assert besieged.wait_idle(PATIENCE)
    assert len(besieged.mailboxes["taro"].messages) == 1


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="http"),
        pytest.param(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", id="broken ClientHello"),
        pytest.param(b"\x16\x03\x01\xff\xff" + b"\0" * 70_000, id="record too large"),
    ],
)
@pytest.mark.parametrize("key", ENCRYPTED, ids="-".join)
def test_garbage_for_a_handshake(besieged, key, garbage):
    with raw_peer(besieged.endpoints[SERVICES[key]]) as peer:
        begin_tls(peer, key)
        with suppress(OSError):
            peer.send(garbage)
        peer.read_to_end()
    assert besieged.wait_idle(PATIENCE, sessions=1)
    assert besieged.sessions[SERVICES[key]].aborted == 1


@impatient
@pytest.mark.parametrize("key", ENCRYPTED, ids="-".join)
def test_handshake_that_stalls_is_cut_off(besieged, key):
    with raw_peer(besieged.endpoints[SERVICES[key]]) as peer:
        begin_tls(peer, key)
        peer.send(b"\x16\x03\x01\x02")
        peer.read_to_end()
    assert besieged.wait_idle(PATIENCE, sessions=1)
    assert besieged.sessions[SERVICES[key]].aborted == 1


@pytest.mark.parametrize("leave", ["close", "vanish"])
@pytest.mark.parametrize("key", ENCRYPTED, ids="-".join)
def test_client_that_leaves_instead_of_a_handshake(besieged, key, leave):
    peer = RawPeer(besieged.endpoints[SERVICES[key]])
    begin_tls(peer, key)
    getattr(peer, leave)()
    assert besieged.wait_idle(PATIENCE, sessions=1)
    assert besieged.sessions[SERVICES[key]].aborted == 1


@pytest.mark.parametrize("key", ENCRYPTED, ids="-".join)
def test_garbage_in_the_middle_of_tls(besieged, certificates, key):
    with raw_peer(besieged.endpoints[SERVICES[key]]) as peer:
        begin_tls(peer, key)
        peer.start_tls(certificates.client_context())
        if key[1] == "tls":
            peer.line()
        peer.send_beneath_tls(b"\x17\x03\x03\x00\x10" + b"not what it says")
        with suppress(OSError):  # an alert, or a reset
            assert peer.sock.recv(100) == b""


def begin_tls(peer, key):
    if key[1] == "starttls":
        peer.line()
        if key[0] == "smtp":
            peer.send(b"EHLO x\r\n")
            peer.read_until(b"250 HELP\r\n")
        peer.ask({"smtp": b"STARTTLS", "pop3": b"STLS", "imap": b"a STARTTLS"}[key[0]])


@pytest.mark.parametrize("key", ENCRYPTED, ids="-".join)
def test_client_that_says_goodbye_and_stays_is_not_waited_for(besieged, certificates, key):
    with raw_peer(besieged.endpoints[SERVICES[key]]) as peer:
        begin_tls(peer, key)
        peer.start_tls(certificates.client_context())
        peer.send(b"a LOGOUT\r\n" if key[0] == "imap" else b"QUIT\r\n")
        assert besieged.wait_idle(PATIENCE, sessions=1)
    assert besieged.sessions[SERVICES[key]].finished == 1


def test_commands_injected_before_starttls_do_not_count(besieged, certificates):
    with raw_peer(besieged.endpoints[SERVICES["smtp", "starttls"]]) as peer:
        peer.line()
        peer.send(b"STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@lab.example>\r\n")
        peer.line()
        peer.start_tls(certificates.client_context())
        assert peer.ask(b"MAIL FROM:<hanako@lab.example>").startswith(b"503 ")  # no EHLO was heard
        peer.send(b"EHLO client.lab.example\r\n")
        assert b"STARTTLS" not in peer.read_until(b"250 HELP\r\n")
        assert peer.ask(b"STARTTLS").startswith(b"503 ")


def test_commands_injected_before_stls_do_not_count(besieged, certificates):
    with raw_peer(besieged.endpoints[PASSWORD_ONLY["starttls"]]) as peer:
        peer.line()
        peer.send(b"STLS\r\nUSER taro\r\nCAPA\r\n")
        peer.line()
        peer.start_tls(certificates.client_context())
        assert peer.ask(b"PASS tanstaaf") == b"-ERR USER first\r\n"


def test_a_thousand_connections_meet_a_polite_refusal(besieged):
    refused = {"smtp": b"421 4.3.2 ", "pop3": b"-ERR [SYS/TEMP] ", "imap": b"* BYE "}
    for key in (("smtp", "plain"), ("pop3", "starttls"), ("imap", "plain")):
        endpoint = besieged.endpoints[SERVICES[key]]
        with ExitStack() as held:
            peers = [held.enter_context(raw_peer(endpoint)) for _ in range(LIMITS.connections)]
            for peer in peers:
                peer.line()
            for _ in range(500):
                with raw_peer(endpoint) as peer:
                    said = peer.read_to_end()
                if said[:1] not in b"+2":
                    assert said.startswith(refused[key[0]])
            count = besieged.sessions[SERVICES[key]]
            assert count.started + count.refused == 500 + LIMITS.connections
            assert count.refused > 0


def test_refusal_on_a_tls_port_is_a_closed_connection(besieged):
    service = SERVICES["pop3", "tls"]
    with ExitStack() as held:
        for _ in range(LIMITS.connections):
            held.enter_context(raw_peer(besieged.endpoints[service]))
        with raw_peer(besieged.endpoints[service]) as peer:
            assert peer.read_to_end() == b""
    assert besieged.sessions[service].refused == 1


IN_A_PROCESS_OF_ITS_OWN = """
import socket
from mailtap.servers import *
taro = Account(username="taro", password="x", addresses=("taro@lab.example",))
smtp, pop3 = (Service(protocol=p, security=Security.STARTTLS, mechanisms=SASL_MECHANISMS)
              for p in (ServerProtocol.SMTP, ServerProtocol.POP3))
with ToyServers([smtp, pop3], accounts=[taro], certificates=LabCertificates()) as servers:
    for service in (smtp, pop3):
        for said in (b"EHLO x\\r\\nSTARTTLS\\r\\nSTLS\\r\\n", b"EHLO x\\r\\nMAIL FROM:<((((>\\r\\nAUTH LOGIN\\r\\n" + b"x" * 70000,
                     b"\\xff\\xfe\\r\\nHELO \\x00\\r\\nVRFY \\xff\\r\\nMAIL FROM:<a@[1\\r\\nRCPT\\r\\nHELP x\\r\\n"):
            with socket.create_connection(servers.endpoints[service]) as peer:
                peer.sendall(said)
                peer.recv(100)
                peer.sendall(b"\\x16\\x03\\x01\\x00\\x05 junk")
    with socket.create_connection(servers.endpoints[smtp]) as peer:
        peer.sendall(b"EHLO x\\r\\nXYZZY\\r\\nAUTH LOGIN\\r\\n*\\r\\nQUIT\\r\\n")  # aiosmtpd warns of these
        while peer.recv(1000):
            pass
    assert servers.wait_idle(10)
    assert servers.faults == (), servers.faults
"""


def test_hostile_input_prints_nothing_where_no_one_set_up_logging():
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", IN_A_PROCESS_OF_ITS_OWN]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


FEW_FILES = """
import resource, sys
from toylab import HANAKO, PASSWORD_ONLY
from mailtap.servers import Limits, ToyServers
resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
service = PASSWORD_ONLY["plain"]
with ToyServers((service,), accounts=(HANAKO,), limits=Limits(connections=1000)) as servers:
    print(servers.endpoints[service][1], flush=True)
    for _ in range(1000):
        if servers.faults or servers.wait_idle(0.02, 301):
            break
    print(*servers.faults, flush=True)
    print(servers.wait_idle(20, 301), len(servers.faults), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="only where the number of open files can be limited")
def test_too_few_open_files_make_clients_wait_and_not_the_port_vanish():
    command = [sys.executable, "-c", FEW_FILES]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    path = {**os.environ, "PYTHONPATH": str(Path(toylab.__file__).parent)}
    with subprocess.Popen(command, **pipes, env=path) as process, ExitStack() as crowd:
        port = int(process.stdout.readline())
        waiting = [crowd.enter_context(raw_peer(("127.0.0.1", port))) for _ in range(300)]
        assert waiting[0].line().startswith(b"+OK")
        assert process.stdout.readline().startswith("Clients had to wait, because this program may not")
        for peer in waiting:
            peer.close()
        with raw_peer(("127.0.0.1", port)) as peer:
            assert peer.line().startswith(b"+OK")
        assert process.communicate(timeout=60) == ("True 1\n", "")
