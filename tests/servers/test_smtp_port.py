"""The SMTP port as a client sees it: what it offers, whom it lets in, and what it takes."""

from __future__ import annotations

import smtplib
import socket
from base64 import b64encode
from dataclasses import replace

import pytest
from rawpeer import raw_peer
from toylab import HANAKO, LETTER, MECHANISMS, TARO

from mailtap.servers import Limits, Security, ServerProtocol, Service, ToyServers

OPEN = Service(protocol=ServerProtocol.SMTP, security=Security.PLAIN)
LOGIN = replace(OPEN, mechanisms=MECHANISMS, login_required=True)
LIMITS = Limits()
HELLO = b"EHLO client.lab.example\r\n"


@pytest.fixture
def port(certificates):
    """Start one SMTP port and say hello to it; afterwards it has ended every session without a fault."""
    running = []

    def start(service=OPEN, limits=LIMITS):
        servers = ToyServers(
            [service], accounts=(HANAKO, TARO), certificates=certificates, limits=limits, nonce=lambda: "1.2"
        )
        running.append(servers.start())
        return servers

    yield start
    for servers in running:
        assert servers.wait_idle(10)
        servers.stop()
        assert servers.faults == ()


def hello(peer):
    assert peer.line() == b"220 mail.lab.example ESMTP toy server ready\r\n"
    peer.send(HELLO)
    return peer.read_until(b"250 HELP\r\n").decode().splitlines()


OFFERS = [
    pytest.param(OPEN, [], id="nothing"),
    pytest.param(LOGIN, ["250-AUTH CRAM-MD5 LOGIN PLAIN"], id="login"),
    pytest.param(replace(LOGIN, mechanisms=("CRAM-MD5",)), ["250-AUTH CRAM-MD5"], id="one mechanism"),
    pytest.param(
        replace(LOGIN, security=Security.STARTTLS),
        ["250-STARTTLS", "250-AUTH CRAM-MD5 LOGIN PLAIN"],
        id="STARTTLS, login in clear too",
    ),
    pytest.param(
        replace(LOGIN, security=Security.STARTTLS, clear_login=False), ["250-STARTTLS"], id="STARTTLS first"
    ),
]


@pytest.mark.parametrize(("service", "offers"), OFFERS)
def test_offer_names_the_lab_and_nothing_of_this_machine(port, service, offers):
    with raw_peer(port(service).endpoints[service]) as peer:
        lines = hello(peer)
    rest = ["250-SIZE 10485760", "250-8BITMIME", "250-SMTPUTF8", *offers, "250 HELP"]
    assert lines == ["250-mail.lab.example", *rest]
    said = " ".join(lines).lower()
    assert socket.gethostname().lower() not in said
    assert "python" not in said
    assert "aiosmtpd" not in said


def coat(text):
    return b64encode(text.encode())


EXCHANGES = [
    pytest.param([("AUTH PLAIN " + coat("\0hanako\0ume-no-hana").decode(), b"235 ")], id="PLAIN"),
    pytest.param([("auth plain " + coat("\0hanako\0ume-no-hana").decode(), b"235 ")], id="letter case"),
    pytest.param(
        [("AUTH PLAIN", b"334 \r\n"), (coat("\0hanako\0ume-no-hana").decode(), b"235 ")], id="PLAIN in two"
    ),
    pytest.param(
        [
            ("AUTH LOGIN", b"334 VXNlcm5hbWU6\r\n"),
            (coat("hanako").decode(), b"334 UGFzc3dvcmQ6\r\n"),
            (coat("ume-no-hana").decode(), b"235 "),
        ],
        id="LOGIN",
    ),
    pytest.param(
        [("AUTH LOGIN", b"334 "), ("*", b"501 "), ("AUTH LOGIN", b"334 "), ("!", b"501 ")], id="broken off"
    ),
    pytest.param([("AUTH PLAIN " + coat("\0hanako\0wrong").decode(), b"535 ")], id="wrong password"),
    pytest.param([("AUTH PLAIN " + coat("\0nobody\0x").decode(), b"535 ")], id="unknown name"),
    pytest.param([("AUTH PLAIN " + coat("no parts").decode(), b"501 ")], id="PLAIN, malformed"),
    pytest.param([("AUTH PLAIN =", b"501 "), ("AUTH PLAIN !", b"501 ")], id="PLAIN, nothing"),
    pytest.param(
        [("AUTH PLAIN " + coat("hanako\0hanako\0ume-no-hana").decode(), b"235 ")], id="PLAIN, for oneself"
    ),
    pytest.param(
        [("AUTH PLAIN " + coat("taro\0hanako\0ume-no-hana").decode(), b"535 ")], id="PLAIN, for another user"
    ),
    pytest.param([("AUTH CRAM-MD5 " + coat("hanako x").decode(), b"501 ")], id="CRAM-MD5, initial response"),
    pytest.param(
        [
            ("AUTH CRAM-MD5", b"334 PDEuMkBtYWlsLmxhYi5leGFtcGxlPg==\r\n"),
            (coat("hanako x").decode(), b"535 "),
        ],
        id="CRAM-MD5, wrong",
    ),
    pytest.param([("AUTH NTLM", b"504 "), ("AUTH", b"501 ")], id="no such mechanism"),
    pytest.param([("MAIL FROM:<hanako@lab.example>", b"530 ")], id="mail without a login"),
]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_login(port, exchange):
    with raw_peer(port(LOGIN).endpoints[LOGIN]) as peer:
        hello(peer)
        for command, reply in exchange:
            assert peer.ask(command.encode()).startswith(reply)


def test_no_login_in_the_middle_of_a_mail(port):
    service = replace(LOGIN, login_required=False)
    with raw_peer(port(service).endpoints[service]) as peer:
        hello(peer)
        login = b"AUTH PLAIN " + coat("\0hanako\0ume-no-hana")
        assert peer.ask(b"MAIL FROM:<hanako@lab.example>").startswith(b"250 ")
        assert peer.ask(login).startswith(b"503 ")
        assert peer.ask(b"RCPT TO:<taro@lab.example>").startswith(b"250 ")
        assert peer.ask(b"RSET").startswith(b"250 ")
        assert peer.ask(login).startswith(b"235 ")


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param(b" AUTH=<>", id="nobody"),
        pytest.param(b" SIZE=10 auth=h+2Bx@lab.example BODY=8BITMIME", id="somebody, among others"),
        pytest.param(b" AUTH=" + b"x" * 900, id="long"),
    ],
)
def test_who_submitted_a_mail_may_be_said_where_logins_are_offered(port, parameters):
    service = replace(LOGIN, login_required=False)
    with raw_peer(port(service).endpoints[service]) as peer, raw_peer(port().endpoints[OPEN]) as other:
        for each, reply in ((peer, b"250 "), (other, b"5")):
            hello(each)
            assert each.ask(b"MAIL FROM:<hanako@lab.example>" + parameters).startswith(reply)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_smtplib_logs_in_with(port, mechanism):
    service = replace(LOGIN, mechanisms=(mechanism,))
    servers = port(service)
    with smtplib.SMTP(*servers.endpoints[service]) as client:
        assert client.login("hanako", "ume-no-hana")[0] == 235
        client.sendmail("hanako@lab.example", ["taro@lab.example"], LETTER)
    assert servers.mailboxes["taro"].messages[0].content == LETTER


def test_login_in_clear_is_refused_where_starttls_comes_first(port, certificates):
    service = replace(LOGIN, security=Security.STARTTLS, clear_login=False)
    with smtplib.SMTP(*port(service).endpoints[service]) as client:
        client.ehlo()
        assert client.docmd("AUTH", "PLAIN AAAA")[0] == 538
        client.starttls(context=certificates.client_context())
        client.ehlo()
        assert client.login("hanako", "ume-no-hana")[0] == 235


RECIPIENTS = [
    pytest.param("taro@lab.example", b"250 ", id="a user"),
    pytest.param("TARO@Lab.Example", b"250 ", id="letter case"),
    pytest.param("nobody@lab.example", b"550 5.1.1 ", id="unknown user"),
    pytest.param("taro@elsewhere.example", b"550 5.7.1 ", id="no relay"),
    pytest.param("taro%elsewhere.example@lab.example", b"550 5.1.1 ", id="no relay by percent"),
    pytest.param("@elsewhere.example:taro@lab.example", b"250 ", id="source route, ignored"),
    pytest.param("taro", b"550 ", id="no domain"),
]


@pytest.mark.parametrize(("address", "reply"), RECIPIENTS)
def test_recipients(port, address, reply):
    with raw_peer(port().endpoints[OPEN]) as peer:
        hello(peer)
        peer.ask(b"MAIL FROM:<>")
        assert peer.ask(f"RCPT TO:<{address}>".encode()).startswith(reply)


def test_users_are_not_listed(port):
    with raw_peer(port().endpoints[OPEN]) as peer:
        hello(peer)
        answers = {peer.ask(b"VRFY " + name) for name in (b"taro@lab.example", b"nobody@lab.example")}
        assert len(answers) == 1
        assert peer.ask(b"EXPN staff").startswith(b"502 ")


ODD_LETTERS = [
    pytest.param(b"", id="empty"),
    pytest.param(b"\r\n", id="no header"),
    pytest.param(b".\r\n..\r\n...\r\n", id="dots"),
    pytest.param(bytes(set(range(256)) - set(b"\r\n")) + b"\r\n", id="every byte"),
    pytest.param(b"a\nb\rc\r\n", id="lone CR and LF"),
    pytest.param(b"x" * 998 + b"\r\n", id="longest line"),
    pytest.param(b"x\r\n" * 50_000, id="many lines"),
]


@pytest.mark.parametrize("letter", ODD_LETTERS)
def test_letter_is_kept_to_the_byte(port, letter):
    servers = port()
    with raw_peer(servers.endpoints[OPEN]) as peer:
        hello(peer)
        assert peer.ask("MAIL FROM:<梅@lab.example> SMTPUTF8 BODY=8BITMIME".encode()).startswith(b"250 ")
        peer.ask(b"RCPT TO:<taro@lab.example>")
        peer.ask(b"RCPT TO:<info@lab.example>")
        peer.ask(b"RCPT TO:<hanako@lab.example>")
        peer.ask(b"DATA")
        stuffed = (b"\r\n" + letter).replace(b"\r\n.", b"\r\n..").removeprefix(b"\r\n")
        assert peer.ask(stuffed + b".").startswith(b"250 ")
    for name in ("taro", "hanako"):
        (message,) = servers.mailboxes[name].messages
        assert message.content == letter
        assert message.sender == "梅@lab.example"


def test_line_too_long_is_refused(port):
    servers = port()
    with raw_peer(servers.endpoints[OPEN]) as peer:
        hello(peer)
        peer.ask(b"MAIL FROM:<>")
        peer.ask(b"RCPT TO:<taro@lab.example>")
        peer.ask(b"DATA")
        assert peer.ask(b"x" * 5000 + b"\r\n.").startswith(b"500 ")
        assert peer.ask(b"NOOP").startswith(b"250 ")
    assert servers.mailboxes["taro"].messages == ()


def test_full_mailbox_is_told_and_nobody_gets_the_letter(port):
    servers = port(limits=Limits(mailbox_messages=1))
    servers.mailboxes["taro"].add(b"first\r\n")
    with smtplib.SMTP(*servers.endpoints[OPEN]) as client, pytest.raises(smtplib.SMTPDataError) as caught:
        client.sendmail("hanako@lab.example", ["hanako@lab.example", "taro@lab.example"], LETTER)
    assert caught.value.smtp_code == 452
    assert servers.mailboxes["hanako"].messages == ()


def test_one_client_does_not_stretch_the_limits_of_another(port):
    servers = port()
    with raw_peer(servers.endpoints[OPEN]) as greedy, raw_peer(servers.endpoints[OPEN]) as other:
        hello(greedy)
        for _ in range(10):
            greedy.send(HELLO)
            greedy.read_until(b"250 HELP\r\n")
        hello(other)
        long = b"MAIL FROM:<" + b"x" * 600 + b"@lab.example>"
        assert greedy.ask(long).startswith(b"500 ")
        assert other.ask(long).startswith(b"500 ")


def test_one_client_does_not_shrink_the_limits_of_another(port):
    servers = port()
    with raw_peer(servers.endpoints[OPEN]) as peer:
        hello(peer)
        with raw_peer(servers.endpoints[OPEN]) as newcomer:
            newcomer.line()
            longest = b"MAIL FROM:<" + b"x" * 480 + b"@lab.example> SIZE=1000 SMTPUTF8"
            assert 512 < len(longest) < 548
            assert peer.ask(longest).startswith(b"250 ")


@pytest.mark.parametrize(
    "commands",
    [
        pytest.param([b"MAIL FROM:<a@[1>", b"MAIL FROM:<((((>", b"MAIL FROM:\xff"], id="addresses"),
        pytest.param([b"RCPT TO:<taro@lab.example>", b"DATA"], id="out of order"),
        pytest.param(
            [b"MAIL FROM:<> SIZE=x", b"MAIL FROM:<> BODY=9BIT", b"MAIL FROM:<> X=Y"], id="parameters"
        ),
        pytest.param([b"HELP \xff", b"VRFY \xff\xfe@\x00", b"STARTTLS", b"\xff\xff"], id="junk"),
        pytest.param([b"AUTH PLAIN AA AA", b"AUTH =", b"AUTH \xff"], id="logins"),
    ],
)
def test_odd_commands_are_answered_and_survived(port, commands):
    with raw_peer(port().endpoints[OPEN]) as peer:
        hello(peer)
        for command in commands:
            assert peer.ask(command)[:1] in b"245"
        assert peer.ask(b"NOOP").startswith(b"250 ")


def test_who_has_said_his_last_is_answered_and_his_mail_delivered(port):
    servers = port()
    said = (
        HELLO.strip(),
        b"MAIL FROM:<hanako@lab.example>",
        b"RCPT TO:<taro@lab.example>",
        b"DATA",
        b"Subject: hi\r\n\r\nhi\r\n.",
    )
    with raw_peer(servers.endpoints[OPEN]) as peer:
        peer.send(b"\r\n".join([*said, b"NOOP", b"half a comma"]))
        peer.sock.shutdown(socket.SHUT_WR)
        replies = [line[:3] for line in peer.read_to_end().splitlines() if line[3:4] == b" "]
    assert replies == [b"220", b"250", b"250", b"250", b"354", b"250", b"250"]
    (message,) = servers.mailboxes["taro"].messages
    assert message.content == b"Subject: hi\r\n\r\nhi\r\n"


@pytest.mark.parametrize("address", [b"<", b"<a@[1>", b'<"'], ids=["<", "literal", "quote"])
def test_a_malformed_address_is_refused_for_good(port, address):
    with raw_peer(port().endpoints[OPEN]) as peer:
        hello(peer)
        # From Python 3.14 on, the standard library finds an address in some of these.
        assert peer.ask(b"MAIL FROM:" + address).startswith((b"553 ", b"501 ", b"250 "))
        assert peer.ask(b"VRFY " + address).startswith((b"502 ", b"252 "))
        assert peer.ask(b"RSET").startswith(b"250 ")
        assert peer.ask(b"MAIL FROM:<hanako@lab.example>").startswith(b"250 ")
        assert peer.ask(b"RCPT TO:" + address).startswith((b"553 ", b"501 ", b"550 "))


@pytest.mark.parametrize(
    ("sender", "parameter", "recipient", "replies"),
    [
        pytest.param("ü".encode(), b"", b"taro", (b"553 5.6.7", b"503"), id="sender, not announced"),
        pytest.param("ü".encode(), b" SMTPUTF8", b"taro", (b"250", b"250"), id="sender, announced"),
        pytest.param(b"\xfc", b" SMTPUTF8", b"taro", (b"553 5.6.7", b"503"), id="sender, no UTF-8"),
        pytest.param(b"u", b"", "ü".encode(), (b"250", b"553 5.6.7"), id="recipient, not announced"),
        pytest.param(b"u", b" smtputf8", "ü".encode(), (b"250", b"550 5.1.1"), id="recipient, announced"),
        pytest.param(b"u", b" SMTPUTF8", b"\xfc", (b"250", b"553 5.6.7"), id="recipient, no UTF-8"),
    ],
)
def test_an_address_of_another_alphabet_has_to_be_announced(port, sender, parameter, recipient, replies):
    with raw_peer(port().endpoints[OPEN]) as peer:
        hello(peer)
        said = (b"MAIL FROM:<%b@x.example>" % sender + parameter, b"RCPT TO:<%b@lab.example>" % recipient)
        for command, reply in zip(said, replies, strict=True):
            assert peer.ask(command).startswith(reply)
