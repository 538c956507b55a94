"""IMAP sessions as dialogues: what the client says, what the server must answer, to the byte."""

from __future__ import annotations

import hmac
import time
from base64 import b64encode
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtap.servers.accounts import Account, Accounts
from mailtap.servers.actions import Close, Send, StartTls
from mailtap.servers.imap.session import ImapSession
from mailtap.servers.limits import Limits
from mailtap.servers.mailbox import Mailboxes
from mailtap.servers.service import Security, ServerProtocol, Service

MROSE = Account(username="mrose", password='tan "staaf\\', addresses=("mrose@lab.example",))
NONCE = "1896.697170952"
CHALLENGE = f"<{NONCE}@mail.lab.example>"
LETTER = b"""From: "R. Hanako" <hanako@lab.example>\r
To: mrose@lab.example, info@lab.example\r
Subject: =?utf-8?b?5qKF?=\r
Date: Wed, 25 Nov 2026 12:00:00 +0900\r
Message-ID: <1@lab.example>\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary="=x"\r
\r
preamble\r
--=x\r
Content-Type: text/plain; charset=utf-8\r
\r
\xe6\xa2\x85\r
.dot\r
--=x\r
Content-Type: message/rfc822\r
\r
Subject: inner\r
\r
inside\r
--=x\r
Content-Type: application/pdf; name=a.pdf\r
Content-Transfer-Encoding: base64\r
Content-Disposition: attachment; filename="a.pdf"\r
\r
AAEC\r
--=x--\r
"""
SHORT = b"Subject: two\r\n\r\nsecond\r\n"

PLAIN = Service(
    protocol=ServerProtocol.IMAP, security=Security.PLAIN, mechanisms=("PLAIN", "LOGIN", "CRAM-MD5")
)
STARTTLS = replace(PLAIN, security=Security.STARTTLS, clear_login=False)
LIMITS = Limits(bad_commands=4, failed_logins=2, junk_octets=1000, imap_octets=300, message_octets=500)
CAPABILITY = "IMAP4rev1 LITERAL+ ID SASL-IR AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5"
GREETING = f"S: * OK [CAPABILITY {CAPABILITY}] mail.lab.example IMAP4rev1 toy server ready"
LOGGED_IN = "OK [CAPABILITY IMAP4rev1 LITERAL+ ID] Logged in"
LOGIN = f'C: a LOGIN mrose "tan \\"staaf\\\\"\nS: a {LOGGED_IN}\n'
SELECT = r"""
C: b SELECT inbox
S: * FLAGS (\Answered \Deleted \Draft \Flagged \Seen)
S: * 2 EXISTS
S: * 0 RECENT
S: * OK [UNSEEN 1] The first that was not seen
S: * OK [PERMANENTFLAGS (\* \Answered \Deleted \Draft \Flagged \Seen)] Flags that are kept
S: * OK [UIDNEXT 3] The next one
S: * OK [UIDVALIDITY 7] As long as this server runs
S: b OK [READ-WRITE] Open
"""


def in_base64(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.fixture
def mailboxes() -> Mailboxes:
    boxes = Mailboxes(Accounts([MROSE]), LIMITS)
    for letter in (LETTER, SHORT):
        boxes["mrose"].add(letter)
    return boxes


def open_session(mailboxes: Mailboxes, service: Service = PLAIN) -> ImapSession:
    return ImapSession(
        service,
        accounts=Accounts([MROSE]),
        mailboxes=mailboxes,
        limits=LIMITS,
        nonce=lambda: NONCE,
        validity=7,
    )


def act(session: ImapSession, data: bytes = b"") -> bytes:
    """Feed bytes and return what the server did: its bytes, and `[TLS]` or `[CLOSE]` where that came."""
    session.feed(data)
    done = []
    while (action := session.next_action()) is not None:
        match action:
            case Send(sent):
                done.append(sent)
            case StartTls():
                done.append(b"[TLS]\r\n")
            case Close():
                done.append(b"[CLOSE]\r\n")
    return b"".join(done)


def check(session: ImapSession, dialogue: str) -> None:
    """Hold a dialogue of `C:` and `S:` lines; several `S:` lines are one answer."""
    lines = [line for line in dialogue.splitlines() if line.strip()]
    said, expected = b"", []
    for line in [*lines, "C: "]:
        who, text = line[:2], line[3:]
        if who == "S:":
            expected.append(text)
            continue
        assert act(session, said).decode().splitlines() == expected, said
        said, expected = text.encode() + b"\r\n", []


def test_a_session_from_greeting_to_logout(mailboxes: Mailboxes) -> None:
    session = open_session(mailboxes)
    assert act(session).decode().splitlines() == [GREETING[3:]]
    check(session, LOGIN + SELECT)
    check(session, "C: z LOGOUT\nS: * BYE Goodbye\nS: z OK Logged out\nS: [CLOSE]")
    assert session.finished


PLAIN_PROOF = in_base64('\0mrose\0tan "staaf\\')
CRAM_PROOF = in_base64("mrose " + hmac.new(MROSE.password.encode(), CHALLENGE.encode(), "md5").hexdigest())


@pytest.mark.parametrize(
    "dialogue",
    [
        pytest.param(LOGIN, id="LOGIN, quoted"),
        pytest.param(
            f'C: a login {{5}}\nS: + Go ahead\nC: mrose {{11+}}\nC: tan "staaf\\\nS: a {LOGGED_IN}',
            id="LOGIN, literals",
        ),
        pytest.param(f"C: a AUTHENTICATE PLAIN\nS: + \nC: {PLAIN_PROOF}\nS: a {LOGGED_IN}", id="PLAIN"),
        pytest.param(f"C: a authenticate plain {PLAIN_PROOF}\nS: a {LOGGED_IN}", id="PLAIN at once"),
        pytest.param(
            f"C: a AUTHENTICATE LOGIN\nS: + {in_base64('Username:')}\nC: {in_base64('mrose')}\n"
            f"S: + {in_base64('Password:')}\nC: {in_base64(MROSE.password)}\nS: a {LOGGED_IN}",
            id="LOGIN of SASL",
        ),
        pytest.param(
            f"C: a AUTHENTICATE CRAM-MD5\nS: + {in_base64(CHALLENGE)}\nC: {CRAM_PROOF}\nS: a {LOGGED_IN}",
            id="CRAM-MD5",
        ),
    ],
)
def test_who_may_come_in(mailboxes: Mailboxes, dialogue: str) -> None:
    session = open_session(mailboxes)
    act(session)
    check(session, dialogue)
    assert session.logged_in


@pytest.mark.parametrize(
    "dialogue",
    [
        pytest.param(
            "C: a LOGIN mrose wrong\nS: a NO [AUTHENTICATIONFAILED] Wrong name or password", id="wrong"
        ),
        pytest.param("C: a LOGIN mrose\nS: a BAD Too many or too few arguments", id="no password"),
        pytest.param("C: a AUTHENTICATE PLAIN\nS: + \nC: *\nS: a BAD Cancelled", id="cancelled"),
        pytest.param("C: a AUTHENTICATE PLAIN\nS: + \nC: ?\nS: a BAD That is not base64", id="no base64"),
        pytest.param("C: a AUTHENTICATE XOAUTH2\nS: a NO [CANNOT] Not offered here", id="not offered"),
        pytest.param("C: a SELECT INBOX\nS: a BAD Not now", id="too early"),
        pytest.param("C: a STARTTLS\nS: a BAD No TLS to start here", id="no TLS here"),
        pytest.param("C: a\nS: a BAD A tag and a command are expected", id="no command"),
        pytest.param("C: a FROBNICATE\nS: a BAD No such command", id="no such command"),
        pytest.param('C: a LOGIN "mrose\nS: a BAD That is no word of IMAP', id="a quote that does not end"),
        pytest.param("C: a LOGIN (mrose\nS: a BAD A parenthesis is missing", id="a list that does not end"),
        pytest.param("C: a LOGIN mrose {999}\nS: a BAD Too much", id="a literal too long, not sent"),
        pytest.param(
            "C: a LOGIN mrose {999+}\nS: a BAD Too much\nS: * BYE What follows cannot be understood\nS: [CLOSE]",
            id="a literal too long, sent",
        ),
        pytest.param(
            "C: a LOGIN x y\nS: a NO [AUTHENTICATIONFAILED] Wrong name or password\nC: b LOGIN x y\n"
            "S: b NO [AUTHENTICATIONFAILED] Wrong name or password\nS: * BYE Too many attempts\nS: [CLOSE]",
            id="too many attempts",
        ),
    ],
)
def test_who_stays_outside(mailboxes: Mailboxes, dialogue: str) -> None:
    session = open_session(mailboxes)
    act(session)
    check(session, dialogue)
    assert not session.logged_in


def test_starttls_comes_before_a_login_and_forgets_what_was_sent_with_it(mailboxes: Mailboxes) -> None:
    session = open_session(mailboxes, STARTTLS)
    assert b"[CAPABILITY IMAP4rev1 LITERAL+ ID STARTTLS LOGINDISABLED]" in act(session)
    check(session, "C: a LOGIN mrose x\nS: a NO [PRIVACYREQUIRED] Not in clear: STARTTLS first")
    assert act(session, b"b STARTTLS\r\nc LOGOUT\r\n") == b"b OK Begin the handshake\r\n[TLS]\r\n"
    session.tls_started()
    assert act(session) == b""
    check(session, f"C: d CAPABILITY\nS: * CAPABILITY {CAPABILITY}\nS: d OK That is all\n{LOGIN}")
    assert not session.finished


@pytest.fixture
def inside(mailboxes: Mailboxes) -> ImapSession:
    session = open_session(mailboxes)
    act(session)
    check(session, LOGIN + SELECT)
    return session


def fetched(session: ImapSession, item: str, number: int = 1) -> bytes:
    """Return the value of one item that has one, a literal's if it is one."""
    answer = act(session, f"f FETCH {number} {item}\r\n".encode())
    head, _, rest = answer.partition(b" {")
    if not rest:
        return head
    size, _, value = rest.partition(b"}\r\n")
    return value[: int(size)]


@pytest.mark.parametrize(
    ("item", "value"),
    [
        pytest.param("RFC822", LETTER, id="RFC822"),
        pytest.param("BODY[]", LETTER, id="BODY[]"),
        pytest.param("BODY.PEEK[]<6.10>", LETTER[6:16], id="a piece"),
        pytest.param("BODY[]<9999.10>", b"", id="a piece after the end"),
        pytest.param("RFC822.HEADER", LETTER[: LETTER.index(b"preamble")], id="RFC822.HEADER"),
        pytest.param("BODY[TEXT]", LETTER[LETTER.index(b"preamble") :], id="BODY[TEXT]"),
        pytest.param("BODY[1]", b"\xe6\xa2\x85\r\n.dot", id="a part"),
        pytest.param("BODY[2]", b"Subject: inner\r\n\r\ninside", id="a message in the message"),
        pytest.param("BODY[2.HEADER]", b"Subject: inner\r\n\r\n", id="its header"),
        pytest.param("BODY[2.TEXT]", b"inside", id="its text"),
        pytest.param("BODY[2.1]", b"inside", id="its only part"),
        pytest.param(
            "BODY[3.MIME]",
            b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n"
            b'Content-Disposition: attachment; filename="a.pdf"\r\n\r\n',
            id="a part's header",
        ),
        pytest.param(
            "BODY[HEADER.FIELDS (SUBJECT message-id)]",
            b"Subject: =?utf-8?b?5qKF?=\r\nMessage-ID: <1@lab.example>\r\n\r\n",
            id="some fields",
        ),
        pytest.param(
            "BODY[HEADER.FIELDS.NOT (From To Date Message-ID MIME-Version Content-Type)]",
            b"Subject: =?utf-8?b?5qKF?=\r\n\r\n",
            id="the other fields",
        ),
    ],
)
def test_every_section_comes_byte_for_byte(inside: ImapSession, item: str, value: bytes) -> None:
    assert fetched(inside, item) == value


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        pytest.param("FETCH 2 FLAGS", r"* 2 FETCH (FLAGS ())", id="FLAGS"),
        pytest.param("UID FETCH 2:30 RFC822.SIZE", "* 2 FETCH (UID 2 RFC822.SIZE 24)", id="more UIDs"),
        pytest.param("UID FETCH 2 RFC822.SIZE", "* 2 FETCH (UID 2 RFC822.SIZE 24)", id="by UID"),
        pytest.param(
            "FETCH 1 ENVELOPE",
            '* 1 FETCH (ENVELOPE ("Wed, 25 Nov 2026 12:00:00 +0900" "=?utf-8?b?5qKF?="'
            ' (("R. Hanako" NIL "hanako" "lab.example")) (("R. Hanako" NIL "hanako" "lab.example"))'
            ' (("R. Hanako" NIL "hanako" "lab.example"))'
            ' ((NIL NIL "mrose" "lab.example")(NIL NIL "info" "lab.example"))'
            ' NIL NIL NIL "<1@lab.example>"))',
            id="ENVELOPE",
        ),
        pytest.param(
            "FETCH 1 BODY",
            '* 1 FETCH (BODY (("TEXT" "PLAIN" ("CHARSET" "utf-8") NIL NIL "7BIT" 9 1)'
            '("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 24 (NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL)'
            ' ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 6 0) 2)'
            '("APPLICATION" "PDF" ("NAME" "a.pdf") NIL NIL "BASE64" 4) "MIXED"))',
            id="BODY",
        ),
        pytest.param(
            "FETCH 1 INTERNALDATE", '* 1 FETCH (INTERNALDATE "25-Nov-2026 12:00:00 +0900")', id="INTERNALDATE"
        ),
        pytest.param("SEARCH ALL", "* SEARCH 1 2", id="all"),
        pytest.param("SEARCH SUBJECT two", "* SEARCH 2", id="by subject"),
        pytest.param("SEARCH NOT FROM hanako", "* SEARCH 2", id="not"),
        pytest.param("SEARCH OR TEXT inside 2", "* SEARCH 1 2", id="or, text, number"),
        pytest.param("SEARCH (LARGER 100 UNSEEN)", "* SEARCH 1", id="list, size, flag"),
        pytest.param("SEARCH SINCE 25-Nov-2026", "* SEARCH 1", id="since"),
        pytest.param("SEARCH BEFORE 25-Nov-2026", "* SEARCH 2", id="before"),
        pytest.param("UID SEARCH UID 2:*", "* SEARCH 2", id="by uid"),
        pytest.param("SEARCH CHARSET UTF-8 SUBJECT two", "* SEARCH 2", id="with a charset"),
        pytest.param("SEARCH " + "1 " * 99 + "1", "* SEARCH 1", id="a hundred keys"),
        pytest.param('LIST "" *', r'* LIST (\HasNoChildren) "/" INBOX', id="LIST"),
        pytest.param('LIST "" ""', r'* LIST (\Noselect) "/" ""', id="what parts levels"),
        pytest.param('LSUB "" "%"', r'* LSUB (\HasNoChildren) "/" INBOX', id="LSUB"),
        pytest.param('LIST "" *%I%*%%x', r'* LIST (\HasNoChildren) "/" INBOX', id="wildcards in a row"),
        pytest.param(
            "STATUS INBOX (MESSAGES UNSEEN UIDNEXT)",
            "* STATUS INBOX (MESSAGES 2 UNSEEN 2 UIDNEXT 3)",
            id="STATUS",
        ),
        pytest.param('ID ("name" "x")', '* ID ("name" "Mailtap-Lab")', id="ID"),
    ],
)
def test_what_is_asked_is_answered(inside: ImapSession, command: str, answer: str) -> None:
    *lines, last = act(inside, f"q {command}\r\n".encode()).decode().splitlines()
    assert lines == [answer]
    assert last.startswith("q OK ")


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("FETCH 1 BODIES", "BAD"),
        ("FETCH 1", "BAD"),
        ("FETCH 3 FLAGS", "BAD"),
        ("FETCH 1:3 FLAGS", "BAD"),
        ("FETCH 0 FLAGS", "BAD"),
        ("STORE 2,3 FLAGS ()", "BAD"),
        ("UID FETCH 0:* FLAGS", "BAD"),
        ("FETCH x FLAGS", "BAD"),
        ("FETCH 1 BODY[HEADER.FIELDS]", "BAD"),
        ("FETCH 1 BODY[MIME]", "BAD"),
        ("STORE 1 FLAGS (\\Recent)", "BAD"),
        ("STORE 1 FROBNICATE (\\Seen)", "BAD"),
        ("SEARCH", "BAD"),
        ("SEARCH LARGER x", "BAD"),
        ("SEARCH CHARSET KOI8-R SUBJECT x", "NO"),
        ("SEARCH " + "(" * 50 + "ALL" + ")" * 50, "BAD"),
        ("SEARCH " + "1 " * 100 + "1", "BAD"),
        ("UID FROBNICATE 1", "BAD"),
        ("COPY 1 Trash", "NO"),
        ("CREATE Trash", "NO"),
        ("SELECT Trash", "NO"),
        ("STATUS INBOX (SIZE)", "BAD"),
        ("APPEND INBOX nothing", "BAD"),
    ],
)
def test_what_makes_no_sense_or_is_not_there_is_refused(
    inside: ImapSession, command: str, status: str
) -> None:
    assert act(inside, f"q {command}\r\n".encode()).decode().startswith(f"q {status} ")


def test_reading_marks_as_seen_and_peeking_does_not(inside: ImapSession) -> None:
    assert b"FLAGS" not in act(inside, b"a FETCH 2 BODY.PEEK[TEXT]\r\n")
    assert act(inside, b"b FETCH 2 BODY[TEXT]\r\n") == (
        b"* 2 FETCH (BODY[TEXT] {8}\r\nsecond\r\n FLAGS (\\Seen))\r\nb OK Done\r\n"
    )
    assert act(inside, b"c SEARCH SEEN\r\n") == b"* SEARCH 2\r\nc OK Done\r\n"


def test_flags_are_kept_and_deleted_mail_goes_with_expunge(inside: ImapSession, mailboxes: Mailboxes) -> None:
    assert act(inside, b"a STORE 1 +FLAGS (\\deleted $Label)\r\n") == (
        b"* 1 FETCH (FLAGS ($Label \\Deleted))\r\na OK Done\r\n"
    )
    assert act(inside, b"b STORE 1:2 +FLAGS.SILENT (\\Flagged)\r\n") == b"b OK Done\r\n"
    assert act(inside, b"c UID STORE 1 -FLAGS $Label\r\n") == (
        b"* 1 FETCH (FLAGS (\\Deleted \\Flagged) UID 1)\r\nc OK Done\r\n"
    )
    assert act(inside, b"d EXPUNGE\r\n") == b"* 1 EXPUNGE\r\nd OK Removed\r\n"
    assert [message.content for message in mailboxes["mrose"].messages] == [SHORT]
    assert mailboxes["mrose"].flags(2) == {"\\Flagged"}


def test_examine_changes_nothing(mailboxes: Mailboxes) -> None:
    session = open_session(mailboxes)
    act(session)
    check(session, LOGIN)
    assert b"[PERMANENTFLAGS ()]" in act(session, b"a EXAMINE INBOX\r\n")
    assert b"a2 NO" in act(session, b"a2 STORE 1 FLAGS (\\Seen)\r\n")
    assert b"FLAGS" not in act(session, b"a3 FETCH 2 RFC822\r\n")
    assert mailboxes["mrose"].flags(2) == frozenset()


def test_new_mail_and_what_others_removed_is_told(inside: ImapSession, mailboxes: Mailboxes) -> None:
    mailboxes["mrose"].add(SHORT)
    mailboxes["mrose"].expunge({1})
    assert act(inside, b"a NOOP\r\n") == b"* 1 EXPUNGE\r\n* 2 EXISTS\r\na OK Nothing done\r\n"
    assert act(inside, b"b UID SEARCH ALL\r\n") == b"* SEARCH 2 3\r\nb OK Done\r\n"


def test_append_stores_a_message_and_its_flags(inside: ImapSession, mailboxes: Mailboxes) -> None:
    assert act(inside, b'a APPEND INBOX (\\Seen) "25-Nov-2026 12:00:00 +0900" {24}\r\n') == b"+ Go ahead\r\n"
    assert act(inside, SHORT + b"\r\n") == b"* 3 EXISTS\r\na OK Stored\r\n"
    assert mailboxes["mrose"].messages[-1].content == SHORT
    assert mailboxes["mrose"].flags(3) == {"\\Seen"}


def test_an_endless_line_ends_the_session(mailboxes: Mailboxes) -> None:
    session = open_session(mailboxes)
    act(session)
    done = b"".join(act(session, b"x" * 400) for _ in range(5))
    assert done.endswith(b"* BYE That line never ends\r\n[CLOSE]\r\n")


def test_too_many_bad_commands_end_the_session(mailboxes: Mailboxes) -> None:
    session = open_session(mailboxes)
    act(session)
    done = b"".join(act(session, b"a NONSENSE\r\n") for _ in range(4))
    assert done.endswith(b"* BYE That was once too often\r\n[CLOSE]\r\n")


SAID = st.lists(
    st.sampled_from(
        [
            b'a LOGIN mrose "tan \\"staaf\\\\"\r\n', b"b SELECT INBOX\r\n", b"c FETCH 1:* (FLAGS BODY[])\r\n",
            b"d UID SEARCH OR SEEN (NOT SUBJECT {3}\r\ntwo)\r\n", b"e APPEND INBOX {24+}\r\n" + SHORT + b"\r\n",
            b"f AUTHENTICATE PLAIN\r\n", b"*\r\n", b"g STORE 1 +FLAGS (\\Deleted)\r\n", b"h EXPUNGE\r\n", b"(\r\n",
            b"i FETCH 1 ALL\r\n", b"j CLOSE\r\n", b"k STATUS INBOX (UNSEEN)\r\n", b'l LIST "" "*"\r\n',
        ]
    )
    | st.binary(max_size=40),
    max_size=12,
).map(b"".join)  # fmt: skip


@given(said=SAID, cuts=st.lists(st.integers(0, 400)))
def test_it_does_not_matter_how_the_bytes_are_cut_and_nothing_raises(said: bytes, cuts: list[int]) -> None:
    whole, pieces = (open_session(_boxes()) for _ in range(2))
    expected = act(whole, said)
    places = sorted({0, *(place for place in cuts if place < len(said)), len(said)})
    found = b"".join(act(pieces, said[start:end]) for start, end in pairwise(places)) or act(pieces)
    assert found == expected


def _boxes() -> Mailboxes:
    boxes = Mailboxes(Accounts([MROSE]), LIMITS)
    boxes["mrose"].add(SHORT)
    return boxes


def test_a_pattern_of_wildcards_holds_nobody_up(inside: ImapSession) -> None:
    began = time.process_time()
    assert act(inside, b'q LIST "" ' + b"*%" * 100 + b"N\r\n") == b"q OK That is all\r\n"
    assert time.process_time() - began < 1


@pytest.mark.parametrize("tag", [b"*", b"+", b"a+", b"(", b"%", b'a"', b"{1", b"a\\", b"\xff"])
def test_a_tag_that_is_none_is_never_an_answer_s(mailboxes: Mailboxes, tag: bytes) -> None:
    session = open_session(mailboxes)
    act(session)
    assert act(session, tag + b" NOOP\r\n").startswith(b"* BAD ")


def test_numbers_in_an_empty_mailbox(mailboxes: Mailboxes) -> None:
    mailboxes["mrose"].expunge({1, 2})
    session = open_session(mailboxes)
    act(session)
    act(session, LOGIN.splitlines()[0].removeprefix("C: ").encode() + b"\r\nb SELECT INBOX\r\n")
    assert act(session, b"c FETCH 1:* FLAGS\r\nd UID FETCH 1:* FLAGS\r\n") == b"c OK Done\r\nd OK Done\r\n"
