"""The toy webmail, as browsers and as hostile peers meet it."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from toylab import LETTER, TARO, WEBMAIL

from mailtap.demo.client import FETCHING, ClientFailed, Settings
from mailtap.servers import LAB_HOST, Security, ServerProtocol, Service

if TYPE_CHECKING:
    from mailtap.servers import LabCertificates, ToyServers

FORM = "POST /webmail/login HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}"
RIGHT = "username=taro&password=tanstaaf"


def settings(lab: ToyServers, certificates: LabCertificates, security: Security, password: str) -> Settings:
    service = WEBMAIL[str(security)]
    return Settings(
        service=replace(service, port=lab.endpoints[service][1]),
        address=lab.endpoints[service],
        machine="pc",
        username=TARO.username,
        password=password,
        trust=certificates.client_context(),
    )


def ask(lab: ToyServers, *requests: str | bytes) -> str:
    """Return all that the webmail answers on one connection."""
    with socket.create_connection(lab.endpoints[WEBMAIL["plain"]], 10) as peer:
        peer.sendall(b"".join(each.encode() if isinstance(each, str) else each for each in requests))
        peer.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: peer.recv(65_536), b"")).decode()


def get(place: str, cookie: str = "") -> str:
    return f"GET /webmail/{place} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"


def log_in(lab: ToyServers) -> str:
    """Return the cookie of somebody who has logged in."""
    answer = ask(lab, FORM.format(len(RIGHT), RIGHT))
    assert answer.startswith("HTTP/1.1 303 ")
    assert "Location: /webmail/inbox\r\n" in answer
    cookie = answer.partition("Set-Cookie: ")[2].partition("\r\n")[0]
    assert "HttpOnly" in cookie
    return cookie.partition(";")[0]


@pytest.mark.parametrize("security", [Security.PLAIN, Security.TLS])
def test_a_browser_reads_the_mail_byte_for_byte(
    lab: ToyServers, certificates: LabCertificates, security: Security
) -> None:
    lab.mailboxes["taro"].add(LETTER)
    assert FETCHING[ServerProtocol.HTTP](settings(lab, certificates, security, "tanstaaf")) == LETTER


def test_a_browser_is_told_of_a_wrong_password(lab: ToyServers, certificates: LabCertificates) -> None:
    with pytest.raises(ClientFailed, match="401"):
        FETCHING[ServerProtocol.HTTP](settings(lab, certificates, Security.PLAIN, "wrong"))


def test_a_browser_checks_the_certificate(lab: ToyServers, certificates: LabCertificates) -> None:
    given = settings(lab, certificates, Security.TLS, "tanstaaf")
    with pytest.raises(ClientFailed, match="CERTIFICATE_VERIFY_FAILED"):
        FETCHING[ServerProtocol.HTTP](replace(given, trust=ssl.create_default_context()))
    assert given.service.host == LAB_HOST


@pytest.mark.parametrize(
    "cookie", ["", "webmail_session=", "webmail_session=1.2", "a=\x7f; ;;=", "webmail_session"]
)
@pytest.mark.parametrize("place", ["", "inbox", "message?uid=1", "source?uid=1", "logout"])
def test_without_a_session_there_is_only_the_login_form(lab: ToyServers, place: str, cookie: str) -> None:
    lab.mailboxes["taro"].add(LETTER)
    answer = ask(lab, get(place, cookie))
    assert answer.startswith("HTTP/1.1 200 ")
    assert 'type="password"' in answer
    assert "lab.example" not in answer


def test_the_form_of_a_proxy_s_request_is_taken(lab: ToyServers) -> None:
    message = lab.mailboxes["taro"].add(LETTER)
    cookie = log_in(lab)
    asked = get(f"source?uid={message.uid}", cookie).replace("GET /", "GET HTTP://mail.lab.example:8080/")
    assert ask(lab, asked).endswith(LETTER.decode())


def test_a_cookie_of_backslashes_holds_nobody_up(lab: ToyServers) -> None:
    cookie = log_in(lab)
    bad = 'a="' + "\\" * 15_000 + '"'
    began = time.process_time()
    for _ in range(5):
        assert "<title>Inbox" in ask(lab, get("inbox", f"{bad}; {cookie}"))
    assert time.process_time() - began < 1


def test_logging_out_ends_the_session(lab: ToyServers) -> None:
    cookie = log_in(lab)
    assert "<title>Inbox" in ask(lab, get("inbox", cookie))
    ask(lab, get("logout", cookie))
    assert "<title>Log in" in ask(lab, get("inbox", cookie))


def test_what_a_mail_says_is_never_markup(lab: ToyServers) -> None:
    evil = b'From: <"><b>@x>\r\nSubject: <script>a</script>\r\nContent-Type: text/html\r\n\r\n<img src=x>\r\n'
    message = lab.mailboxes["taro"].add(evil)
    cookie = log_in(lab)
    for place in ("inbox", f"message?uid={message.uid}"):
        answer = ask(lab, get(place, cookie))
        assert "&lt;script&gt;" in answer
        assert not {"<script", "<b>", "<img"} & set(answer.replace("<", " <").split())


@pytest.mark.parametrize(
    "mail",
    [
        b"",
        b"\xff\x00",
        b"Content-Type: text/plain; charset=none\r\n\r\nx",
        b"Subject: =?x?b?!!?=\r\nTo: ,,<\r\n\r\n",
        b"Content-Type: text/plain; x*\r\n\r\nx",
    ],
    ids=["empty", "no-mail", "no-charset", "bad-words", "no-parameter"],
)
@pytest.mark.parametrize("place", ["inbox", "message", "source"])
def test_any_mail_is_shown_somehow(lab: ToyServers, mail: bytes, place: str) -> None:
    message = lab.mailboxes["taro"].add(mail)
    cookie = log_in(lab)
    with socket.create_connection(lab.endpoints[WEBMAIL["plain"]], 10) as peer:
        peer.sendall(get(f"{place}?uid={message.uid}", cookie).encode())
        assert peer.makefile("rb").readline().startswith(b"HTTP/1.1 200 ")


SHOWN = [
    pytest.param(
        b"Subject: =?utf-8?b?57Wm?=\r\n =?utf-8?b?5LiO?=\r\nTo: =?iso-8859-1?q?J=F6rg?= <j@x.example>\r\n\r\nx",
        ("給与", "Jörg &lt;j@x.example&gt;"),
        id="encoded words",
    ),
    pytest.param(
        b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\nin HTML\r\n"
        b"--x\r\nContent-Transfer-Encoding: base64\r\n\r\naW4gcGxhaW4=\r\n--x--\r\n",
        ("in plain",),
        id="plain rather than HTML",
    ),
    pytest.param(
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Disposition: attachment\r\n\r\nfile\r\n"
        b"--x\r\nContent-Type: text/html; charset=iso-2022-jp\r\n\r\n\x1b$B5kM?\x1b(B\r\n--x--\r\n",
        ("給与",),
        id="no attachment",
    ),
]


@pytest.mark.parametrize(("mail", "shown"), SHOWN)
def test_a_page_shows_what_a_reader_wants(lab: ToyServers, mail: bytes, shown: tuple[str, ...]) -> None:
    message = lab.mailboxes["taro"].add(mail)
    page = ask(lab, get(f"message?uid={message.uid}", log_in(lab)))
    for text in shown:
        assert text in page


def test_a_type_of_content_without_an_end_holds_nobody_up(lab: ToyServers) -> None:
    message = lab.mailboxes["taro"].add(
        b"Content-Type: text/plain; " + b"a;" * 40_000 + b"\r\n\r\nin time\r\n"
    )
    cookie = log_in(lab)
    began = time.process_time()
    assert message.uid in ask(lab, get("inbox", cookie))
    assert "in time" in ask(lab, get(f"message?uid={message.uid}", cookie))
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param("nonsense\r\n\r\n", "400", id="no-http"),
        pytest.param("GET / HTTP/1.1\r\n\r\n", "400", id="no-host"),
        pytest.param("GET /" + "x" * 40_000, "431", id="endless-line"),
        pytest.param(FORM.format(20_000, "x" * 20_000), "413", id="large-form"),
        pytest.param(FORM.format(len(RIGHT) - 1, RIGHT[:-1]), "401", id="wrong-password"),
        pytest.param(FORM.format(60, "a=1&" * 15), "401", id="no-such-fields"),
        pytest.param(FORM.format(100, "a=1&" * 25), "401", id="too-many-fields"),
        pytest.param(FORM.format(9, "%ff%fe=%0"), "401", id="no-utf-8"),
        pytest.param("DELETE /webmail/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "405", id="delete"),
        pytest.param("GET http://[x/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "200", id="absolute"),
        pytest.param(
            "GET //[x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "200", id="no-such-authority"
        ),
    ],
)
def test_hostile_requests_are_answered_and_harm_nobody(lab: ToyServers, request_: str, status: str) -> None:
    assert ask(lab, request_).startswith(f"HTTP/1.1 {status} ")
    assert log_in(lab)


def test_pipelined_requests_are_answered_in_order(lab: ToyServers) -> None:
    head = "HEAD /webmail/ HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = ask(lab, head, FORM.format(0, ""))
    assert [line[9:12] for line in answer.split("\r\n") if line.startswith("HTTP/1.1")] == ["200", "401"]
    assert answer.count("<html lang=") == 1


def test_there_is_no_starttls_in_http() -> None:
    with pytest.raises(ValueError, match="HTTP has no STARTTLS"):
        Service(protocol=ServerProtocol.HTTP, security=Security.STARTTLS)
