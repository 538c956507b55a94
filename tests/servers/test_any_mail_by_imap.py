"""Mail as the world sends it, and as nobody should: each is fetched by IMAP, and the session goes on."""

from __future__ import annotations

import imaplib
import select
import time
from typing import TYPE_CHECKING

import pytest
from rawpeer import raw_peer
from toylab import SERVICES, TARO

from mailtap.servers import Limits, reading
from mailtap.servers.imap.entry import Entry
from mailtap.servers.imap.fetch import items
from mailtap.servers.imap.search import Search
from mailtap.servers.imap.selected import Selected
from mailtap.servers.imap.words import Atom, Text
from mailtap.servers.mailbox import Mailbox, Message

if TYPE_CHECKING:
    from mailtap.servers import ToyServers
    from mailtap.servers.parts import Part


def fetch(lab: ToyServers, mail: bytes, item: str) -> bytes:
    """Put a mail into Taro's mailbox and return what he is told when he asks for one item of it."""
    lab.mailboxes[TARO.username].add(mail)
    with imaplib.IMAP4(*lab.endpoints[SERVICES["imap", "plain"]], timeout=10) as client:
        client.login(TARO.username, TARO.password)
        client.select()
        status, told = client.fetch("1", item)
        assert status == "OK"
    # imaplib gives what ends in a literal as (text, literal), and texts as they are.
    return b" ".join(part for each in told if each for part in (each if isinstance(each, tuple) else (each,)))


ODD = [
    pytest.param(b"Date: \xff\r\n\r\n", "INTERNALDATE", b'" 1-Jan-1970', id="8-bit bytes for a date"),
    pytest.param(
        "Subject: 給与\r\n\r\n".encode(),
        "ENVELOPE",
        "給与".encode(),
        id="a subject in bare UTF-8, byte for byte",
    ),
    pytest.param(
        b"From: J\xf6rg <j@x.example>\r\n\r\n", "ENVELOPE", b"J\xf6rg", id="a name in Latin-1, byte for byte"
    ),
    pytest.param(
        b'Content-Type: multipart/mixed; boundary="\xff"\r\n\r\n--\xff\r\n\r\nhi\r\n--\xff--\r\n',
        "BODY[1]",
        b"hi",
        id="8-bit bytes for a boundary",
    ),
    pytest.param(
        b"Content-Type: multipart/mixed; boundary*=utf-8''%E6%A2%85\r\n\r\nhi\r\n",
        "BODY[TEXT]",
        b"hi",
        id="a boundary of another alphabet",
    ),
    pytest.param(
        b"Content-Type: multipart/mixed; boundary*=idna''x\r\n\r\nhi\r\n",
        "BODY[TEXT]",
        b"hi",
        id="a boundary in no charset",
    ),
    pytest.param(
        b"Content-Disposition: attachment; filename*=UTF-8'ja'%E6%A2%85.pdf\r\n\r\nhi\r\n",
        "BODYSTRUCTURE",
        b'("FILENAME*" "UTF-8\'ja\'%E6%A2%85.pdf")',
        id="a file's name of another alphabet",
    ),
    pytest.param(
        b"Content-Type: application/pdf; name*0*=UTF-8''%E6%A2; name*1*=%85.pdf\r\n\r\nhi\r\n",
        "BODY",
        b'("NAME*" "UTF-8\'\'%E6%A2%85.pdf")',
        id="a file's name in pieces",
    ),
    pytest.param(
        b"Content-Type: text/plain; charset=utf-8; name*"
        + b"9" * 5_000
        + b"*=x; format=flowed\r\n\r\nhi\r\n",
        "BODYSTRUCTURE",
        b'"FORMAT" "flowed")',
        id="a piece with a number of many digits",
    ),
    pytest.param(
        b"Content-Type: multipart/mixed\r\n\r\nhi\r\n",
        "BODY",
        b'("APPLICATION" "OCTET-STREAM" NIL NIL NIL "7BIT" 4)',
        id="a multipart without parts",
    ),
    pytest.param(
        b"Content-Type: message/rfc822\r\n\r\n" * 30,
        "BODY",
        b'("APPLICATION" "OCTET-STREAM" NIL NIL NIL "7BIT" ',
        id="mails in mails",
    ),
    pytest.param(
        b"From: Cron <root>\r\n\r\n", "ENVELOPE", b'(("Cron" NIL "root" ""))', id="an address without a host"
    ),
    pytest.param(
        b'To: Friends: a@x.example, "C, D" <c@x.example>;, e@x.example\r\n\r\n',
        "ENVELOPE",
        b'((NIL NIL "Friends" NIL)(NIL NIL "a" "x.example")("C, D" NIL "c" "x.example")(NIL NIL NIL NIL)'
        b'(NIL NIL "e" "x.example"))',
        id="a group",
    ),
    pytest.param(
        b"To: undisclosed-recipients:;\r\n\r\n",
        "ENVELOPE",
        b'((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))',
        id="a group of nobody",
    ),
    pytest.param(
        b"To: Friends: a@x.example, Family: b@x.example\r\n\r\n",
        "ENVELOPE",
        b'((NIL NIL "Friends" NIL)(NIL NIL "a" "x.example")(NIL NIL NIL NIL)'
        b'(NIL NIL "Family" NIL)(NIL NIL "b" "x.example")(NIL NIL NIL NIL))',
        id="groups without their ends",
    ),
    pytest.param(
        b'From: "john smith"@x.example (John), <@r.example,@s.example:u@x.example>\r\n\r\n',
        "ENVELOPE",
        b'(("John" NIL "john smith" "x.example")(NIL "@r.example,@s.example" "u" "x.example"))',
        id="a quoted local part, a comment, and a route",
    ),
    pytest.param(
        b"From: me@x.example <me@x.example>, (a (b\\)) (c) d@[192.0.2.1]\r\n\r\n",
        "ENVELOPE",
        b'(("me@x.example" NIL "me" "x.example"))',
        id="a comment that does not end",
    ),
    pytest.param(
        b"From: a@x.example\r\nSender:\r\n\r\n",
        "ENVELOPE",
        b'(NIL NIL ((NIL NIL "a" "x.example")) ((NIL NIL "a" "x.example")) ((NIL NIL "a" "x.example"))',
        id="an empty sender",
    ),
    pytest.param(
        b"Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n\r\nSubject: in\r\n\r\nhi\r\n--x--\r\n",
        "(BODY BODY[1.HEADER])",
        b'(BODY (("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 17 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) '
        b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 2 0) 2) "DIGEST") BODY[1.HEADER] {15}',
        id="a digest, of messages",
    ),
    pytest.param(b"From: " + b"(" * 3000 + b"\r\n\r\n", "ENVELOPE", b"NIL", id="comments in comments"),
    pytest.param(
        b"a" * 400_000 + b"\nFrom: x\r\nTo: y\r\n\r\n",
        "BODY[HEADER.FIELDS (To)]",
        b"To: y\r\n\r\n",
        id="a long line that ends in a bare line feed",
    ),
]


@pytest.mark.parametrize(("mail", "item", "told"), ODD)
def test_any_mail_is_fetched(lab: ToyServers, mail: bytes, item: str, told: bytes) -> None:
    assert told in fetch(lab, mail, item)


@pytest.mark.parametrize(
    "path",
    [pytest.param("9" * 5_000, id="a number of many digits"), pytest.param("." * 16_000 + "!", id="dots")],
)
def test_a_section_that_no_mail_has_is_refused_at_once(lab: ToyServers, path: str) -> None:
    with pytest.raises(imaplib.IMAP4.error, match="No such item"):
        fetch(lab, b"Subject: x\r\n\r\n", f"BODY[{path}]")


LETTERS = [
    pytest.param("Subject: =?utf-8?b?57Wm5LiO?=\r\n\r\nx", {"SUBJECT", "TEXT"}, id="an encoded word"),
    pytest.param("Subject: 給与\r\n\r\nx", {"SUBJECT", "TEXT"}, id="bare UTF-8 in the header"),
    pytest.param("Content-Transfer-Encoding: base64\r\n\r\n57Wm5LiO\r\n", {"BODY", "TEXT"}, id="base64"),
    pytest.param(
        "Content-Transfer-Encoding: base64\r\n\r\n57Wm5LiOYQ==\r\n--\r\nA list's footer\r\n",
        {"BODY", "TEXT"},
        id="base64, and a footer",
    ),
    pytest.param(
        "Content-Type: text/plain; charset=iso-2022-jp\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        "=1B$B5kM?=1B(B\r\n",
        {"BODY", "TEXT"},
        id="ISO-2022-JP in quoted-printable",
    ),
    pytest.param(
        "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        "57Wm5LiO\r\n--x--\r\n",
        {"BODY", "TEXT"},
        id="a part",
    ),
    pytest.param(
        "Subject: =?utf-8?b?57Wm?=\r\n =?utf-8?b?5LiO?=\r\n\r\nx",
        {"SUBJECT", "TEXT"},
        id="two encoded words",
    ),
    pytest.param(
        "Subject: a =?utf-8?q?=E7=B5=A6=E4?= =?UTF-8*ja?q?=B8=8E?=\r\n\r\nx",
        {"SUBJECT", "TEXT"},
        id="cut in two",
    ),
    pytest.param(
        "Subject: =?none?b?!?=\r\nContent-Type: text/x; charset=idna\r\n\r\nx", set(), id="no charset"
    ),
    pytest.param("Content-Transfer-Encoding: base64\r\n\r\n5!\r\n", set(), id="no base64"),
]


@pytest.mark.parametrize(("letter", "found"), LETTERS)
def test_search_undoes_encodings(lab: ToyServers, letter: str, found: set[str]) -> None:
    lab.mailboxes[TARO.username].add(letter.encode())
    with imaplib.IMAP4(*lab.endpoints[SERVICES["imap", "plain"]], timeout=10) as client:
        client.login(TARO.username, TARO.password)
        client.select()
        for key in ("SUBJECT", "BODY", "TEXT"):
            client.literal = "給与".encode()
            assert client.search("UTF-8", key) == ("OK", [b"1" if key in found else b""])


def test_search_decodes_a_mail_once_for_all_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    undo = reading.text

    def count(part: Part) -> str:
        decoded.append(part)
        return undo(part)

    monkeypatch.setattr(reading, "text", count)
    mailbox = Mailbox(Limits())
    for word in (b"57Wm5LiO", b"YQ=="):
        mailbox.add(b"Content-Transfer-Encoding: base64\r\n\r\n" + word + b"\r\n")
    selected = Selected(mailbox, read_only=True)
    keys = (Atom(b"TEXT"), Text("給与".encode()), Atom(b"NOT"), Atom(b"BODY"), Text(b"nowhere"))
    assert list(selected.search(keys * 3, by_uid=False)) == [None, None, b"* SEARCH 1\r\n"]
    assert len(decoded) == 2  # one text in each mail


def test_a_long_search_lets_others_have_their_turn(lab: ToyServers) -> None:
    for _ in range(30):
        lab.mailboxes[TARO.username].add(b"\r\n" + b"all work and no play\r\n" * 50_000)
    with (
        raw_peer(lab.endpoints[SERVICES["imap", "plain"]]) as searching,
        raw_peer(lab.endpoints[SERVICES["imap", "plain"]]) as other,
    ):
        searching.line()
        assert searching.ask(b"a LOGIN taro tanstaaf").startswith(b"a OK")
        searching.send(b"b SELECT INBOX\r\n")
        searching.read_until(b"b OK [READ-WRITE] Open\r\n")
        searching.send(b"c SEARCH" + b" NOT TEXT nowhere" * 49 + b"\r\n")
        other.line()
        for _ in range(5):
            assert other.ask(b"a NOOP").startswith(b"a OK")
        assert select.select([searching.sock], [], [], 0)[0] == []  # not answered yet
        assert searching.line().startswith(b"* SEARCH 1 2 3 ")
        assert searching.line() == b"c OK Done\r\n"


MULTIPART = b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n"
PART = b"Content-Type: text/plain; " + b"a=b;" * 90 + b"\r\n\r\n"

# Each of these took seconds or minutes, for which every session stood still.
COSTLY = [
    pytest.param(b'Content-Type: text/plain; a="' + b";" * 80_000, id="a Content-Type of semicolons"),
    pytest.param(b'Content-Disposition: inline; a="' + b";" * 80_000, id="a Content-Disposition"),
    pytest.param(b"Subject: " + b"=?utf-8?q?a" * 7_000, id="encoded words without an end"),
    pytest.param(
        b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a" * 200_000 + b"-" + b"b" * 200_000,
        id="a text in punycode",
    ),
    pytest.param(b"a: b\r\n" * 1_000_000, id="a million fields"),
    pytest.param(
        b"".join(MULTIPART % (level, level) for level in range(20)) + b"x\r\n" * 3_000_000,
        id="parts in parts",
    ),
    pytest.param(
        MULTIPART % (0, 0)
        + b"\r\n--0\r\n".join([MULTIPART % (1, 1) + b"\r\n--1\r\n".join([PART] * 150)] * 100),
        id="parts of parts",
    ),
]


@pytest.mark.parametrize("mail", COSTLY)
def test_no_mail_holds_a_session_up(mail: bytes) -> None:
    entry = Entry(1, Message(uid="1", number=1, content=mail + b"\r\n\r\nhi\r\n"), frozenset())
    found = Search(lambda _: bool, lambda _: bool).test((Atom(b"TEXT"), Atom(b"nowhere")))
    began = time.process_time()
    for item in items((Atom(b"FULL"),)):
        assert item.show(entry)
    assert not found(entry)
    assert time.process_time() - began < 2.5


def test_an_envelope_of_very_many_addresses_takes_no_time(lab: ToyServers) -> None:
    began = time.process_time()
    told = fetch(
        lab, b"To: " + b"a@x.example,(" * 400_000 + b"\r\nCc: " + b"," * 4_000_000 + b"\r\n\r\n", "ENVELOPE"
    )
    assert b'((NIL NIL "a" "x.example"))' in told
    assert time.process_time() - began < 5
