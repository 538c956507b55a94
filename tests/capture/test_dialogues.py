"""Whole conversations as text: what they leak, and that nothing about their transport changes it."""

from __future__ import annotations

import base64
import binascii
import html
import itertools
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import dialogue
import hearing
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailtap.capture.events import LoginSeen, MessageSeen
from mailtap.capture.mail import headers
from mailtap.capture.model import Chunk, Direction, Field, Gap, Leak, Protocol
from mailtap.capture.protocols import Dialogue

if TYPE_CHECKING:
    from mailtap.capture.events import Event

FOLDER = Path(__file__).parent / "dialogues"
GOLDEN = sorted(FOLDER.glob("*.txt"))
SCRIPTS = {path.stem: dialogue.load(path) for path in GOLDEN}
BRIEF = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
MAIL = {Field.BODY, Field.ATTACHMENT}

scripts = pytest.mark.parametrize("script", [pytest.param(each, id=name) for name, each in SCRIPTS.items()])
# Where the capture began late, the packet numbers of the two directions matter; else they may not.
in_any_order = pytest.mark.parametrize(
    "script", [pytest.param(each, id=name) for name, each in SCRIPTS.items() if not name.startswith("late_")]
)


@scripts
def test_leaks_are_as_written(script: dialogue.Script) -> None:
    leaks, notes = hearing.lines(hearing.read(hearing.listen(script.turns, script.port)))
    assert leaks == list(script.leaks)
    assert notes == list(script.notes)


def test_most_goldens_leak_something() -> None:
    loud = [name for name, script in SCRIPTS.items() if script.leaks]
    assert len(loud) >= 12
    assert all(not script.leaks for name, script in SCRIPTS.items() if name.startswith("quiet_"))


@scripts
def test_evidence_holds_the_value(script: dialogue.Script) -> None:
    for leak in hearing.read(hearing.listen(script.turns, script.port)):
        if isinstance(leak, Leak):
            assert _stands_in(leak, hearing.cut(script.turns, leak.evidence.spans)), leak


def _stands_in(leak: Leak, cut: bytes) -> bool:
    value = leak.value.reveal()
    if leak.field in MAIL:
        return bool(cut)  # bodies and attachments: test_mime
    readings = [cut.decode("utf-8", "backslashreplace"), headers.text(cut)]
    readings += [unquote_plus(readings[0]), html.unescape(readings[0])]  # a form's field, a page's cell
    readings.append(readings[0].replace('" "', "@"))  # an address in an ENVELOPE
    for blob in (cut, *cut.split()):
        try:
            readings.append(base64.b64decode(blob, validate=True).decode("utf-8", "backslashreplace"))
        except binascii.Error:
            continue
    # A digest's evidence holds the challenge too; base64 blobs then stand side by side.
    joined = "".join(leak.evidence.spans and [_unwrap(cut)])
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return any(value in each or quoted in each for each in (*readings, joined))


def _unwrap(cut: bytes) -> str:
    """Decode base64 texts that stand side by side, each with its own padding."""
    out, piece = b"", b""
    for at in range(0, len(cut) - len(cut) % 4, 4):
        piece = cut[at : at + 4]
        try:
            out += base64.b64decode(piece, validate=True)
        except binascii.Error:
            return ""
    return out.decode("utf-8", "backslashreplace")


@scripts
def test_byte_by_byte_equals_at_once(script: dialogue.Script) -> None:
    single = [(who, bytes([byte])) for who, data in script.turns for byte in data]
    assert hearing.listen(single, script.port) == hearing.listen(script.turns, script.port)


@in_any_order
@given(data=st.data())
@BRIEF
def test_split_and_interleaving_change_nothing(script: dialogue.Script, data: st.DataObject) -> None:
    streams = {who: b"".join(text for each, text in script.turns if each is who) for who in Direction}
    pieces = {who: _pieces(stream, data) for who, stream in streams.items()}
    turns: list[hearing.Turn] = []
    while pieces[Direction.CLIENT] or pieces[Direction.SERVER]:
        who = data.draw(st.sampled_from([each for each in Direction if pieces[each]]))
        turns.append((who, pieces[who].pop(0)))
    assert hearing.listen(turns, script.port) == hearing.listen(script.turns, script.port)


def _pieces(stream: bytes, data: st.DataObject) -> list[bytes]:
    stops = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8)) | {0, len(stream)})
    return [stream[start:stop] for start, stop in itertools.pairwise(stops)]


@scripts
@given(data=st.data())
@BRIEF
def test_damaged_dialogues_never_raise(script: dialogue.Script, data: st.DataObject) -> None:
    turns: list[hearing.Turn] = []
    for who, text in script.turns:
        damage = data.draw(st.sampled_from(["none"] * 6 + ["drop", "hole", "flip", "twice", "other"]))
        if damage == "hole":
            turns.append((who, len(text)))
        elif damage == "flip" and text:
            at = data.draw(st.integers(0, len(text) - 1))
            turns.append((who, text[:at] + data.draw(st.binary(max_size=4)) + text[at + 1 :]))
        elif damage != "drop":
            turns += [(who, text)] * (2 if damage == "twice" else 1)
        if damage == "other":
            turns.append((data.draw(st.sampled_from(list(Direction))), data.draw(st.binary(max_size=20))))
    found = hearing.read(hearing.listen(turns, script.port))
    for each in found:
        assert str(each)
    for leak in found:
        if isinstance(leak, Leak):
            assert hearing.cut(turns, leak.evidence.spans)


@given(
    turns=st.lists(
        st.tuples(st.sampled_from(list(Direction)), st.binary(min_size=1, max_size=40)), max_size=20
    ),
    port=st.sampled_from([25, 80, 110, 143, 995, 4242]),
)
@settings(deadline=None)
def test_random_bytes_never_raise(turns: list[hearing.Turn], port: int) -> None:
    hearing.read(hearing.listen(turns, port))


@pytest.mark.parametrize("name", SCRIPTS)
def test_one_half_alone_never_raises_and_leaks_no_more(name: str) -> None:
    script = SCRIPTS[name]
    ports = (4242,) if name.startswith("quiet_") else (25, 110, 143, 4242)
    both = {_value(each) for each in hearing.read(hearing.listen(script.turns, script.port))}
    for kept in Direction:
        turns = [turn for turn in script.turns if turn[0] is kept]
        for port in ports:
            alone = {
                _value(each) for each in hearing.read(hearing.listen(turns, port)) if isinstance(each, Leak)
            }
            assert alone <= both


def _value(each: object) -> tuple[str, str] | None:
    return (each.field.value, each.value.reveal()) if isinstance(each, Leak) else None


def test_events_come_as_soon_as_the_verdict_does() -> None:
    listener = Dialogue(110)
    heard: list[list[Event]] = []
    for direction, item in hearing.items(SCRIPTS["pop3_apop"].turns):
        heard.append(listener.feed(direction, item))
    assert [len(each) for each in heard] == [0, 0, 1, 0, 0]


def test_what_waits_is_bounded() -> None:
    listener = Dialogue(110)
    listener.feed(Direction.SERVER, Chunk(0, b"+OK\r\n", 1, 1))
    listener.feed(Direction.CLIENT, Chunk(0, b"USER a\r\n", 2, 2))
    line, offset, events = b"NOOP " + b"x" * 1000 + b"\r\n", 8, []
    for number in range(3, 9000):
        events += listener.feed(Direction.CLIENT, Chunk(offset, line, number, number))
        offset += len(line)
        assert listener._talk.client.pending < 5_000_000
    assert [type(each).__name__ for each in events] == ["HalfGivenUp", "LoginSeen"]
    late = Chunk(5, b"+OK\r\n" * 1000, 9000, 9000)
    listener.feed(Direction.SERVER, late)
    events += listener.feed(Direction.CLIENT, Chunk(offset, b"USER b\r\nPASS c\r\n", 9001, 9001))
    assert [each.accepted for each in events if isinstance(each, LoginSeen)] == [None, None]
    assert not listener._talk.server.pending


def test_a_silent_server_is_given_up_before_the_protocol_is_known() -> None:
    listener = Dialogue(4242)
    opening = b"EHLO me\r\nMAIL FROM:<a>\r\nDATA\r\n"
    listener.feed(Direction.CLIENT, Chunk(0, opening, 1, 1))
    offset = len(opening)
    for number in range(2, 600):
        listener.feed(Direction.CLIENT, Chunk(offset, b"x" * 8190 + b"\r\n", number, number))
        offset += 8192
    assert listener.protocol is Protocol.SMTP
    listener.feed(Direction.SERVER, Chunk(0, b"220 x\r\n250 x\r\n550 no\r\n", 601, 601))
    (event,) = listener.feed(Direction.CLIENT, Chunk(offset, b".\r\nQUIT\r\n", 602, 602))
    assert isinstance(event, MessageSeen)
    assert event.accepted is None


@pytest.mark.parametrize("step", [1, 7, 10_000], ids=["bytes", "pieces", "at-once"])
def test_messages_are_bounded(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    for module in ("blocks", "lines"):
        monkeypatch.setattr(f"mailtap.capture.protocols.{module}.MESSAGE_LIMIT", 1_000)
    opening = dialogue.turns("S: 220 x\nC: EHLO x\nS: 250 x\nC: MAIL FROM:<a>\nS: 250 x\nC: DATA\nS: 354 x\n")
    body = b"x" * 78 + b"\r\n"
    turns = [*opening, *dialogue.turns("C: QUIT\nS: 221 x\n")]
    long = body * 40 + b".\r\nBDAT 3000 LAST\r\n" + b"y" * 3000
    pieces = [(Direction.CLIENT, long[at : at + step]) for at in range(0, len(long), step)]
    turns[7:7] = [*pieces, (Direction.SERVER, b"250 x\r\n250 x\r\n")]
    first, second = (each for each in hearing.listen(turns) if isinstance(each, MessageSeen))
    assert first.content is not None
    assert second.content is not None
    assert (first.content.data, second.content.data) == ((body * 40)[:1_000], b"y" * 1_000)
    assert first.limited
    assert second.limited
    assert not first.whole


def test_feeding_after_the_end_is_ignored() -> None:
    listener = Dialogue(4242)
    assert listener.feed(Direction.CLIENT, Chunk(0, b"GET / HTTP/1.0\r\n", 1, 1)) == []
    assert listener.feed(Direction.CLIENT, Gap(16, 10, 2, 2)) == []
    assert listener.close(Direction.CLIENT) == []
    assert listener.protocol is None
