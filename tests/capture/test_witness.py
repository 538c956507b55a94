"""tshark hears the same logins as we do, and says so when one of the two does not."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from mailtap.capture import witness  # pytest would take an imported `Testimony` for a test
from mailtap.capture.hearsay import Layer, Login, overhear
from mailtap.capture.model import (
    Direction,
    Evidence,
    Field,
    Flow,
    Leak,
    Packet,
    Protocol,
    Secret,
    Span,
)
from mailtap.capture.pipeline import Listener
from mailtap.capture.sinks import write_pcap
from mailtap.capture.witness import Agreement, Hearing, Verdict, compare, hear

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

DIGEST = "c4c9334bac560ecc979e58001b3e22fb"
CHALLENGE = "<1896.697170952@lab.example>"
PORTS = {Protocol.POP3: 110, Protocol.SMTP: 25, Protocol.IMAP: 143}
EVIDENCE = Evidence(Flow(1, wire.CLIENT, wire.SERVER), (Span(Direction.CLIENT, 0, 1),), (4,), 0)


def b64(text: str | bytes) -> str:
    return b64encode(text.encode() if isinstance(text, str) else text).decode()


def plain(authzid: str, username: str, password: str) -> str:
    return b64(f"{authzid}\0{username}\0{password}")


def turns(dialogue: str) -> list[wire.Turn]:
    """Read `C: …` and `S: …` lines; indentation and empty lines mean nothing."""
    lines = [line.strip() for line in dialogue.splitlines() if line.strip()]
    return [(line[0], line[3:].encode("utf-8", "surrogateescape") + b"\r\n") for line in lines]


def login(protocol, mechanism, username, secret, field=Field.PASSWORD):
    username, secret = (
        text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        for text in (username, secret)
    )
    return Login(protocol, mechanism, username, field, secret)


def listener(*logins: Login) -> list[Leak]:
    """Return the leaks of a listener that heard these logins: a user name, and a password or digest."""
    leaks = []
    for one in logins:
        username, secret = (text.decode("utf-8", "backslashreplace") for text in (one.username, one.secret))
        name = Leak(
            field=Field.USERNAME,
            value=Secret(username),
            protocol=one.protocol,
            evidence=EVIDENCE,
            mechanism=one.mechanism,
            username=username,
        )
        leaks += [name, replace(name, field=one.field, value=Secret(secret))]
    return leaks


def listen(packets: list[Packet]) -> list[Leak]:
    """Return the leaks of the real listener."""
    ours = Listener()
    out = [leak for packet in packets for leak in ours.feed(packet)] + ours.close()
    return [leak for leak in out if isinstance(leak, Leak)]


def complete(testimony: witness.Testimony) -> list[Login]:
    return [one for one in testimony.logins if one.field is not Field.USERNAME]


POP3, SMTP, IMAP = Protocol.POP3, Protocol.SMTP, Protocol.IMAP
HEARD = [
    pytest.param(
        POP3,
        """
        S: +OK hello
        C: USER mrose
        S: +OK
        C: PASS tan staaf
        S: +OK
        C: QUIT
        """,
        [login(POP3, "USER/PASS", "mrose", "tan staaf")],
        id="pop3-user-pass",
    ),
    pytest.param(
        POP3,
        """
        S: +OK hello
        C: user mrose
        S: +OK
        C: pass wrong
        S: -ERR no
        C: USER mrose
        S: +OK
        C: PASS wrong
        S: -ERR no
        """,
        [login(POP3, "USER/PASS", "mrose", "wrong")] * 2,
        id="pop3-twice-and-lower-case",
    ),
    pytest.param(
        POP3,
        """
        S: +OK hello
        C: USER ゆき
        S: +OK
        C: PASS p\udce4ss  "quoted\\"\x01
        S: +OK
        """,
        [login(POP3, "USER/PASS", "ゆき", 'p\udce4ss  "quoted\\"\x01')],
        id="pop3-not-ascii",
    ),
    pytest.param(
        POP3,
        f"""
        S: +OK ready {CHALLENGE}
        C: APOP mrose {DIGEST}
        S: +OK
        """,
        [login(POP3, "APOP", "mrose", DIGEST, Field.DIGEST)],
        id="pop3-apop",
    ),
    pytest.param(
        POP3,
        f"""
        S: +OK hello
        C: AUTH PLAIN {plain("", "mrose", "initial")}
        S: -ERR no
        C: AUTH PLAIN
        S: +
        C: {plain("boss", "mrose", "later")}
        S: +OK
        """,
        [login(POP3, "PLAIN", "mrose", "initial"), login(POP3, "PLAIN", "mrose", "later")],
        id="pop3-plain",
    ),
    pytest.param(
        POP3,
        f"""
        S: +OK hello
        C: AUTH LOGIN
        S: + {b64("Username:")}
        C: {b64("mrose")}
        S: + {b64("Password:")}
        C: {b64("tanstaaf")}
        S: +OK
        """,
        [login(POP3, "LOGIN", "mrose", "tanstaaf")],
        id="pop3-login",
    ),
    pytest.param(
        POP3,
        f"""
        S: +OK hello
        C: AUTH CRAM-MD5
        S: + {b64(CHALLENGE)}
        C: {b64("m rose " + DIGEST)}
        S: +OK
        """,
        [login(POP3, "CRAM-MD5", "m rose", DIGEST, Field.DIGEST)],
        id="pop3-cram-md5",
    ),
    pytest.param(
        POP3,
        f"""
        S: +OK hello
        C: AUTH PLAIN
        S: +
        C: *
        S: -ERR cancelled
        C: AUTH SCRAM-SHA-256 {b64("n,,n=mrose,r=x")}
        S: -ERR no such mechanism
        C: USER mrose
        S: +OK
        C: PASS tanstaaf
        S: +OK
        """,
        [login(POP3, "USER/PASS", "mrose", "tanstaaf")],
        id="pop3-cancelled-refused-and-unreached-exchanges",
    ),
    pytest.param(
        SMTP,
        f"""
        S: 220 hello
        C: EHLO me
        S: 250 AUTH PLAIN
        C: AUTH SCRAM-SHA-256 {b64("n,,n=hanako,r=x")}
        S: 504 unknown
        C: AUTH PLAIN {plain("", "hanako", "initial")}
        S: 535 no
        C: AUTH PLAIN
        S: 334
        C: {plain("", "hanako", "later")}
        S: 235 ok
        C: MAIL FROM:<hanako@lab.example>
        S: 250 ok
        """,
        [login(SMTP, "PLAIN", "hanako", "initial"), login(SMTP, "PLAIN", "hanako", "later")],
        id="smtp-plain",
    ),
    pytest.param(
        SMTP,
        f"""
        S: 220 hello
        C: EHLO me
        S: 250 AUTH LOGIN
        C: AUTH LOGIN
        S: 334 {b64("Username:")}
        C: {b64("hanako")}
        S: 334 {b64("Password:")}
        C: {b64("one")}
        S: 535 no
        C: auth login {b64("hanako")}
        S: 334 {b64("Password:")}
        C: {b64("two")}
        S: 235 ok
        """,
        [login(SMTP, "LOGIN", "hanako", "one"), login(SMTP, "LOGIN", "hanako", "two")],
        id="smtp-login",
    ),
    pytest.param(
        SMTP,
        f"""
        S: 220 hello
        C: EHLO me
        S: 250 AUTH CRAM-MD5
        C: AUTH CRAM-MD5
        S: 334 {b64(CHALLENGE)}
        C: {b64("hanako " + DIGEST.upper())}
        S: 235 ok
        """,
        [login(SMTP, "CRAM-MD5", "hanako", DIGEST.upper(), Field.DIGEST)],
        id="smtp-cram-md5",
    ),
    pytest.param(
        IMAP,
        r"""
        S: * OK hello
        C: a1 LOGIN hanako tanstaaf
        S: a1 NO
        C: a2 login "ha\"na" "tan \\ staaf"
        S: a2 OK
        """,
        [login(IMAP, "LOGIN", "hanako", "tanstaaf"), login(IMAP, "LOGIN", 'ha"na', r"tan \ staaf")],
        id="imap-login",
    ),
    pytest.param(
        IMAP,
        """
        S: * OK hello
        C: a1 LOGIN {6}
        S: + go
        C: hanako {8}
        S: + go
        C: tan{3}af
        S: a1 OK
        """,
        [login(IMAP, "LOGIN", "hanako", "tan{3}af")],
        id="imap-login-literals",
    ),
    pytest.param(
        IMAP,
        f"""
        S: * OK hello
        C: a1 AUTHENTICATE PLAIN {plain("", "hanako", "initial")}
        S: a1 NO
        C: a2 AUTHENTICATE PLAIN
        S: + go
        C: {plain("", "hanako", "later")}
        S: a2 NO
        C: a3 AUTHENTICATE CRAM-MD5
        S: + {b64(CHALLENGE)}
        S: * OK still here
        C: {b64("hanako " + DIGEST)}
        S: a3 OK
        """,
        [
            login(IMAP, "PLAIN", "hanako", "initial"),
            login(IMAP, "PLAIN", "hanako", "later"),
            login(IMAP, "CRAM-MD5", "hanako", DIGEST, Field.DIGEST),
        ],
        id="imap-authenticate",
    ),
]


@needs_tshark
@pytest.mark.parametrize(("protocol", "dialogue", "logins"), HEARD)
def test_each_mechanism_is_heard(tmp_path, protocol, dialogue, logins):
    packets = wire.conversation(turns(dialogue), server=wire.SERVER._replace(port=PORTS[protocol]))
    write_pcap(tmp_path / "x.pcap", packets)
    testimony = hear(tmp_path / "x.pcap", ports={PORTS[protocol]: protocol})
    assert (testimony.hearing, testimony.reason, complete(testimony)) == (Hearing.HEARD, None, logins)
    assert testimony.witness.startswith("tshark ")
    agreed = Verdict(agreement=Agreement.AGREES, witness=testimony.witness)
    assert compare(listener(*logins), testimony) == agreed
    verdict = compare(listen(packets), testimony)
    assert replace(verdict, beyond=()) == agreed


@needs_tshark
def test_packets_on_any_port_link_and_address_family_are_heard():
    dialogues = {
        2110: (POP3, "S: +OK hello\nC: USER mrose\nS: +OK\nC: PASS tanstaaf\nS: +OK"),
        2525: (SMTP, f"S: 220 hello\nC: AUTH PLAIN {plain('', 'mrose', 'tanstaaf')}\nS: 235 ok"),
        2143: (IMAP, "S: * OK hello\nC: a1 LOGIN mrose tanstaaf\nS: a1 OK"),
    }
    packets = wire.interleave(
        *(
            wire.conversation(
                turns(text), server=wire.SERVER6._replace(port=port), client=wire.CLIENT6, link_type=link
            )
            for (port, (_, text)), link in zip(
                dialogues.items(), (wire.ETHERNET, wire.RAW, wire.COOKED), strict=True
            )
        )
    )
    testimony = hear(packets, ports={port: protocol for port, (protocol, _) in dialogues.items()})
    assert {one.protocol for one in complete(testimony)} == {POP3, SMTP, IMAP}
    assert {(one.username, one.secret) for one in complete(testimony)} == {(b"mrose", b"tanstaaf")}
    assert hear(packets, ports={}).logins == ()


@needs_tshark
def test_pipelined_and_split_commands_are_heard():
    talk = [
        ("S", b"+OK hi\r\n"),
        ("C", b"USER mro"),
        ("C", b"se\r\nPASS tanstaaf\r\nSTAT\r\n"),
        ("S", b"+OK\r\n+OK\r\n"),
    ]
    testimony = hear(wire.conversation(talk), ports={110: POP3})
    assert complete(testimony) == [login(POP3, "USER/PASS", "mrose", "tanstaaf")]


@needs_tshark
def test_answers_in_one_segment_of_which_some_have_no_parts_hide_no_login():
    answers = b"".join(b'* LIST () "/" box%d\r\n' % number for number in range(3))
    talk = [
        ("S", b"* OK hi\r\n"),
        ("C", b"a1 LOGIN mrose tanstaaf\r\n"),
        ("S", answers + b"* OK [UIDVALIDITY 1] it is so\r\n" + b"a1 OK done\r\n"),
    ]
    testimony = hear(wire.conversation(talk, server=wire.SERVER._replace(port=143)), ports={143: IMAP})
    assert (testimony.hearing, testimony.reason) == (Hearing.HEARD, None)
    assert complete(testimony) == [login(IMAP, "LOGIN", "mrose", "tanstaaf")]


@needs_tshark
def test_a_message_with_commands_in_it_is_no_login():
    body = (
        b"From: a\r\n\r\n"
        + f"USER no\r\nPASS no\r\nAUTH PLAIN {plain('', 'no', 'no')}\r\na1 LOGIN no no\r\n".encode()
    )
    smtp = [
        ("S", b"220 hi\r\n"),
        ("C", b"DATA\r\n"),
        ("S", b"354 go\r\n"),
        ("C", body + b".\r\n"),
        ("S", b"250 ok\r\n"),
    ]
    pop3 = [("S", b"+OK hi\r\n"), ("C", b"RETR 1\r\n"), ("S", b"+OK 80 octets\r\n" + body + b".\r\n")]
    packets = wire.interleave(
        wire.conversation(smtp, server=wire.SERVER._replace(port=25), mss=20), wire.conversation(pop3, mss=20)
    )
    testimony = hear(packets, ports={25: SMTP, 110: POP3})
    assert (testimony.hearing, testimony.logins) == (Hearing.HEARD, ())


# --- the two are compared ----------------------------------------------------------------------------


PLAIN = login(SMTP, "PLAIN", "hanako", "sakura")
CRAM = login(POP3, "CRAM-MD5", "taro", DIGEST, Field.DIGEST)


def heard(*logins: Login) -> witness.Testimony:
    return witness.Testimony(hearing=Hearing.HEARD, logins=logins)


def corrupted(leaks: list[Leak], place: int, **changes: object) -> list[Leak]:
    return [*leaks[:place], replace(leaks[place], **changes), *leaks[place + 1 :]]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param((1, {"value": Secret("sakurA")}), id="password"),
        pytest.param((1, {"username": "hanakO"}), id="user-name-beside-the-password"),
        pytest.param((0, {"value": Secret("hanakO")}), id="user-name"),
        pytest.param((1, {"mechanism": "LOGIN"}), id="mechanism"),
        pytest.param((1, {"protocol": POP3}), id="protocol"),
        pytest.param((1, {"field": Field.DIGEST}), id="field"),
        pytest.param((3, {"value": Secret(DIGEST[:-1] + "c")}), id="digest"),
        pytest.param((1, {"guessed": True}), id="guessed-where-it-was-heard"),
    ],
)
def test_a_corrupted_listener_is_found_out(changes):
    place, changed = changes
    leaks = listener(PLAIN, CRAM)
    assert compare(leaks, heard(PLAIN, CRAM)).agreement is Agreement.AGREES
    verdict = compare(corrupted(leaks, place, **changed), heard(PLAIN, CRAM))
    assert verdict.agreement is Agreement.DISAGREES
    assert verdict.only_witness
    assert str(verdict.reason).startswith("The listener heard ")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"secret": b"sakurA"}, id="password"),
        pytest.param({"username": b"hanakO"}, id="user-name"),
        pytest.param({"mechanism": "LOGIN"}, id="mechanism"),
        pytest.param({"protocol": POP3}, id="protocol"),
    ],
)
def test_a_corrupted_witness_is_found_out(changes):
    verdict = compare(listener(PLAIN, CRAM), heard(replace(PLAIN, **changes), CRAM))
    assert verdict.agreement is Agreement.DISAGREES
    assert [claim.secret.reveal() for claim in verdict.only_listener if claim.field is Field.PASSWORD] == [
        "sakura"
    ]


@needs_tshark
def test_a_corrupted_capture_is_found_out():
    talk = turns("S: +OK hello\nC: USER mrose\nS: +OK\nC: PASS tanstaaf\nS: +OK")
    packets = wire.conversation(talk)
    spoiled = [packet._replace(data=packet.data.replace(b"tanstaaf", b"tanstaag")) for packet in packets]
    leaks = listener(login(POP3, "USER/PASS", "mrose", "tanstaaf"))
    assert compare(leaks, hear(packets, ports={110: POP3})).agreement is Agreement.AGREES
    verdict = compare(leaks, hear(spoiled, ports={110: POP3}))
    assert [claim.secret.reveal() for claim in verdict.only_listener] == ["tanstaaf"]
    assert [claim.secret.reveal() for claim in verdict.only_witness] == ["tanstaag"]


@pytest.mark.parametrize(
    ("ours", "theirs", "agreement"),
    [
        pytest.param([], [], Agreement.AGREES, id="silence"),
        pytest.param([PLAIN], [], Agreement.DISAGREES, id="only-ours"),
        pytest.param([], [PLAIN], Agreement.DISAGREES, id="only-theirs"),
        pytest.param([PLAIN, CRAM], [CRAM, PLAIN], Agreement.AGREES, id="order-does-not-matter"),
        pytest.param([PLAIN], [PLAIN, PLAIN], Agreement.DISAGREES, id="each-repetition-counts"),
        pytest.param(
            [PLAIN],
            [replace(PLAIN, field=Field.USERNAME, secret=b""), PLAIN],
            Agreement.AGREES,
            id="name-first",
        ),
        pytest.param(
            [],
            [replace(PLAIN, field=Field.USERNAME, secret=b"")],
            Agreement.AGREES,
            id="a-name-that-led-nowhere",
        ),
        pytest.param(
            [replace(CRAM, secret=DIGEST.upper().encode())], [CRAM], Agreement.AGREES, id="case-of-a-digest"
        ),
    ],
)
def test_comparison(ours, theirs, agreement):
    assert compare(listener(*ours), heard(*theirs)).agreement is agreement


def test_what_the_witness_cannot_know_is_not_compared():
    others = listener(replace(PLAIN, mechanism="SCRAM-SHA-256"), replace(PLAIN, mechanism="NTLM"))
    body = Leak(field=Field.BODY, value=Secret("hi"), protocol=SMTP, evidence=EVIDENCE, message=1)
    guessed = replace(listener(CRAM)[1], field=Field.PASSWORD, value=Secret("sakura"), guessed=True)
    verdict = compare([*listener(CRAM), *others, body, guessed], heard(CRAM))
    assert verdict.agreement is Agreement.AGREES
    assert verdict.beyond == ("SCRAM-SHA-256 (SMTP)", "NTLM (SMTP)")


FORM = login(Protocol.HTTP, "HTML FORM", "taro", "fujisan")


@pytest.mark.parametrize(
    ("ours", "theirs", "agreement"),
    [
        pytest.param([FORM], [], Agreement.ABSENT, id="nothing-else"),
        pytest.param([FORM, PLAIN], [PLAIN], Agreement.AGREES, id="another-beside-it"),
        pytest.param([FORM], [PLAIN], Agreement.DISAGREES, id="another-that-only-the-witness-heard"),
    ],
)
def test_nobody_confirms_a_login_beyond_the_witness(ours, theirs, agreement):
    verdict = compare(listener(*ours), heard(*theirs))
    assert (verdict.agreement, verdict.beyond) == (agreement, ("HTML FORM (HTTP)",))
    if agreement is Agreement.ABSENT:
        assert str(verdict.reason).endswith("does not read logins by HTML FORM (HTTP).")


@given(
    logins=st.lists(
        st.builds(
            Login,
            st.sampled_from([POP3, SMTP]),
            st.sampled_from(["PLAIN", "LOGIN"]),
            st.binary(max_size=3),
            st.just(Field.PASSWORD),
            st.binary(max_size=3),
        ),
        max_size=4,
    ),
    data=st.data(),
)
def test_two_who_heard_the_same_agree_and_one_login_less_is_noticed(logins, data):
    assert (
        compare(listener(*logins), heard(*data.draw(st.permutations(logins)))).agreement is Agreement.AGREES
    )
    if logins:
        lost = data.draw(st.integers(0, len(logins) - 1))
        fewer = logins[:lost] + logins[lost + 1 :]
        assert compare(listener(*fewer), heard(*logins)).agreement is Agreement.DISAGREES
        assert compare(listener(*logins), heard(*fewer)).agreement is Agreement.DISAGREES


NAMES = [
    "pop.request",
    "pop.request.data",
    "pop.response.indicator",
    "smtp.command_line",
    "smtp.auth.password",
]
NAMES += ["smtp.response.code", "imap.request", "imap.response_tag", "other"]
WORDS = [
    b"AUTH PLAIN",
    b"AUTH LOGIN ",
    b"a LOGIN ",
    b"{3}",
    b'"',
    b"\\",
    b"=",
    b"*",
    b"\0",
    b"\r\n",
    b"AHUAcA==",
    b"334",
]


OCTETS = st.lists(st.sampled_from(WORDS) | st.binary(max_size=4), max_size=5).map(b"".join)
LAYER = st.builds(Layer, OCTETS, st.lists(st.tuples(st.sampled_from(NAMES), OCTETS)).map(tuple))


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([POP3, SMTP, IMAP]), LAYER)))
def test_no_fields_make_it_raise(layers):
    for one in overhear(layers):
        assert isinstance(one, Login)


# --- a witness that is missing, broken or slow -------------------------------------------------------


VERSION = "echo 'TShark (Wireshark) 4.0.17 (Git).'"
BROKEN = [
    pytest.param(
        f"{VERSION}; [ $1 = -v ] || {{ echo oops >&2; exit 2; }}",
        r"with an error \(status (2|unknown)\)\. It said: oops$",
        id="fails",
    ),
    pytest.param(
        f"[ $1 = -v ] && {VERSION}",
        r"with an error \(status (1|unknown)\)\.$",
        id="fails-without-a-word",
    ),
    pytest.param(f"[ $1 = -v ] && {VERSION} || kill -SEGV $$", r"\(status (-11|unknown)\)\.$", id="crashes"),
    pytest.param(f"[ $1 = -v ] && {VERSION} || echo '[]'", "no packet at all", id="says-nothing"),
    pytest.param(f"[ $1 = -v ] && {VERSION} || exit 0", "no packet at all", id="is-silent"),
    pytest.param(
        f"[ $1 = -v ] && {VERSION} || printf '[\\n  {{\\n nonsense\\n  }},\\n'",
        r"cannot be read\.$",
        id="talks-nonsense",
    ),
    pytest.param(
        f"[ $1 = -v ] && {VERSION} || printf '[\\n  {{\\n  \"a\": 1\\n  }},\\n'",
        r"cannot be read\.$",
        id="omits-all",
    ),
    pytest.param(
        f"[ $1 = -v ] && {VERSION} || exec sleep 1000", r"did not end within 0\.5 seconds\.$", id="hangs"
    ),
    pytest.param("exec sleep 1000", r"did not end within 0\.5 seconds\.$", id="hangs-at-its-version"),
    pytest.param("exit 1", r"does not start\.$", id="has-no-version"),
    pytest.param("echo hello", r"does not start\.$", id="has-a-strange-version"),
    pytest.param("", r"does not start\.$", id="prints-nothing"),
]


@pytest.fixture
def fake_tshark(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder) + os.pathsep + "/bin")

    def install(script: str) -> None:
        (folder / "tshark").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "tshark").chmod(0o755)

    return install


@pytest.fixture
def capture_file(tmp_path) -> Path:
    write_pcap(tmp_path / "x.pcap", wire.conversation(turns("S: +OK hello\nC: USER mrose")))
    return tmp_path / "x.pcap"


@pytest.mark.parametrize(("script", "reason"), BROKEN)
def test_a_broken_witness_is_no_agreement(fake_tshark, capture_file, script, reason):
    fake_tshark(script)
    testimony = hear(capture_file, ports={110: POP3}, patience=0.5 if "sleep" in script else 30)
    assert (testimony.hearing, testimony.logins) == (Hearing.FAILED, ())
    assert re.search(reason, str(testimony.reason))
    assert str(testimony.reason).startswith("The second witness failed: ")
    verdict = compare([], testimony)
    assert (verdict.agreement, verdict.failed) == (Agreement.DISAGREES, True)
    assert verdict.reason == testimony.reason
    assert psutil.Process().children(recursive=True) == []


def test_a_witness_that_may_not_be_run_is_no_agreement(fake_tshark, capture_file):
    fake_tshark("exit 0")
    (capture_file.parent / "bin" / "tshark").chmod(stat.S_IRUSR)
    reason = str(hear(capture_file, ports={110: POP3}).reason)
    assert reason == "The second witness failed: tshark does not start (Permission denied)."


def test_an_absent_witness_is_said_to_be_absent(tmp_path, monkeypatch, capture_file):
    monkeypatch.setenv("PATH", str(tmp_path))
    testimony = hear(capture_file, ports={110: POP3})
    assert testimony.hearing is Hearing.ABSENT
    assert "apt install tshark" in str(testimony.reason)
    assert "\n" not in str(testimony.reason)
    assert compare(listener(PLAIN), testimony).agreement is Agreement.ABSENT


@needs_tshark
def test_a_capture_cut_short_is_no_agreement(capture_file):
    capture_file.write_bytes(capture_file.read_bytes()[:-3])
    testimony = hear(capture_file, ports={110: POP3})
    assert testimony.hearing is Hearing.FAILED
    assert "cut short" in str(testimony.reason)


@needs_tshark
def test_a_file_that_is_no_capture_is_no_agreement(tmp_path):
    (tmp_path / "x").write_text("hello")
    assert hear(tmp_path / "x", ports={}).hearing is Hearing.FAILED


def test_a_missing_file_is_the_caller_s_mistake(tmp_path):
    with pytest.raises(FileNotFoundError):
        hear(tmp_path / "missing.pcap", ports={})


def test_packets_that_cannot_be_stored_are_no_agreement(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        testimony = hear(wire.conversation(turns("S: +OK hello")) * 1000, ports={110: POP3})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert testimony.hearing is Hearing.FAILED
    assert str(testimony.reason).endswith("could not be stored for tshark (File too large).")
    assert list(tmp_path.iterdir()) == []


# --- wherever it is called from ----------------------------------------------------------------------


PROGRAM = """
import sys
from mailtap.capture.model import Protocol
from mailtap.capture.witness import hear
testimony = hear(sys.argv[1], ports={110: Protocol.POP3})
print(testimony.hearing, [login.username for login in testimony.logins], testimony.reason or "")
"""


@needs_tshark
def test_it_works_in_a_thread(capture_file):
    testimonies: list[witness.Testimony] = []
    thread = threading.Thread(target=lambda: testimonies.append(hear(capture_file, ports={110: POP3})))
    thread.start()
    thread.join(60)
    assert [testimony.hearing for testimony in testimonies] == [Hearing.HEARD]
    assert psutil.Process().children(recursive=True) == []


@needs_tshark
def test_a_user_s_profile_changes_nothing(tmp_path, monkeypatch):
    profile = tmp_path / "wireshark"
    profile.mkdir()
    (profile / "disabled_protos").write_text("pop\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    packets = wire.conversation(turns("S: +OK hello\nC: USER mrose\nS: +OK\nC: PASS tanstaaf\nS: +OK"))
    assert complete(hear(packets, ports={110: POP3})) == [login(POP3, "USER/PASS", "mrose", "tanstaaf")]


@needs_tshark
def test_the_working_directory_changes_nothing_and_may_be_gone(capture_file, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.ini").write_text("[tshark]\ntshark_path = /bin/false\n")
    gone = f"import os, shutil; os.getcwd(); shutil.rmtree({str(folder)!r})\n"
    for program in (PROGRAM, gone + PROGRAM):
        command = [sys.executable, "-W", "error", "-P", "-c", program, str(capture_file)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "heard [b'mrose'] \n", "")


@needs_tshark
def test_it_works_without_a_warning_and_leaves_stderr_alone(capture_file):
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", PROGRAM, str(capture_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "heard [b'mrose'] \n", "")


@needs_tshark
@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed")
def test_it_works_in_a_private_network(capture_file):
    inside = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*inside, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine allows no user namespaces")
    command = [*inside, sys.executable, "-W", "error", "-c", PROGRAM, str(capture_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "heard [b'mrose'] \n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="no POSIX signals")
@pytest.mark.parametrize(
    "before",
    [pytest.param(f"[ $1 = -v ] && {{ {VERSION}; exit; }}", id="work"), pytest.param("", id="version")],
)
def test_an_interrupt_leaves_no_process_behind(fake_tshark, capture_file, tmp_path, before):
    started = tmp_path / "started"
    os.mkfifo(started)
    fake_tshark(f"{before}\necho $$ > {started}; exec sleep 1000")
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(capture_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        witness_pid = int(started.read_text())
        program.send_signal(signal.SIGINT)
        output, errors = program.communicate()
    assert (program.returncode, output) == (-signal.SIGINT, "")
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert "Warning" not in errors
    assert not psutil.pid_exists(witness_pid)


def test_pyshark_is_imported_only_when_used():
    program = "import sys, mailtap.capture.witness; print([name for name in ('pyshark', 'scapy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
