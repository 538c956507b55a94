"""Segments to chunks in order: disorder, repetition, loss, late starts, reused ports, bounds."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from mailtap.capture.decode import Decoder
from mailtap.capture.model import Chunk, Direction, Endpoint, Gap, Packet, Segment
from mailtap.capture.reassembly import Reassembler
from mailtap.capture.wire.ends import ends_of, turned

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailtap.capture.wire.connection import Heard

TALK = [
    ("S", b"+OK hello <1.2@three>\r\n"),
    ("C", b"USER mrose\r\n"),
    ("S", b"+OK\r\n"),
    ("C", b"PASS tanstaaf\r\n"),
    ("S", b"+OK 1 message\r\n"),
    ("C", b"QUIT\r\n"),
    ("S", b"+OK bye\r\n"),
]
LETTER = {Direction.CLIENT: "C", Direction.SERVER: "S"}


def segments(packets: Iterable[Packet]) -> list[Segment]:
    decoder = Decoder()
    return [item for packet in packets for item in decoder.decode(packet) if isinstance(item, Segment)]


def listen(packets: Iterable[Packet], *, most_open: int = 16384) -> list[Heard]:
    reassembler = Reassembler(most_open=most_open)
    out = [heard for segment in segments(packets) for heard in reassembler.feed(segment)]
    return [*out, *reassembler.close()]


def told(heard: Iterable[Heard]) -> list[tuple[str, str | bytes]]:
    """Return who said what, in order, with neighbours of one side joined; a hole is `<length>`, an end `$`."""
    out: list[tuple[str, bytes]] = []
    last = None
    for one, direction, item in heard:
        text = b"$" if item is None else b"<%d>" % item.length if isinstance(item, Gap) else item.data
        if last == (one.number, direction):
            out[-1] = (out[-1][0], out[-1][1] + text)
        else:
            out.append((LETTER[direction], text))
        last = (one.number, direction)
    return out


def story(packets: Iterable[Packet]) -> list[tuple[str, str | bytes]]:
    return told(listen(packets))


PLAIN = [*TALK[:-2], ("C", b"QUIT\r\n"), ("S", b"+OK bye\r\n"), ("C", b"$"), ("S", b"$")]


def test_a_plain_conversation() -> None:
    heard = listen(wire.conversation(TALK))
    assert told(heard) == PLAIN
    assert {(str(one.flow.client), str(one.flow.server), one.flow.number) for one, _, _ in heard} == {
        ("192.0.2.10:47206", "192.0.2.1:110", 1)
    }
    chunks = [(direction, item) for _, direction, item in heard if isinstance(item, Chunk)]
    assert chunks[1][1] == Chunk(0, b"USER mrose\r\n", 6, wire.START_NS + 5 * wire.STEP_NS)
    for side in Direction:
        mine = [item for direction, item in chunks if direction is side]
        assert [item.offset for item in mine] == [
            sum(len(item.data) for item in mine[:place]) for place in range(len(mine))
        ]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2)], ids=["in order", "acknowledged before it was seen"])
def test_after_one_side_has_ended_the_other_is_still_passed_on_the_quick_way(order: tuple[int, ...]) -> None:
    reassembler = Reassembler()
    talk = wire.pieces([("C", b"QUIT\r\n")], fin=False)
    ends = [
        wire.Piece("C", 1007, 5_000_001, wire.FIN | wire.ACK, b""),
        wire.Piece("S", 5_000_001, 1008, wire.ACK, b""),
        wire.Piece("S", 5_000_001, 1008, wire.ACK, b"+OK\r\n"),
    ]
    heard = [
        item
        for segment in segments(wire.packets([*talk, *(ends[place] for place in order)]))
        for item in reassembler.feed(segment)
    ]
    assert told(heard) == [("C", b"QUIT\r\n$"), ("S", b"+OK\r\n")]
    assert heard[0][0].calm


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"mss": 1}, id="byte by byte"),
        pytest.param({"mss": 5, "overlap": 3}, id="overlapping"),
        pytest.param({"mss": 5, "overlap": 40}, id="overlapping to the start"),
        pytest.param({"client_isn": 2**32 - 8, "server_isn": 2**32 - 1}, id="sequence numbers wrap"),
        pytest.param(
            {"client_isn": 2**31 - 8, "server_isn": 2**31 - 1}, id="sequence numbers pass the middle"
        ),
        pytest.param({"acks": False}, id="no bare acknowledgements"),
        pytest.param({"syn_ack": False}, id="no SYN-ACK"),
        pytest.param({"fin": False}, id="no FIN"),
        pytest.param({"syn": False}, id="no SYN"),
        pytest.param({"syn": False, "fin": False, "acks": False}, id="nothing but data"),
    ],
)
def test_the_shape_of_the_connection_does_not_matter(options: dict[str, int]) -> None:
    assert story(wire.conversation(TALK, **options)) == PLAIN


def test_data_on_the_syn_is_heard() -> None:
    packets = wire.conversation(TALK[1:], syn_data=True)
    assert story(packets) == [*PLAIN[1:]]


@pytest.mark.parametrize("syn_ack", [0, 3, 5], ids=["late start", "SYN-ACK later", "SYN-ACK after many"])
@pytest.mark.parametrize("swap", range(2, 6))
def test_what_overtook_the_first_bytes_does_not_count_as_the_first(syn_ack: int, swap: int) -> None:
    """Nothing is passed on before it is known where the streams begin, so nothing is too old by then."""
    packets = wire.conversation(TALK, mss=5, syn=False, acks=False)
    packets[0], packets[swap - 1] = packets[swap - 1], packets[0]
    if syn_ack:
        syn, answer, _, *_ = wire.conversation(TALK)
        packets = [syn, *packets[:syn_ack], answer, *packets[syn_ack:]]
    assert story(wire.renumber(packets)) == PLAIN


@pytest.mark.parametrize("probes", [1, 2])
@pytest.mark.parametrize("side", ["C", "S"])
def test_a_keep_alive_before_a_late_start_is_not_a_byte(side: str, probes: int) -> None:
    begins, other = {"C": 1001, "S": 5_000_001}, {"C": "S", "S": "C"}[side]
    probe = [
        wire.Piece(side, begins[side] - 1, begins[other], wire.ACK, b""),
        wire.Piece(other, begins[other], begins[side], wire.ACK, b""),
    ]
    assert story(wire.packets([*probe * probes, *wire.pieces(TALK, syn=False)])) == PLAIN


def test_a_first_byte_that_was_overtaken_is_no_keep_alive() -> None:
    """Its place was acknowledged as the next one, so the other side did not have it yet."""
    talk = [("C", b"U"), ("C", b"SER mrose\r\n"), ("S", b"+OK\r\n")]
    packets = wire.conversation(talk, syn=False, mss=5, fin=False)
    data, ack, rest, *more = packets
    bare = wire.packets(
        [wire.Piece("C", 1001, 5_000_001, wire.ACK, b""), wire.Piece("S", 5_000_001, 1001, wire.ACK, b"")]
    )
    known_late = wire.renumber([*bare * 5, ack, rest, *more[:3], data, *more[3:]])
    assert story(known_late)[0] == ("C", b"USER mrose\r\n")


@st.composite
def mischief(draw: st.DrawFn) -> list[Packet]:
    """Draw TALK cut anywhere, with packets repeated and out of place by a few."""
    syn = draw(st.booleans())
    packets = wire.conversation(
        TALK,
        mss=draw(st.integers(1, 30)),
        overlap=draw(st.integers(0, 9)),
        client_isn=draw(st.sampled_from([1000, 2**32 - 30])),
        syn=syn,
        acks=draw(st.booleans()) or not syn,  # else nothing tells where the second to speak began
    )
    last = len(packets)
    # The SYN and SYN-ACK may come late, but not after what would be a start without them.
    spread = draw(st.integers(0, 5))
    keys = [number + draw(st.integers(0, spread)) for number in range(last)]
    order = sorted(range(1, last + 1), key=lambda number: keys[number - 1])
    packets = wire.reorder(packets, order)
    twice = draw(st.lists(st.integers(1, last), max_size=5, unique=True))
    later = draw(st.integers(1, 4))
    return wire.duplicate(packets, *twice, later=later) if twice else packets


@given(packets=mischief())
def test_any_split_order_and_repetition_tells_the_same_story(packets: list[Packet]) -> None:
    assert story(packets) == PLAIN


@given(cuts=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20)), max_size=30))
def test_of_overlapping_bytes_the_first_copy_counts(cuts: list[tuple[int, int]]) -> None:
    """Every segment has a letter of its own; the stream is compared with a byte-by-byte model."""
    reassembler = Reassembler()
    ends = ends_of(wire.CLIENT, wire.SERVER)
    syn = [Segment(1, 0, ends, 99, 0, wire.SYN, b"", 0), Segment(2, 0, turned(ends), 99, 100, 0x12, b"", 0)]
    letters = itertools.cycle(b"abcdefghijklmnopqrstuvwxyz")
    model: dict[int, int] = {}
    data = []
    for number, ((start, length), letter) in enumerate(zip(cuts, letters, strict=False), 3):
        data.append(Segment(number, 0, ends, 100 + start, 100, wire.ACK, bytes([letter]) * length, 0))
        done = next(place for place in itertools.count() if place not in model)
        for place in range(start, start + length):
            if place >= done:
                model.setdefault(place, letter)
    heard = [item for segment in [*syn, *data] for item in reassembler.feed(segment)]
    heard += reassembler.close()
    stream: dict[int, int] = {}
    for _, direction, item in heard:
        if isinstance(item, Chunk):
            assert direction is Direction.CLIENT
            assert not stream.keys() & set(range(item.offset, item.offset + len(item.data)))
            stream.update(enumerate(item.data, item.offset))
            assert list(stream) == sorted(stream)
    assert stream == model


@pytest.mark.parametrize(
    ("late", "noted"),
    [pytest.param(False, True, id="passed on before"), pytest.param(True, True, id="still waiting")],
)
def test_a_repetition_with_other_content_is_noted_once(late: bool, noted: bool) -> None:
    packets = wire.conversation([("C", b"abcd"), ("C", b"efgh"), ("C", b"ijkl")], acks=False)
    forged = packets[4]._replace(data=packets[4].data.replace(b"efgh", b"EvIl"))
    order = (
        [*packets[:3], packets[4], forged, forged, packets[3], *packets[5:]]
        if late
        else [*packets[:5], forged, forged, *packets[5:]]
    )
    heard = listen(wire.renumber(order))
    assert told(heard)[0] == ("C", b"abcdefghijkl$")
    assert [str(note) for note in heard[0][0].notes] == [
        f"Packet {5 if late else 6} repeats bytes with another content; the first copy counts."
    ] * noted


def test_a_keep_alive_is_no_repetition_with_other_content() -> None:
    packets = wire.conversation([("C", b"NOOP\r\n"), ("S", b"+OK\r\n")])
    probe = wire.frame(wire.CLIENT, wire.SERVER, wire.Piece("C", 1006, 5_000_006, wire.ACK, b"\0"))
    heard = listen(
        wire.renumber([*packets[:7], packets[0]._replace(data=probe, length=len(probe)), *packets[7:]])
    )
    assert told(heard) == [("C", b"NOOP\r\n"), ("S", b"+OK\r\n"), ("C", b"$"), ("S", b"$")]
    assert heard[0][0].notes == []


# --- loss --------------------------------------------------------------------------------------------


def numbers(packets: Sequence[Packet], payload: bytes) -> list[int]:
    return [packet.number for packet in packets if payload in packet.data]


def test_a_lost_command_is_a_hole_before_its_answer() -> None:
    packets = wire.conversation(TALK)
    lost = wire.lose(packets, *numbers(packets, b"USER"))
    expected = [(side, text.replace(b"USER mrose\r\n", b"<12>")) for side, text in PLAIN]
    heard = listen(lost)
    assert told(heard) == expected
    (gap,) = [item for _, _, item in heard if isinstance(item, Gap)]
    assert gap == Gap(0, 12, 6, wire.START_NS + 5 * wire.STEP_NS) or gap.offset == 0


def test_a_lost_reply_is_a_hole_before_the_next_command() -> None:
    packets = wire.conversation(TALK)
    lost = wire.lose(packets, *numbers(packets, b"+OK 1 message"))
    expected = [(side, text.replace(b"+OK 1 message\r\n", b"<15>")) for side, text in PLAIN]
    assert story(lost) == expected


def test_a_hole_is_not_given_up_while_the_other_side_may_lack_it_too() -> None:
    """The second of three segments comes late, after a time in which nobody acknowledged it."""
    reassembler = Reassembler()
    talk = wire.conversation([("C", b"abcd"), ("C", b"efgh"), ("C", b"ijkl")], acks=False, fin=False)
    feed = segments(talk)
    for segment in (*feed[:4], feed[5]):
        out = reassembler.feed(segment)
    assert out == []
    far = feed[5]._replace(time_ns=feed[5].time_ns + 10**12, packet=50)
    assert reassembler.feed(far) == []
    assert [item.data for _, _, item in reassembler.feed(feed[4])] == [b"efgh", b"ijkl"]


def test_an_acknowledged_hole_is_given_up_after_a_while_of_packets() -> None:
    talk = [turn for _ in range(60) for turn in (("C", b"NOOP\r\n"), ("S", b"+OK\r\n"))]
    packets = wire.conversation(talk, fin=False)
    reassembler = Reassembler()
    seen: list[Heard] = []
    for segment in segments(wire.lose(packets, 4)):
        seen += reassembler.feed(segment)
        if any(isinstance(item, Gap) for _, _, item in seen):
            break
    assert 60 < segment.packet < 80
    assert told(seen)[:3] == [("C", b"<6>"), ("S", b"+OK\r\n"), ("C", b"NOOP\r\n")]


def test_small_segments_that_a_tap_mixes_up_leave_no_hole() -> None:
    """Eight bytes in each, and the first comes to the capture behind the hundred that overtook it."""
    said = b"".join(b"line %03d\r\n" % number for number in range(80))
    packets = wire.conversation([("S", said)], mss=8, fin=False)
    order = [number for number in range(1, len(packets) + 1) if number != 4]
    late = wire.renumber(wire.reorder(packets, [*order[:140], 4, *order[140:]]), step_ns=200_000)
    assert story(late) == [("S", said), ("C", b"$"), ("S", b"$")]


def test_the_beginning_is_waited_for_where_small_segments_overtook_it() -> None:
    packets = wire.conversation([("C", b"USER mrose\r\n" * 9)], mss=4, acks=False, fin=False)
    late = wire.renumber(wire.reorder(packets, [*range(3, 31), 1, 2]), step_ns=200_000)
    assert story(late) == [("C", b"USER mrose\r\n" * 9 + b"$"), ("S", b"$")]


def test_an_acknowledged_hole_is_given_up_after_a_second_even_when_only_others_talk() -> None:
    first = wire.lose(wire.conversation([("C", b"NOOP\r\n"), ("S", b"+OK\r\n")], fin=False), 4)
    other = wire.conversation([], client=Endpoint("192.0.2.77", 999))[0]
    reassembler = Reassembler()
    feed = segments(first)
    assert [item for segment in feed for item in reassembler.feed(segment)] == []
    late = segments([other._replace(number=99, time_ns=first[-1].time_ns + 2 * 10**9)])
    assert told(reassembler.feed(late[0])) == [("C", b"<6>"), ("S", b"+OK\r\n")]


def test_a_lost_fin_is_not_a_hole() -> None:
    packets = wire.conversation([("C", b"QUIT\r\n"), ("S", b"+OK\r\n")])
    assert story(wire.lose(packets, len(packets) - 2)) == [
        ("C", b"QUIT\r\n"),
        ("S", b"+OK\r\n$"),
        ("C", b"$"),
    ]


def test_a_snaplen_cut_is_a_hole_at_once() -> None:
    packets = wire.conversation(TALK, fin=False)
    assert story(wire.snap(packets, 60))[:4] == [
        ("S", b"+OK he<17>"),
        ("C", b"USER m<6>"),
        ("S", b"+OK\r\n"),
        ("C", b"PASS t<9>"),
    ]


@pytest.mark.parametrize("side", ["C", "S"])
@pytest.mark.parametrize("syn", [True, False], ids=["from the start", "started late"])
def test_one_half_alone_is_heard(side: str, syn: bool) -> None:
    packets = wire.only(wire.conversation(TALK, syn=syn), side)
    joined = b"".join(text for who, text in TALK if who == side)
    other = "S" if side == "C" else "C"
    assert sorted(story(packets)) == sorted([(side, joined + b"$"), (other, b"$")])


# --- beginnings and ends -----------------------------------------------------------------------------

ODD = Endpoint("192.0.2.1", 2110)
LOW = Endpoint("192.0.2.10", 1024)


@pytest.mark.parametrize(
    ("client", "server", "drop"),
    [
        pytest.param(wire.CLIENT, wire.SERVER, 3, id="well-known port"),
        pytest.param(LOW, ODD, 1, id="SYN-ACK, though the client's port is lower"),
        pytest.param(Endpoint("192.0.2.10", 40000), ODD, 3, id="higher port is the client's"),
        pytest.param(LOW, ODD, 0, id="SYN, though the client's port is lower"),
        pytest.param(LOW, ODD, 3, id="what they say, though the client's port is lower"),
    ],
)
def test_who_is_the_client(client: Endpoint, server: Endpoint, drop: int) -> None:
    packets = wire.conversation(TALK, client=client, server=server)[drop:]
    heard = listen(packets)
    assert (heard[0][0].flow.client, heard[0][0].flow.server) == (client, server)
    assert heard[0][0].late is (drop == 3)
    assert told(heard) == PLAIN


HELLOS = [("C", b"\x16\x03\x01\x00\x05\x01"), ("S", b"\x16\x03\x03\x00\x05\x02")]


@pytest.mark.parametrize(
    "talk",
    [
        pytest.param(HELLOS, id="hellos of TLS"),
        pytest.param(HELLOS[:1], id="a client's hello"),
        pytest.param(HELLOS[1:], id="a server's hello"),
        pytest.param([("C", b"MAIL FROM:<a>\r\n")], id="a request"),
        pytest.param([("S", b"250 ok\r\n")], id="a reply"),
        pytest.param([("C", b"a UID FETCH 1 BODY[]\r\n"), ("S", b"* 1 FETCH (")], id="IMAP"),
    ],
)
def test_the_server_is_known_by_what_it_says(talk: list[tuple[str, bytes]]) -> None:
    heard = listen(wire.conversation(talk, client=LOW, server=ODD, syn=False))
    assert heard[0][0].flow.server == ODD


def test_a_connection_that_always_waits_keeps_no_other_waiting() -> None:
    restless = wire.conversation([("C", b"x" * 4000)], mss=1, client=Endpoint("192.0.2.77", 999))
    order = sorted(range(4, 8000), key=lambda place: place + 4 * (place % 2 == 0))
    restless = wire.reorder(restless, [1, 2, 3, *order])
    lossy = wire.lose(wire.conversation([("C", b"NOOP\r\n"), ("S", b"+OK\r\n")], fin=False), 4)
    reassembler = Reassembler()
    heard: list[Heard] = []
    for segment in segments(wire.renumber([*restless[:10], *lossy, *restless[10:2500]])):
        heard += reassembler.feed(segment)
    assert [item.length for _, _, item in heard if isinstance(item, Gap)] == [6]


def test_a_reused_port_is_a_new_flow() -> None:
    first = wire.conversation(TALK, fin=False)
    second = wire.conversation(TALK, client_isn=77_000, server_isn=99_000)
    heard = listen(wire.renumber([*first, *second]))
    assert told(heard) == [*PLAIN, *PLAIN]
    assert {one.number for one, _, _ in heard} == {1, 2}


def test_a_reused_port_without_its_syn_is_a_new_flow_once_the_old_one_is_closed() -> None:
    first = wire.conversation(TALK)
    second = wire.conversation(TALK, client_isn=770_000_000, server_isn=990_000_000, syn=False)
    heard = listen(wire.renumber([*first, *second]))
    assert told(heard) == [*PLAIN, *PLAIN]


def test_what_is_repeated_after_the_end_is_no_new_flow() -> None:
    packets = wire.conversation(TALK)
    heard = listen(wire.renumber([*packets, *packets[2:]]))
    assert told(heard) == PLAIN


@pytest.mark.parametrize("ahead", [5000, -5000, 1 << 30, 1 << 31], ids=str)
@pytest.mark.parametrize("place", range(7))
def test_of_two_syn_acks_the_one_that_the_client_took_counts(place: int, ahead: int) -> None:
    """With SYN cookies a server forgets the first; behind one address there may be several servers."""
    pieces = wire.pieces(TALK)
    other = pieces[1]._replace(sequence=(pieces[1].sequence + ahead) % (1 << 32))
    assert story(wire.packets([*pieces[: 1 + place], other, *pieces[1 + place :]])) == PLAIN


def test_a_reset_that_answers_no_syn_of_this_connection_is_not_believed() -> None:
    """The other side of a connection that is half-open acknowledges an old one (RFC 9293, section 3.5.1)."""
    syn, *rest = wire.pieces(TALK)
    old = syn._replace(side="S", sequence=70_000, acknowledgment=syn.sequence + 400, flags=wire.ACK)
    reset = syn._replace(sequence=old.acknowledgment, flags=wire.RST)
    assert story(wire.packets([syn, old, reset, syn, *rest])) == PLAIN


@pytest.mark.parametrize("flags", [wire.RST, wire.RST | wire.ACK])
def test_a_reset_that_does_not_acknowledge_the_syn_is_not_believed(flags: int) -> None:
    syn, *rest = wire.pieces(TALK)
    stray = syn._replace(side="S", sequence=123_456_789, acknowledgment=987_654_321, flags=flags)
    assert story(wire.packets([syn, stray, *rest])) == PLAIN
    refusal = stray._replace(sequence=0, acknowledgment=syn.sequence + 1, flags=wire.RST | wire.ACK)
    assert story(wire.packets([syn, refusal])) == [("C", b"$"), ("S", b"$")]


def test_a_reset_ends_both_directions() -> None:
    packets = wire.conversation(TALK[:4], fin=False)
    at = sum(len(text) for side, text in TALK[:4] if side == "C")
    reset = wire.frame(wire.CLIENT, wire.SERVER, wire.Piece("C", 1001 + at, 0, wire.RST, b""))
    reassembler = Reassembler()
    feed = segments(wire.renumber([*packets, packets[0]._replace(data=reset, length=len(reset))]))
    heard = [item for segment in feed for item in reassembler.feed(segment)]
    assert told(heard)[-3:] == [("S", b"+OK\r\n"), ("C", b"PASS tanstaaf\r\n$"), ("S", b"$")]
    assert reassembler.close() == []


def test_a_stray_reset_is_not_believed() -> None:
    packets = wire.conversation(TALK)
    reset = wire.frame(wire.CLIENT, wire.SERVER, wire.Piece("C", 999_000_000, 0, wire.RST, b""))
    heard = listen(
        wire.renumber([*packets[:6], packets[0]._replace(data=reset, length=len(reset)), *packets[6:]])
    )
    assert told(heard) == PLAIN


@pytest.mark.parametrize("ahead", [500, 70_000, 2_000_000, 1 << 28, (1 << 30) - 5000], ids=str)
@pytest.mark.parametrize(
    ("flags", "payload"),
    [
        pytest.param(wire.ACK, b"DELE 1\r\n", id="data"),
        pytest.param(wire.ACK | wire.FIN, b"", id="fin"),
        pytest.param(wire.RST, b"", id="reset"),
    ],
)
@pytest.mark.parametrize("side", "CS")
def test_what_an_earlier_connection_left_behind_is_not_believed(
    side: str, flags: int, payload: bytes, ahead: int
) -> None:
    """A segment that was long on its way, between the same ports: initial sequence numbers are random."""
    pieces = wire.pieces(TALK)
    syn = next(piece for piece in pieces if piece.side == side)
    old = syn._replace(
        sequence=syn.sequence + ahead, acknowledgment=123_456_789, flags=flags, payload=payload
    )
    for place in range(2, len(pieces) - 1):  # behind the last FIN it may be of a later one
        assert story(wire.packets([*pieces[:place], old, *pieces[place:]])) == PLAIN


def test_nothing_is_dropped_where_acknowledgements_are_heard_no_longer() -> None:
    """As where the two directions take different ways, and one of them changes."""
    packets = wire.conversation([("C", b"RETR 1\r\n"), ("S", bytes(3_000_000))], fin=False)
    later = wire.only(packets[20:], "S")
    heard = listen([*packets[:20], *later[:5], *later[6:]])
    sent = [item for _, direction, item in heard if direction is Direction.SERVER]
    assert sum(len(item.data) for item in sent if isinstance(item, Chunk)) == 3_000_000 - 1460
    assert [item.length for item in sent if isinstance(item, Gap)] == [1460]


def test_a_host_may_talk_to_itself() -> None:
    me = Endpoint("127.0.0.1", 47206)
    packets = wire.conversation(TALK, client=me, server=Endpoint("127.0.0.1", 110))
    assert story(packets) == PLAIN
    listen(wire.conversation(TALK, client=me, server=me))


# --- bounds ------------------------------------------------------------------------------------------


def test_early_bytes_are_bounded_and_the_bound_is_noted() -> None:
    reassembler = Reassembler()
    feed = segments(wire.lose(wire.conversation([("C", bytes(3_000_000))], acks=False, fin=False), 4))
    most = 0
    heard: list[Heard] = []
    for segment in feed:
        heard += reassembler.feed(segment)
        most = max(most, *(half.early.size for one in reassembler._open.values() for half in one.halves))
    assert most < 1_100_000
    assert heard[0][2] == Gap(0, 1460, 5 - 1, wire.START_NS + 3 * wire.STEP_NS)
    assert sum(len(item.data) for _, _, item in heard if isinstance(item, Chunk)) == 3_000_000 - 1460
    assert [str(note) for note in heard[0][0].notes] == [
        "By packet 722 too much had come out of order to wait any longer for what was missing."
    ]


def test_open_and_closed_connections_are_bounded() -> None:
    reassembler = Reassembler(most_open=100)
    for port in range(1, 10_000):
        packets = wire.conversation([("C", b"x")], client=Endpoint("192.0.2.9", port), fin=bool(port % 2))
        for segment in segments(packets):
            reassembler.feed(segment)
    assert len(reassembler._open) <= 100
    assert len(reassembler._entries) <= 2 * (4096 + 100)
    assert reassembler.crowded_out > 0


def test_early_bytes_of_all_connections_together_are_bounded() -> None:
    reassembler = Reassembler(most_bytes=100_000)
    heard: list[Heard] = []
    for port in range(1, 200):
        talk = wire.conversation(
            [("C", bytes(5000))], client=Endpoint("192.0.2.9", port), acks=False, fin=False
        )
        for segment in segments(wire.lose(talk, 4)):
            heard += reassembler.feed(segment)
        assert reassembler._buffered == sum(one.buffered for one in reassembler._open.values()) <= 100_000
    assert len({one.number for one, _, item in heard if isinstance(item, Gap)}) == 199 - 100_000 // 3540


def test_a_flood_of_openings_costs_no_more_the_longer_it_lasts() -> None:
    """Every one of these waits for a second; looking at all of them at each packet would take minutes."""
    reassembler = Reassembler()
    for number in range(40_000):
        ends = ends_of(Endpoint(f"10.0.{number >> 8}.{number & 255}", 5), wire.SERVER)
        reassembler.feed(Segment(number, number * 100_000, ends, 7, 0, wire.SYN, b"", 0))
    assert len(reassembler._waiting) <= 10_002
    assert reassembler.crowded_out > 0


MINUTE_NS = 60 * 1_000_000_000


def at_minute(minute: int, number: int, packet: Packet) -> Packet:
    return packet._replace(number=number, time_ns=wire.START_NS + minute * MINUTE_NS)


def test_silent_connections_are_ended_by_the_time_of_the_packets() -> None:
    """A new one each minute for ten hours, none of which ever ends: those of an hour are open, not all."""
    reassembler = Reassembler()
    talk = [wire.conversation(TALK, client=Endpoint("192.0.2.9", 1 + port), fin=False) for port in range(600)]
    numbers = itertools.count(1)
    most, ended = 0, []
    for minute, packets in enumerate(talk):
        for segment in segments(at_minute(minute, next(numbers), packet) for packet in packets):
            ended += [one.number for one, _, item in reassembler.feed(segment) if item is None]
        most = max(most, len(reassembler._open))
    assert 30 < most <= 62
    assert len(reassembler._entries) == 2 * len(reassembler._open)
    assert sorted(ended) == [1 + place // 2 for place in range(2 * (600 - len(reassembler._open)))]


def test_a_connection_that_speaks_again_before_it_was_missed_is_heard_whole() -> None:
    mine = wire.conversation(TALK)
    other = wire.conversation(TALK, client=Endpoint("192.0.2.9", 1))
    parts = [(0, mine[:7]), (1, other[:7]), (32, other[7:]), (64, mine[7:])]
    packets = [(minute, packet) for minute, part in parts for packet in part]
    heard = listen(at_minute(minute, number, packet) for number, (minute, packet) in enumerate(packets, 1))
    assert told(item for item in heard if item[0].number == 1) == PLAIN


def test_a_capture_that_slept_ends_nothing_that_was_not_silent_before() -> None:
    one = wire.conversation(TALK, client=Endpoint("192.0.2.9", 1))
    other = wire.conversation(TALK, client=Endpoint("192.0.2.9", 2))
    mixed = wire.interleave(one, other)
    woken = [at_minute(45 * (number > 12), number, packet) for number, packet in enumerate(mixed, 1)]
    heard = listen(woken)
    assert [told(item for item in heard if item[0].number == number) for number in (1, 2)] == [PLAIN, PLAIN]


def test_looking_for_silent_connections_costs_little_however_the_time_runs() -> None:
    """Half an hour from packet to packet, and many of which nobody wants to hear: not all are looked at."""
    reassembler = Reassembler()
    for port in range(1, 1001):
        ends = ends_of(Endpoint("10.0.0.1", port), wire.SERVER)
        reassembler.feed(Segment(port, port, ends, 7, 0, wire.SYN, b"", 0))
    for one in reassembler._open.values():
        reassembler.mute(one)
    sweeps, ends = set(), ends_of(Endpoint("10.0.0.2", 5), wire.SERVER)
    for number in range(1001, 2001):
        time_ns = number * 31 * MINUTE_NS
        reassembler.feed(Segment(number, time_ns, ends, 8, 0, wire.ACK, b"", 0))
        sweeps.add(reassembler._swept)
    assert 2 < len(sweeps) * len(reassembler._open) <= 1000 * 64


def test_a_muted_connection_says_nothing_more_and_its_port_may_be_reused() -> None:
    reassembler = Reassembler()
    feed = segments(wire.conversation(TALK))
    heard = [item for segment in feed[:6] for item in reassembler.feed(segment)]
    reassembler.mute(heard[0][0])
    assert [item for segment in feed[6:] for item in reassembler.feed(segment)] == []
    assert reassembler._open == {}
    again = segments(wire.conversation(TALK, client_isn=5))
    assert told(item for segment in again for item in reassembler.feed(segment)) == PLAIN


flags = st.sampled_from([0x10, 0x18, 0x02, 0x12, 0x11, 0x04, 0x14, 0x00, 0x13, 0xFF])
sequences = st.one_of(
    st.integers(0, 60), st.integers(0, 2**32 - 1), st.sampled_from([2**31, 2**32 - 1, 2**30])
)


@given(
    raw=st.lists(
        st.tuples(
            st.booleans(), sequences, sequences, flags, st.binary(max_size=12), st.sampled_from([0, 0, 0, 9])
        ),
        max_size=60,
    )
)
def test_random_segments_never_raise_and_streams_have_no_overlap(
    raw: list[tuple[bool, int, int, int, bytes, int]],
) -> None:
    reassembler = Reassembler()
    heard: list[Heard] = []
    for number, (forth, sequence, acknowledgment, flag, payload, cut) in enumerate(raw, 1):
        ends = ends_of(wire.CLIENT, wire.SERVER)
        way = ends if forth else turned(ends)
        heard += reassembler.feed(Segment(number, number, way, sequence, acknowledgment, flag, payload, cut))
    heard += reassembler.close()
    reached: dict[tuple[int, Direction], int] = {}
    ended = set()
    for one, direction, item in heard:
        key = (one.number, direction)
        assert key not in ended
        if item is None:
            ended.add(key)
        else:
            length = item.length if isinstance(item, Gap) else len(item.data)
            assert length > 0
            assert item.offset >= reached.get(key, 0)
            reached[key] = item.offset + length
    assert {number for number, _ in reached} <= {number for number, _ in ended}
