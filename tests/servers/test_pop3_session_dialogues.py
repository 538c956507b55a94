"""POP3 sessions as dialogues: what the client says, what the server must answer, to the byte."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtap.servers.accounts import Account, Accounts
from mailtap.servers.actions import Close, Send, StartTls
from mailtap.servers.limits import Limits
from mailtap.servers.mailbox import Mailboxes
from mailtap.servers.pop3 import Pop3Session
from mailtap.servers.service import Security, ServerProtocol, Service

# The name and password of the APOP example in RFC 1939, section 7.
MROSE = Account(username="mrose", password="tanstaaf", addresses=("mrose@lab.example",))
NONCE = "1896.697170952"
GREETING = "S: +OK mail.lab.example POP3 toy server ready"
LOGIN = "C: USER mrose\nS: +OK Now the password\nC: PASS tanstaaf\nS: +OK Logged in\n"
LETTERS = (b"Subject: one\r\n\r\nfirst\r\n.dot\r\nthird\r\n", b"Subject: two\r\n\r\n\xe6\xa2\x85\r\n")

PLAIN = Service(
    protocol=ServerProtocol.POP3, security=Security.PLAIN, mechanisms=("PLAIN", "LOGIN", "CRAM-MD5")
)
STARTTLS = replace(PLAIN, security=Security.STARTTLS)
LIMITS = Limits(bad_commands=4, failed_logins=2, junk_octets=1000)


@pytest.fixture
def mailboxes():
    boxes = Mailboxes(Accounts([MROSE]), LIMITS)
    for letter in LETTERS:
        boxes["mrose"].add(letter)
    return boxes


def open_session(mailboxes, service=PLAIN, limits=LIMITS):
    return Pop3Session(
        service, accounts=Accounts([MROSE]), mailboxes=mailboxes, limits=limits, nonce=lambda: NONCE
    )


def act(session, data=b""):
    """Feed bytes and return what the server did: its bytes, and `TLS` or `CLOSE` where that came."""
    session.feed(data)
    done = []
    while (action := session.next_action()) is not None:
        match action:
            case Send(data):
                done.append(data)
            case StartTls():
                done.append(b"[TLS]\r\n")
            case Close():
                done.append(b"[CLOSE]\r\n")
    return b"".join(done)


def hold(session, dialogue):
    """Play the `C:` lines of a dialogue; return how it really went, blanks at line ends aside."""
    went = _server_lines(act(session))
    for turn in dialogue.splitlines():
        if turn.startswith("C: "):
            said = turn.removeprefix("C: ").encode("latin-1") + b"\r\n"
            went += [turn, *_server_lines(act(session, said))]
    return went


def _server_lines(data):
    return [f"S: {line}".rstrip() for line in data.decode("latin-1").splitlines()]


DIALOGUES = [
    pytest.param(
        PLAIN,
        """
C: USER mrose
S: +OK Now the password
C: PASS tanstaaf
S: +OK Logged in
C: STAT
S: +OK 2 57
C: LIST
S: +OK 2 messages
S: 1 36
S: 2 21
S: .
C: LIST 2
S: +OK 2 21
C: NOOP
S: +OK Nothing done
C: RETR 1
S: +OK 36 octets
S: Subject: one
S:
S: first
S: ..dot
S: third
S: .
C: QUIT
S: +OK Goodbye
S: [CLOSE]
""",
        id="RFC 1939: a session",
    ),
    pytest.param(
        PLAIN,
        LOGIN
        + """
C: DELE 1
S: +OK Marked
C: DELE 1
S: -ERR No such message
C: RETR 1
S: -ERR No such message
C: STAT
S: +OK 1 21
C: RSET
S: +OK All marks taken back
C: STAT
S: +OK 2 57
""",
        id="RFC 1939 section 5: DELE and RSET",
    ),
    pytest.param(
        PLAIN,
        LOGIN
        + """
C: TOP 1 0
S: +OK 16 octets
S: Subject: one
S:
S: .
C: TOP 1 2
S: +OK 29 octets
S: Subject: one
S:
S: first
S: ..dot
S: .
C: TOP 1
S: -ERR TOP takes a message and a number of lines
C: TOP 3 1
S: -ERR No such message
""",
        id="RFC 1939 section 7: TOP",
    ),
    pytest.param(
        replace(PLAIN, apop=True),
        """
C: APOP mrose c4c9334bac560ecc979e58001b3e22fb
S: -ERR [AUTH] Wrong name or password
C: APOP mrose APOP_ANSWER
S: +OK Logged in
""",
        id="RFC 1939 section 7: APOP",
    ),
    pytest.param(
        PLAIN,
        """
C: APOP mrose c4c9334bac560ecc979e58001b3e22fb
S: -ERR Not offered here
C: PASS tanstaaf
S: -ERR USER first
C: STAT
S: -ERR Not now
C: XYZZY
S: -ERR No such command, and once too often
S: [CLOSE]
""",
        id="what makes no sense, once too often",
    ),
    pytest.param(
        PLAIN,
        """
C: USER nobody
S: +OK Now the password
C: PASS tanstaaf
S: -ERR [AUTH] Wrong name or password
C: USER mrose
S: +OK Now the password
C: PASS wrong
S: -ERR [AUTH] Wrong name or password
S: [CLOSE]
""",
        id="RFC 3206: failed logins, counted",
    ),
    pytest.param(
        PLAIN,
        """
C: CAPA
S: +OK What I can do
S: TOP
S: UIDL
S: RESP-CODES
S: AUTH-RESP-CODE
S: PIPELINING
S: EXPIRE NEVER
S: USER
S: SASL PLAIN LOGIN CRAM-MD5
S: IMPLEMENTATION Mailtap-Lab
S: .
""",
        id="RFC 2449: CAPA",
    ),
    pytest.param(
        replace(STARTTLS, clear_login=False, apop=True),
        """
C: CAPA
S: +OK What I can do
S: TOP
S: UIDL
S: RESP-CODES
S: AUTH-RESP-CODE
S: PIPELINING
S: EXPIRE NEVER
S: STLS
S: IMPLEMENTATION Mailtap-Lab
S: .
C: USER mrose
S: -ERR Not in clear: STLS first
C: APOP mrose APOP_ANSWER
S: -ERR Not in clear: STLS first
C: AUTH PLAIN AG1yb3NlAHRhbnN0YWFm
S: -ERR Not in clear: STLS first
C: STLS
S: +OK Begin the handshake
S: [TLS]
""",
        id="RFC 2595: no login in clear",
    ),
    pytest.param(
        PLAIN,
        """
C: STLS
S: -ERR No TLS to start here
""",
        id="RFC 2595: no STLS on a plain port",
    ),
    pytest.param(
        PLAIN,
        """
C: AUTH PLAIN
S: +
C: AG1yb3NlAHRhbnN0YWFm
S: +OK Logged in
""",
        id="RFC 5034: PLAIN",
    ),
    pytest.param(
        PLAIN,
        """
C: AUTH plain AG1yb3NlAHRhbnN0YWFm
S: +OK Logged in
""",
        id="RFC 5034: PLAIN with an initial response",
    ),
    pytest.param(
        PLAIN,
        """
C: AUTH PLAIN dGFybwBtcm9zZQB0YW5zdGFhZg==
S: -ERR [AUTH] Wrong name or password
""",
        id="RFC 4616: nobody acts for somebody else",
    ),
    pytest.param(
        PLAIN,
        """
C: AUTH LOGIN
S: + VXNlcm5hbWU6
C: bXJvc2U=
S: + UGFzc3dvcmQ6
C: dGFuc3RhYWY=
S: +OK Logged in
""",
        id="LOGIN",
    ),
    pytest.param(
        PLAIN,
        """
C: AUTH CRAM-MD5
S: + PDE4OTYuNjk3MTcwOTUyQG1haWwubGFiLmV4YW1wbGU+
C: CRAM_ANSWER
S: +OK Logged in
""",
        id="RFC 2195: CRAM-MD5",
    ),
    pytest.param(
        PLAIN,
        """
C: AUTH LOGIN
S: + VXNlcm5hbWU6
C: *
S: -ERR Cancelled
C: AUTH CRAM-MD5 bXJvc2U=
S: -ERR This mechanism takes no initial response
C: AUTH PLAIN !!!
S: -ERR That is not base64
""",
        id="RFC 5034: AUTH broken off",
    ),
    pytest.param(
        PLAIN,
        """
C: AUTH
S: +OK Mechanisms follow
S: PLAIN
S: LOGIN
S: CRAM-MD5
S: .
C: AUTH NTLM
S: -ERR Not offered here
""",
        id="AUTH alone asks for the list",
    ),
    pytest.param(
        replace(PLAIN, user_pass=False, mechanisms=()),
        """
C: USER mrose
S: -ERR Not offered here
C: AUTH PLAIN
S: -ERR Not offered here
""",
        id="nothing offered",
    ),
]


def answers():
    challenge = f"<{NONCE}@mail.lab.example>".encode()
    cram = b"mrose " + hmac.new(b"tanstaaf", challenge, "md5").hexdigest().encode()
    return hashlib.md5(challenge + b"tanstaaf").hexdigest(), b64encode(cram).decode()


@pytest.mark.parametrize(("service", "dialogue"), DIALOGUES)
def test_dialogue(mailboxes, service, dialogue):
    apop, cram = answers()
    expected = dialogue.replace("APOP_ANSWER", apop).replace("CRAM_ANSWER", cram)
    timestamp = f" <{NONCE}@mail.lab.example>" if service.apop else ""
    went = hold(open_session(mailboxes, service), expected)
    assert went == [GREETING + timestamp, *(line for line in expected.splitlines() if line)]


def test_uidl_is_the_same_in_the_next_session_and_new_for_new_mail(mailboxes):
    first = hold(open_session(mailboxes), LOGIN + "C: UIDL\nC: DELE 1\nC: QUIT")
    mailboxes["mrose"].add(LETTERS[0])
    second = hold(open_session(mailboxes), LOGIN + "C: UIDL\nC: UIDL 2\nC: QUIT")
    one, two = (line.split()[-1] for line in first if line.startswith(("S: 1 ", "S: 2 ")))
    assert f"S: 1 {two}" in second
    (new,) = (line.split()[-1] for line in second if line.startswith("S: 2 "))
    assert new not in {one, two}
    assert f"S: +OK 2 {new}" in second
    assert all(0x21 <= ord(c) <= 0x7E for c in one + two + new)
    assert max(map(len, (one, two, new))) <= 70


@pytest.mark.parametrize(
    ("ending", "left"), [pytest.param("quit", 1, id="QUIT deletes"), pytest.param("gone", 2, id="else not")]
)
def test_marked_messages_go_at_quit_only(mailboxes, ending, left):
    session = open_session(mailboxes)
    hold(session, LOGIN + "C: DELE 1" + ("\nC: QUIT" if ending == "quit" else ""))
    session.abandon()
    assert session.finished == (ending == "quit")
    assert len(mailboxes["mrose"].messages) == left
    assert hold(open_session(mailboxes), LOGIN)[-1] == "S: +OK Logged in"


def test_maildrop_is_locked_while_a_session_has_it(mailboxes):
    first, second = open_session(mailboxes), open_session(mailboxes)
    hold(first, LOGIN)
    assert hold(second, LOGIN)[-1] == "S: -ERR [IN-USE] Another session has this maildrop"
    first.abandon()
    assert hold(second, LOGIN)[-1] == "S: +OK Logged in"


def test_mail_that_arrives_meanwhile_waits_for_the_next_session(mailboxes):
    session = open_session(mailboxes)
    hold(session, LOGIN)
    mailboxes["mrose"].add(b"late\r\n")
    assert act(session, b"STAT\r\nDELE 2\r\nQUIT\r\n").startswith(b"+OK 2 ")
    assert [message.content for message in mailboxes["mrose"].messages] == [LETTERS[0], b"late\r\n"]


def test_what_was_injected_before_tls_is_forgotten(mailboxes):
    session = open_session(mailboxes, STARTTLS)
    act(session)
    assert act(session, b"STLS\r\nUSER mrose\r\nPASS tans") == b"+OK Begin the handshake\r\n[TLS]\r\n"
    assert act(session, b"taaf\r\nSTAT\r\n") == b""
    session.tls_started()
    assert act(session) == b""
    assert act(session, b"PASS tanstaaf\r\n") == b"-ERR USER first\r\n"
    assert act(session, b"STLS\r\n") == b"-ERR No TLS to start here\r\n"


def test_capa_after_tls_offers_logins_and_no_stls(mailboxes):
    session = open_session(mailboxes, replace(STARTTLS, clear_login=False))
    act(session, b"STLS\r\n")
    session.tls_started()
    said = act(session, b"CAPA\r\n")
    assert b"\r\nUSER\r\n" in said
    assert b"\r\nSASL " in said
    assert b"STLS" not in said


@pytest.mark.parametrize("length", [250, 100_000], ids=["just too long", "far too long"])
def test_over_long_line_is_refused_and_the_next_one_heard(mailboxes, length):
    session = open_session(mailboxes, limits=replace(LIMITS, junk_octets=200_000))
    act(session)
    assert act(session, b"USER " + b"x" * length + b"\r\nNOOP\r\n").startswith(b"-ERR Line too long\r\n-ERR ")


def test_line_without_end_is_hung_up_on(mailboxes):
    session = open_session(mailboxes)
    act(session)
    said = b"".join(act(session, b"\x00\xff" * 200) for _ in range(10))
    assert said == b"-ERR That line never ends\r\n[CLOSE]\r\n"


def test_response_in_an_auth_exchange_may_be_long(mailboxes):
    session = open_session(mailboxes)
    assert act(session, b"AUTH PLAIN\r\n").endswith(b"\r\n+ \r\n")
    assert act(session, b"A" * 8000 + b"\r\n") == b"-ERR [AUTH] Wrong name or password\r\n"
    act(session, b"AUTH PLAIN\r\n")
    assert act(session, b"A" * 20000 + b"\r\n").startswith(b"-ERR Line too long")


def test_lone_line_feeds_end_lines_too(mailboxes):
    session = open_session(mailboxes)
    act(session)
    assert act(session, b"USER mrose\nPASS tanstaaf\nSTAT\n").endswith(b"+OK 2 57\r\n")


def test_nothing_is_answered_after_quit(mailboxes):
    session = open_session(mailboxes)
    act(session)
    assert act(session, b"QUIT\r\nNOOP\r\n" * 3) == b"+OK Goodbye\r\n[CLOSE]\r\n"
    assert act(session, b"NOOP\r\n") == b""


SCRIPT = b"CAPA\r\nUSER mrose\r\nPASS tanstaaf\r\nLIST\r\nRETR 1\r\nDELE 1\r\nXYZZY\r\nQUIT\r\n"


@given(cuts=st.lists(st.integers(0, len(SCRIPT)), max_size=12))
def test_answers_do_not_depend_on_how_the_bytes_arrive(cuts):
    edges = [0, *sorted(cuts), len(SCRIPT)]
    pieces = [SCRIPT[start:end] for start, end in pairwise(edges)]

    def play(chunks):
        boxes = Mailboxes(Accounts([MROSE]), LIMITS)
        boxes["mrose"].add(LETTERS[0])
        session = open_session(boxes)
        return b"".join(act(session, chunk) for chunk in chunks)

    assert play(pieces) == play([SCRIPT])


WORDS = [b"USER mrose", b"PASS tanstaaf", b"AUTH PLAIN", b"AUTH CRAM-MD5", b"STLS", b"RETR 1", b"TOP 1 1"]


@given(
    st.lists(
        st.one_of(st.sampled_from(WORDS).map(lambda word: word + b"\r\n"), st.binary(max_size=40)),
        max_size=30,
    )
)
def test_no_bytes_make_the_session_raise(chunks):
    boxes = Mailboxes(Accounts([MROSE]), LIMITS)
    session = open_session(boxes, STARTTLS)
    for chunk in chunks:
        if b"[TLS]" in act(session, chunk):
            session.tls_started()
    session.abandon()
    drop = boxes["mrose"].lock()
    assert drop is not None
