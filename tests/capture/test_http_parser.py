"""HTTP where it is no webmail, damaged, late or cut; whole conversations are in `dialogues`."""

from __future__ import annotations

import ssl

import hearing
import pytest
import wire

from mailtap.capture.events import LoginSeen, MessageSeen, ServerNameSeen
from mailtap.capture.model import Chunk, Direction, Endpoint
from mailtap.capture.pipeline import Listener
from mailtap.capture.protocols import Dialogue

C, S = Direction.CLIENT, Direction.SERVER
FORM = b"application/x-www-form-urlencoded"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
COOKIE = b"Cookie: roundcube_sessid=1\r\n"


def post(content: bytes, *, target: bytes = b"/login", kind: bytes = FORM, more: bytes = b"") -> bytes:
    head = b"POST %s HTTP/1.1\r\nContent-Type: %s\r\nContent-Length: %d\r\n" % (target, kind, len(content))
    return head + more + b"\r\n" + content


def get(target: bytes = b"/", more: bytes = b"") -> bytes:
    return b"GET %s HTTP/1.1\r\n%s\r\n" % (target, more)


def page(content: bytes, kind: bytes = b"text/html", more: bytes = b"") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n" % (kind, len(content))
    return head + more + b"\r\n" + content


def logins(*turns: tuple[Direction, bytes | int]) -> list[tuple[bytes, bytes, bool | None]]:
    return [
        (each.username.data, each.password.data, each.accepted)
        for each in hearing.listen(turns, 80)
        if isinstance(each, LoginSeen) and each.username and each.password
    ]


USUAL = b"username=mrose&password=tanstaaf"
TOLD = page(b"<title>Our webmail</title><input name=p type=password>")
MESSAGE = b'<td class="header subject">s</td><div class="message-part">b</div>'
SOURCE = b"From: a@example.org\r\nSubject: s\r\n\r\nb\r\n"


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        pytest.param(post(USUAL), EMPTY, id="any-site"),
        pytest.param(post(USUAL, more=b"Host: www.example.org\r\nCookie: SESSIONID=1\r\n"), EMPTY, id="session"),
        pytest.param(post(USUAL, target=b"/blog/why-webmail-is-dead"), EMPTY, id="word-in-a-path"),
        pytest.param(post(USUAL, target=b"/login?next=/webmail/"), EMPTY, id="path-in-a-query"),
        pytest.param(post(USUAL, more=b"Host: mail-order.example.org\r\n"), EMPTY, id="mail-order"),
        pytest.param(post(b"log=mrose&pwd=tan"), EMPTY, id="wordpress"),
        pytest.param(post(b"_user=mrose&password=tan"), EMPTY, id="half-a-roundcube"),
        pytest.param(post(b'{"_user":"m","_pass":"t"}', kind=b"application/json"), EMPTY, id="json"),
        pytest.param(post(b'{"username":"m","password":"t"}', target=b"/webmail/api", kind=b"application/json"), EMPTY, id="webmail-api"),
        pytest.param(post(b"grant_type=password&username=m&password=t", target=b"/oauth/token"), EMPTY, id="oauth"),
        pytest.param(post(b"comment=nice&name=mrose", target=b"/webmail/"), EMPTY, id="no-password"),
        pytest.param(post(b"username=&password=", target=b"/webmail/"), EMPTY, id="empty-fields"),
        pytest.param(post(USUAL, target=b"/webmail/", kind=b"text/plain"), EMPTY, id="not-a-form"),
        pytest.param(post(USUAL, target=b"/webmail/", kind=b"multipart/form-data"), EMPTY, id="no-boundary"),
        pytest.param(get(b"/webmail/?username=m&password=t"), EMPTY, id="in-a-query"),
        pytest.param(get(b"/mail.eml"), page(SOURCE, b"message/rfc822"), id="mail-on-any-site"),
        pytest.param(get(), page(MESSAGE), id="markup-on-any-site"),
        pytest.param(get(b"/webmail/"), page(b"<div class=message-part>b</div>"), id="other-markup"),
        pytest.param(get(b"/webmail/"), page(b"Hello: world\r\n", b"text/plain"), id="no-header"),
        pytest.param(get(b"/webmail/"), page(MESSAGE, more=b"Content-Encoding: br\r\n"), id="compressed"),
        pytest.param(b"HEAD /webmail/ HTTP/1.1\r\n\r\n", page(MESSAGE), id="head"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"", id="http-2"),
        pytest.param(post(b"_user=m&_pass=t"), b"+OK POP3\r\n", id="server-is-no-http"),
    ],
)  # fmt: skip
def test_other_http_yields_nothing(request_: bytes, answer: bytes) -> None:
    assert hearing.listen([(C, request_), (S, answer)], 80) == []


@pytest.mark.parametrize(
    ("turns", "verdict"),
    [
        pytest.param([(C, post(USUAL, target=b"/webmail/login")), (S, EMPTY)], None, id="path"),
        pytest.param([(C, post(USUAL, more=b"host: WEBMAIL.example.org\r\n")), (S, EMPTY)], None, id="host"),
        pytest.param([(C, post(USUAL, more=COOKIE)), (S, EMPTY)], None, id="cookie"),
        pytest.param([(C, get()), (S, TOLD), (C, post(USUAL)), (S, TOLD)], False, id="title"),
        pytest.param([(C, get() + post(USUAL)), (S, TOLD + EMPTY)], None, id="pipelined"),
        pytest.param([(C, post(b"email=mrose&passwd=tanstaaf", more=COOKIE)), (S, b"HTTP/1.1 403 No\r\n\r\n")], False, id="forbidden"),
        pytest.param([(C, post(USUAL, more=COOKIE)), (S, b"HTTP/1.1 303 x\r\nLocation: /\r\nSet-Cookie: a\r\n\r\n")], True, id="new-session"),
        pytest.param([(C, post(USUAL, more=COOKIE)), (S, b"HTTP/1.1 303 x\r\nLocation: /login\r\nSet-Cookie: a\r\n\r\n")], None, id="back-to-login"),
        pytest.param([(C, post(USUAL, more=COOKIE)), (S, b"HTTP/1.1 302 x\r\nLocation: /\r\n\r\n")], None, id="no-session"),
    ],
)  # fmt: skip
def test_webmail_is_known_by_a_sign(turns: list[tuple[Direction, bytes]], verdict: bool | None) -> None:
    username = b"mrose"
    assert logins(*turns) == [(username, b"tanstaaf", verdict)]
    alone = [turn for turn in turns if turn[0] is C][-1:]
    if len(turns) == 2 and b"GET" not in turns[0][1]:
        assert logins(*alone) == [(username, b"tanstaaf", None)], "the server's half is missing"


ENTER = b"HTTP/1.1 302 x\r\nLocation: /mail\r\nSet-Cookie: a\r\nContent-Length: 0\r\n\r\n"
LOGIN = (C, post(b"_user=mrose&_pass=tanstaaf"))


@pytest.mark.parametrize(
    ("turns", "verdict"),
    [
        pytest.param([(C, 40), (S, ENTER), LOGIN, (S, TOLD)], False, id="an-answer-before-it"),
        pytest.param([(C, 40), (S, b"of a page"), LOGIN, (S, ENTER)], True, id="the-end-of-a-page-before-it"),
        pytest.param([(C, 40), LOGIN, (C, get()), (S, ENTER), (S, TOLD)], None, id="it-did-not-wait"),
        pytest.param([(C, 40), LOGIN, (S, ENTER), (S, TOLD), (C, get())], None, id="two-answers"),
        pytest.param([(C, get()), (S, page(b"x" * 9)[:-4]), (S, 99), LOGIN, (S, ENTER)], "unheard", id="a-hole-beyond-a-page"),
        pytest.param([(C, get()), LOGIN], None, id="the-server-is-missing"),
    ],
)  # fmt: skip
def test_a_verdict_is_that_of_its_own_answer(
    turns: list[tuple[Direction, bytes | int]], verdict: bool | str | None
) -> None:
    assert logins(*turns) == ([] if verdict == "unheard" else [(b"mrose", b"tanstaaf", verdict)])


def messages(*turns: tuple[Direction, bytes | int]) -> list[tuple[bytes, bool]]:
    return [
        (each.content.data, each.whole)
        for each in hearing.listen(turns, 80)
        if isinstance(each, MessageSeen) and each.content is not None
    ]


SHOWN = b"Subject: s\r\nContent-Type: text/html; charset=utf-8\r\n\r\nb"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param([page(MESSAGE)], [(SHOWN, True)], id="page"),
        pytest.param([page(SOURCE, b"message/rfc822")], [(SOURCE, True)], id="source"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + MESSAGE], [(SHOWN, True)], id="until-the-end"),
        pytest.param([page(MESSAGE)[:-6]], [(SHOWN, False)], id="cut"),
        pytest.param([b"HTTP/1.1 102 Wait\r\n\r\n" + page(MESSAGE)], [(SHOWN, True)], id="interim"),
        pytest.param([page(SOURCE + b"x" * 20, b"text/plain")[:-20], 20], [(SOURCE, False)], id="hole"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"], [], id="no-chunk"),
        pytest.param([page(MESSAGE.replace(b"b<", b"<div>b</div><"), b"text/html; charset=nonsense")], [(SHOWN.replace(b"utf-8", b"nonsense")[:-1] + b"<div>b</div>", True)], id="unknown-charset"),
    ],
)  # fmt: skip
def test_messages(answer: list[bytes | int], expected: list[tuple[bytes, bool]]) -> None:
    assert messages((C, get(b"/", COOKIE)), *((S, each) for each in answer)) == expected


def test_a_header_cannot_be_smuggled_in_by_a_cell() -> None:
    smuggled = MESSAGE.replace(b">s<", b">s&#13;&#10;To: x@example.org<")
    ((content, _),) = messages((C, get(b"/", COOKIE)), (S, page(smuggled)))
    assert content.startswith(b"Subject: s To: x@example.org\r\nContent-Type")


def test_a_connection_that_shows_no_webmail_is_let_go() -> None:
    listener = Dialogue(80)
    for number in range(16):
        at = len(get()) * number
        assert not listener.feed(C, Chunk(at, get(), 1 + 2 * number, 1))
        assert not listener.finished
        assert not listener.feed(S, Chunk(len(EMPTY) * number, EMPTY, 2 + 2 * number, 1))
    assert listener.finished
    assert listener.protocol is None


def test_other_http_counts_as_no_mail() -> None:
    server = Endpoint("192.0.2.1", 80)
    listener = Listener()
    heard = [
        item
        for packet in wire.conversation([("C", get()), ("S", EMPTY)], server=server)
        for item in listener.feed(packet)
    ]
    assert [str(each) for each in heard + listener.close()] == [
        "One TCP connection carried no mail protocol."
    ]
    assert not listener.flows


def test_an_endless_upload_to_a_silent_server_is_let_go_without_a_word() -> None:
    listener = Dialogue(80)
    head = post(b"x" * 9_000_000)[:200]
    assert not listener.feed(C, Chunk(0, head, 1, 1))
    at = len(head)
    for number in range(2, 2 + 5 * 1024 // 8):
        assert not listener.feed(C, Chunk(at, b"GET / HTTP/1.1\r\n\r\n" * 455, number, 1))
        at += 8190
        assert listener._talk.client.pending < 5_000_000
    assert listener.protocol is None


@pytest.mark.parametrize("port", [443, 993])
@pytest.mark.parametrize(
    "host", ["mail.example.org", "WebMail.example.org", "www.example.org", "mailing.example.org"]
)
def test_tls_on_a_port_of_the_web_counts_where_the_host_is_a_mail_server(host: str, port: int) -> None:
    out = ssl.MemoryBIO()
    hello = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=host)
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    data = out.read()
    names = [
        each.name.data.decode()
        for each in hearing.listen([(C, data)], port)
        if isinstance(each, ServerNameSeen)
    ]
    expected = port == 993 or host.lower().startswith(("mail.", "webmail."))
    assert [name.lower() for name in names] == ([host.lower()] if expected else [])
    single = [(C, bytes([byte])) for byte in data]
    assert hearing.listen(single, port) == hearing.listen([(C, data)], port)
