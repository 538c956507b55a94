"""Packets heard by the handful tell what they tell one by one: the same leaks and notes, in the same order."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import dialogue
import pytest
import wire
from crowds import crowd
from features import FEATURES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailtap.capture.evidence import ByteIndex
from mailtap.capture.files import bytestream
from mailtap.capture.model import Chunk, Direction, Endpoint, Leak, Note, Packet
from mailtap.capture.pipeline import Listener, listen
from mailtap.capture.protocols import Dialogue
from mailtap.capture.sources import handfuls, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from feature import Feature

FOLDER = Path(__file__).parent / "dialogues"
SCRIPTS = {path.stem: dialogue.load(path) for path in sorted(FOLDER.glob("*.txt"))}
BRIEF = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
READS = (1 << 20, 4096, 100)
"""Bytes of a file that are read at once, and so how much is heard together."""


def together(handfuls: Iterable[Iterable[Packet | Note]]) -> list[Leak | Note]:
    listener = Listener()
    heard = [item for handful in handfuls for item in listener.hear_together(handful)]
    return heard + listener.close()


def dealt(packets: Sequence[Packet], sizes: Sequence[int]) -> list[Sequence[Packet]]:
    """Return the packets in handfuls of those sizes, in turn."""
    out, at, turn = [], 0, 0
    while at < len(packets):
        out.append(packets[at : at + sizes[turn % len(sizes)]])
        at += sizes[turn % len(sizes)]
        turn += 1
    return out


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("feature", [pytest.param(each, id=str(each)) for each in FEATURES])
def test_every_feature(feature: Feature, size: int) -> None:
    packets = feature.packets()
    assert together(dealt(packets, [size])) == list(listen(packets))


@pytest.mark.parametrize("read_size", READS)
@pytest.mark.parametrize("write", [wire.pcap, wire.pcapng])
def test_every_feature_in_one_file(write: object, read_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bytestream, "READ_SIZE", read_size)
    assert callable(write)
    ethernet = [each for feature in FEATURES for each in feature.packets() if each.link_type == wire.ETHERNET]
    file = write(wire.renumber(ethernet))
    assert together(handfuls(io.BytesIO(file))) == list(listen(read(io.BytesIO(file))))


@given(seed=st.integers(0, 2**32), sizes=st.lists(st.integers(1, 400), min_size=1, max_size=4))
@BRIEF
def test_a_crowd_in_any_handfuls(seed: int, sizes: list[int]) -> None:
    packets = crowd(seed)
    one_by_one = list(listen(packets))
    assert sum(isinstance(item, Leak) for item in one_by_one) > 20
    assert together(dealt(packets, sizes)) == one_by_one


@pytest.mark.parametrize("read_size", READS)
@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_in_a_file(seed: int, read_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bytestream, "READ_SIZE", read_size)
    packets = crowd(seed)
    for order in "<>":
        file = wire.pcap(packets, order=order, nano=True)
        assert together(handfuls(io.BytesIO(file))) == list(listen(packets))


@given(
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 90), st.integers(0, 255)), max_size=30),
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=3),
)
@BRIEF
def test_damaged_headers_change_nothing(changes: list[tuple[int, int, int]], sizes: list[int]) -> None:
    packets = crowd(7, disturbed=False)[:600]
    for number, place, value in changes:
        packet = packets[number % len(packets)]
        data = bytearray(packet.data)
        data[place % len(data)] = value
        packets[number % len(packets)] = packet._replace(data=bytes(data))
    one_by_one = list(listen(packets))
    assert together(dealt(packets, sizes)) == one_by_one
    assert together(handfuls(io.BytesIO(wire.pcap(packets, nano=True)))) == one_by_one


@pytest.mark.parametrize("size", [0, 10, 20, 33, 34, 40, 53])
def test_a_file_of_one_short_frame(size: int) -> None:
    for frame in (wire.conversation([("C", b"x")])[0].data, b"\x02" * 12 + b"\x86\xdd" + bytes(60)):
        packet = Packet(1, 0, wire.ETHERNET, frame[:size], len(frame))
        assert together(handfuls(io.BytesIO(wire.pcap([packet])))) == list(listen([packet]))


def test_leaks_of_several_flows_come_in_the_order_of_the_wire() -> None:
    talk = [
        ("S", b"+OK\r\n"), ("C", b"USER a\r\n"), ("S", b"+OK\r\n"), ("C", b"PASS b\r\n"), ("S", b"+OK\r\n"),
    ]  # fmt: skip
    flows = [wire.conversation(talk, client=Endpoint("192.0.2.9", 30_000 + each)) for each in range(5)]
    heard = together([wire.interleave(*flows)])
    moments = [
        item.evidence.packets[-1] for item in heard if isinstance(item, Leak) and item.field == "password"
    ]
    assert len(moments) == 5
    assert moments == sorted(moments)


def test_a_flow_that_is_no_mail_is_ignored_within_a_handful() -> None:
    listener = Listener()
    web = wire.conversation(
        [("C", b"\x16\x03\x01" + bytes(200)), *[("S", bytes(1000))] * 50],
        server=Endpoint("192.0.2.1", 443),
        fin=False,
    )
    list(listener.hear_together(web))
    assert listener._ears == {}


def test_a_login_over_the_ports_of_an_ignored_flow_is_heard() -> None:
    server = Endpoint("192.0.2.1", 9999)
    turns = [("C", bytes(1400)), ("S", b"\x99" * 1400)] * 100
    other = wire.conversation(turns, server=server, fin=False)
    login = [("S", b"+OK\r\n"), ("C", b"USER bob\r\n"), ("S", b"+OK\r\n"), ("C", b"PASS hunter2\r\n")]
    again = wire.conversation(login, server=server, client_isn=9_000_000, server_isn=90_000_000)
    packets = wire.renumber(other + again)
    for told in (list(listen(packets)), together([packets])):
        assert [leak.value.reveal() for leak in told if isinstance(leak, Leak)] == ["bob", "hunter2"]


# --- one dialogue --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCRIPTS)
@given(data=st.data())
@BRIEF
def test_chunks_fed_together_tell_the_same(name: str, data: st.DataObject) -> None:
    script = SCRIPTS[name]
    one, many = Dialogue(script.port), Dialogue(script.port)
    turns = _single_bytes(script)
    expected = [event for who, chunk in turns for event in one.feed(who, chunk)]
    heard = []
    while turns:
        who = turns[0][0]
        most = next((at for at, turn in enumerate(turns) if turn[0] is not who), len(turns))
        size = data.draw(st.integers(1, most))
        first, *more = (chunk for _, chunk in turns[:size])
        heard += many.feed(who, first, *more)
        del turns[:size]
    assert heard == expected


@pytest.mark.parametrize("name", [name for name in SCRIPTS if not name.startswith("quiet_")])
def test_a_dialogue_says_how_far_each_event_needed_the_streams(name: str) -> None:
    script = SCRIPTS[name]
    single, at_once = Dialogue(script.port), Dialogue(script.port)
    turns = _single_bytes(script)
    came = {Direction.CLIENT: 0, Direction.SERVER: 0}
    moments = []
    for who, chunk in turns:
        came[who] += 1
        moments += [(came[Direction.CLIENT], came[Direction.SERVER]) for _ in single.feed(who, chunk)]
    reached = []
    for who in Direction:
        stream = [chunk for each, chunk in turns if each is who]
        if stream:
            at_once.feed(
                who, stream[0]
            )  # so that it is recognised, as in the pipeline, before the rest comes
    for who in Direction:
        rest = [chunk for each, chunk in turns if each is who][1:]
        if rest:
            at_once.feed(who, *rest)
            reached += at_once.reached
    for moment, ends in zip(moments, reached, strict=False):
        assert all(end <= there for end, there in zip(ends, moment, strict=True))
        assert any(end == there for end, there in zip(ends, moment, strict=True))


def _single_bytes(script: dialogue.Script) -> list[tuple[Direction, Chunk]]:
    """Return the turns of a script a byte at a time, a packet each."""
    offsets = dict.fromkeys(Direction, 0)
    turns: list[tuple[Direction, Chunk]] = []
    for who, text in script.turns:
        for byte in text:
            turns.append((who, Chunk(offsets[who], bytes([byte]), len(turns) + 1, len(turns) + 1)))
            offsets[who] += 1
    return turns


# --- where bytes came from -----------------------------------------------------------------------------


def test_an_index_that_forgets_still_knows_the_latest() -> None:
    index = ByteIndex()
    index.extend(range(40_000), range(1, 40_001), range(40_000))
    assert index.turn_at(39_000) == 39_001
    index.extend(range(40_000, 80_000), range(40_001, 80_001), range(40_000, 80_000))
    assert index.packet_at(0) == 0
    assert index.turn_at(79_999) == index.packet_at(79_999) == index.last_packet() == 80_000
