"""Packets to leaks: the stages joined, evidence that holds, silence that is explained."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

import mailtap.capture
from mailtap.capture.decode import Decoder
from mailtap.capture.model import Direction, Endpoint, Field, Leak, Note, Packet, Segment
from mailtap.capture.pipeline import Listener, listen
from mailtap.capture.wire.ends import endpoints_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MAIL = b"From: hanako@lab.test\r\nTo: taro@lab.test\r\nSubject: lunch\r\n\r\nAt noon?\r\n.\r\n"
POP = [
    ("S", b"+OK hello <1896.697170952@dbc.mtview.ca.us>\r\n"),
    ("C", b"USER mrose\r\n"),
    ("S", b"+OK\r\n"),
    ("C", b"PASS tanstaaf\r\n"),
    ("S", b"+OK 1 message\r\n"),
    ("C", b"RETR 1\r\n"),
    ("S", b"+OK\r\n" + MAIL),
    ("C", b"QUIT\r\n"),
    ("S", b"+OK bye\r\n"),
]
APOP = [POP[0], ("C", b"APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n"), ("S", b"+OK\r\n"), *POP[-2:]]
SMTP = [
    ("S", b"220 mail.lab.test ESMTP\r\n"),
    ("C", b"EHLO pc.lab.test\r\n"),
    ("S", b"250-mail.lab.test\r\n250 AUTH PLAIN\r\n"),
    ("C", b"AUTH PLAIN AGhhbmFrbwBzZWNyZXQ=\r\n"),
    ("S", b"235 2.7.0 ok\r\n"),
    ("C", b"MAIL FROM:<hanako@lab.test>\r\n"),
    ("S", b"250 ok\r\n"),
    ("C", b"RCPT TO:<taro@lab.test>\r\n"),
    ("S", b"250 ok\r\n"),
    ("C", b"DATA\r\n"),
    ("S", b"354 go\r\n"),
    ("C", MAIL),
    ("S", b"250 queued\r\n"),
    ("C", b"QUIT\r\n"),
    ("S", b"221 bye\r\n"),
]
HTTP = [("C", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), ("S", b"HTTP/1.1 200 OK\r\n\r\nPASS x\r\n")]
MAIL_FIELDS = [
    ("sender", "hanako@lab.test"),
    ("recipient", "taro@lab.test"),
    ("subject", "lunch"),
    ("body", "At noon?"),
]
LOGIN = [("username", "mrose"), ("password", "tanstaaf")]
SMTP_SERVER = Endpoint("192.0.2.1", 25)


def leaked(items: Iterable[Leak | Note]) -> list[tuple[str, str]]:
    return [(str(item.field), item.value.reveal().strip()) for item in items if isinstance(item, Leak)]


def notes(items: Iterable[Leak | Note]) -> list[str]:
    return [str(item) for item in items if isinstance(item, Note)]


@pytest.mark.parametrize(
    ("turns", "server", "expected"),
    [
        pytest.param(POP, wire.SERVER, [*LOGIN, *MAIL_FIELDS], id="pop3"),
        pytest.param(POP, Endpoint("192.0.2.1", 31110), [*LOGIN, *MAIL_FIELDS], id="pop3 on an odd port"),
        pytest.param(
            APOP,
            wire.SERVER,
            [("username", "mrose"), ("digest", "c4c9334bac560ecc979e58001b3e22fb")],
            id="apop",
        ),
        pytest.param(
            SMTP, SMTP_SERVER, [("username", "hanako"), ("password", "secret"), *MAIL_FIELDS], id="smtp"
        ),
        pytest.param(HTTP, Endpoint("192.0.2.1", 80), [], id="http"),
    ],
)
def test_what_leaks(
    turns: list[tuple[str, bytes]], server: Endpoint, expected: list[tuple[str, str]]
) -> None:
    heard = list(listen(wire.conversation(turns, server=server)))
    assert sorted(leaked(heard)) == sorted(expected)
    assert all(item.evidence.flow.server == server for item in heard if isinstance(item, Leak))


def test_the_package_gives_its_public_names_and_no_others() -> None:
    assert {name: getattr(mailtap.capture, name).__name__ for name in mailtap.capture.__all__} == {
        name: name for name in mailtap.capture.__all__
    }
    with pytest.raises(AttributeError, match="no attribute 'frobnicate'"):
        _ = mailtap.capture.frobnicate


# --- evidence ----------------------------------------------------------------------------------------


def stretch(packets: Sequence[Packet], leak: Leak) -> bytes:
    """Return the bytes at a leak's spans, taken from nothing but the packets it names."""
    named = [packet for packet in packets if packet.number in leak.evidence.packets]
    flow = leak.evidence.flow
    first = {flow.client: 1001, flow.server: 5_000_001}
    found: dict[tuple[Direction, int], int] = {}
    decoder = Decoder()
    for segment in (item for packet in named for item in decoder.decode(packet)):
        assert isinstance(segment, Segment)
        source, _ = endpoints_of(segment.ends)
        direction = Direction.CLIENT if source == flow.client else Direction.SERVER
        for place, byte in enumerate(segment.payload, segment.sequence - first[source]):
            found.setdefault((direction, place), byte)
    return bytes(
        found[span.direction, place] for span in leak.evidence.spans for place in range(span.start, span.end)
    )


@given(mss=st.integers(1, 100), overlap=st.integers(0, 9), seed=st.randoms(use_true_random=False))
def test_the_evidence_holds_and_nothing_else_changes(mss: int, overlap: int, seed: object) -> None:
    packets = wire.conversation(POP, mss=mss, overlap=overlap)
    places = list(range(4, len(packets) + 1))
    order = sorted(places, key=lambda place: place + seed.randint(0, 4))  # type: ignore[attr-defined]
    packets = wire.reorder(packets, [1, 2, 3, *order])
    heard = list(listen(packets))
    assert sorted(leaked(heard)) == sorted([*LOGIN, *MAIL_FIELDS])
    assert notes(heard) == []
    for leak in heard:
        assert isinstance(leak, Leak)
        assert leak.value.reveal().strip().encode() in stretch(packets, leak)
        assert list(leak.evidence.packets) == sorted(set(leak.evidence.packets))
        assert leak.evidence.time_ns == packets[leak.evidence.packets[-1] - 1].time_ns


def test_evidence_of_ip_fragments_names_each_packet() -> None:
    packets = wire.conversation(POP)
    (at,) = [packet.number for packet in packets if b"PASS" in packet.data]
    ip = packets[at - 1].data[14:]
    ends = (wire.CLIENT.address, wire.SERVER.address)
    parts = [
        wire.link(wire.ipv4(*ends, ip[20:44], identification=7, fragment=0x2000)),
        wire.link(wire.ipv4(*ends, ip[44:], identification=7, fragment=3)),
    ]
    broken = wire.renumber(
        [*packets[: at - 1], *(Packet(0, 0, 1, data, len(data)) for data in parts), *packets[at:]]
    )
    (password,) = [item for item in listen(broken) if isinstance(item, Leak) and item.field == "password"]
    assert password.evidence.packets == (at + 1,)
    assert password.value.reveal() == "tanstaaf"


# --- as it comes -------------------------------------------------------------------------------------


def test_leaks_come_out_as_soon_as_they_are_known() -> None:
    listener = Listener()
    packets = wire.conversation(POP, acks=False)
    for packet in packets:
        if leaked(listener.feed(packet)):
            break
    assert b"+OK 1 message" in packet.data


def test_flows_and_messages_are_counted_in_each_capture() -> None:
    many = [wire.conversation(POP, client=Endpoint("192.0.2.10", 40_000 + number)) for number in range(3)]
    heard = [item for item in listen(wire.interleave(*many)) if isinstance(item, Leak)]
    assert {item.evidence.flow.number for item in heard} == {1, 2, 3}
    assert sorted({item.message for item in heard if item.message}) == [1, 2, 3]
    assert len({(item.evidence.flow.number, item.message) for item in heard if item.message}) == 3


def test_notes_of_the_source_pass_through() -> None:
    note = Note(
        text="The capture file is empty: it ends at byte {offset}.", values=(("offset", 0),), damage=True
    )
    assert list(listen([note])) == [note]


def test_flows_names_the_mail_flows_that_have_ended() -> None:
    listener = Listener()
    other = wire.conversation(HTTP, client=Endpoint("192.0.2.10", 9), server=Endpoint("192.0.2.1", 80))
    for packet in wire.renumber([*wire.conversation(POP), *other]):
        listener.feed(packet)
    assert [str(flow.server) for flow in listener.flows] == ["192.0.2.1:110"]


# --- silence explained -------------------------------------------------------------------------------


def numbers(packets: Sequence[Packet], payload: bytes) -> list[int]:
    return [packet.number for packet in packets if payload in packet.data]


def test_a_hole_is_named_with_its_packets() -> None:
    packets = wire.conversation(POP)
    (lost,) = numbers(packets, b"USER")
    heard = list(listen(wire.lose(packets, lost)))
    assert notes(heard)[-1] == "A hole of 12 bytes in what the client sent, in packet range 4-6."
    note = [item for item in heard if isinstance(item, Note)][-1]
    assert (note.packets, note.damage, note.protocol, note.flow and note.flow.number) == (
        (4, 6),
        True,
        "pop3",
        1,
    )


def test_several_holes_are_summed_up() -> None:
    packets = wire.conversation(POP)
    lost = [*numbers(packets, b"USER"), *numbers(packets, b"QUIT")]
    assert notes(listen(wire.lose(packets, *lost)))[-1].startswith(
        "2 holes in what the client sent, 18 bytes together, in packet range 4-"
    )


@pytest.mark.parametrize(
    ("side", "said"),
    [
        pytest.param("C", "Client half only: the capture has nothing of what the server sent.", id="client"),
        pytest.param("S", "Server half only: the capture has nothing of what the client sent.", id="server"),
    ],
)
def test_one_half_alone_is_said(side: str, said: str) -> None:
    heard = list(listen(wire.only(wire.conversation(POP), side)))
    assert said in notes(heard)
    assert (("password", "tanstaaf") in leaked(heard)) is (side == "C")


def test_a_late_start_is_said() -> None:
    packets = wire.renumber(wire.conversation(POP)[5:])
    heard = list(listen(packets))
    assert "The capture started in the middle of this connection; what came before was not heard." in notes(
        heard
    )
    assert ("password", "tanstaaf") in leaked(heard)


def test_a_connection_that_fell_silent_is_said_and_heard_again_if_it_speaks() -> None:
    others = [wire.conversation(POP, client=Endpoint("192.0.2.9", 1 + hour)) for hour in range(3)]
    mine = wire.conversation([*POP[:5], *POP[1:]])
    parts = [mine[:11], *others, mine[11:]]
    packets = [
        packet._replace(time_ns=packet.time_ns + part * 3600 * 10**9)
        for part, packets in enumerate(parts)
        for packet in packets
    ]
    heard = list(listen(packet._replace(number=number) for number, packet in enumerate(packets, 1)))
    assert [text for text in notes(heard) if "came" in text] == [
        "Nothing came for half an hour after packet 11: this connection was taken as ended.",
        "The capture started in the middle of this connection; what came before was not heard.",
    ]
    assert leaked(heard).count(("password", "tanstaaf")) == 5


def test_what_is_not_mail_is_one_note_however_much_it_is() -> None:
    web = [
        wire.conversation(
            HTTP, client=Endpoint("192.0.2.10", 20_000 + number), server=Endpoint("192.0.2.1", 80)
        )
        for number in range(50)
    ]
    assert notes(listen(wire.interleave(*web))) == ["50 TCP connections carried no mail protocol."]
    lossy = wire.lose(web[0], 4, 6)
    assert notes(listen(lossy)) == ["One TCP connection carried no mail protocol."]


def test_a_capture_without_tcp_is_said() -> None:
    arp = Packet(1, 0, 1, b"\xff" * 12 + b"\x08\x06" + bytes(46), 60)
    assert notes(listen([arp, arp])) == ["Of 2 packets, none carries TCP."]


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        pytest.param([], "One connection to a mail port carried no data.", id="no data"),
        pytest.param([POP[0], *POP[-2:]], "No login and no mail crossed this connection.", id="no login"),
        pytest.param(
            [("S", b"+OK hello\r\n")], "No login and no mail crossed this connection.", id="greeting"
        ),
        pytest.param(
            [("C", b"x\x00y\r\n"), ("S", b"\x00\r\n")], "Unknown protocol on a mail port.", id="unknown"
        ),
    ],
)
def test_a_mail_connection_without_a_leak_says_why(turns: list[wire.Turn], said: str) -> None:
    assert notes(listen(wire.conversation(turns))) == [said]


def test_connections_without_data_are_one_note_and_no_flows() -> None:
    listener = Listener()
    refused = [wire.conversation([], client=Endpoint("192.0.2.10", 20_000 + each)) for each in range(2_000)]
    for packet in wire.interleave(*refused):
        assert listener.feed(packet) == []
    assert listener.flows == []
    assert notes(listener.close()) == ["2,000 connections to mail ports carried no data."]


def test_a_client_that_says_nothing_and_closes_first_still_hears_the_server() -> None:
    start = wire.pieces([])[:3]
    fin = wire.Piece("C", 1001, 5_000_001, wire.FIN | wire.ACK, b"")
    greeting = wire.Piece("S", 5_000_001, 1002, wire.PSH | wire.ACK, b"+OK POP3 hello\r\n")
    end = wire.Piece("S", 5_000_017, 1002, wire.FIN | wire.ACK, b"")
    heard = notes(listen(wire.packets([*start, fin, greeting, end])))
    assert heard == ["No login and no mail crossed this connection."]


def test_a_flow_of_no_known_protocol_is_given_up_soon() -> None:
    listener = Listener()
    big = wire.conversation(
        [("S", b"\x00\xff" * 20_000), ("C", b"\x00" * 20_000)], server=Endpoint("192.0.2.1", 9999)
    )
    for packet in big[:-3]:
        listener.feed(packet)
    assert listener._ears == {}
    assert notes(listener.close()) == ["One TCP connection carried no mail protocol."]


# --- robustness --------------------------------------------------------------------------------------

BASE = wire.conversation(POP)


@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(BASE) - 1), st.integers(14, 130), st.integers(0, 255)), max_size=12
    )
)
def test_mutated_packets_never_raise(changes: list[tuple[int, int, int]]) -> None:
    data = [bytearray(packet.data) for packet in BASE]
    for number, place, value in changes:
        data[number][place % len(data[number])] = value
    list(listen(packet._replace(data=bytes(new)) for packet, new in zip(BASE, data, strict=True)))


@given(lost=st.sets(st.integers(1, len(BASE)), max_size=12))
def test_lost_packets_invent_nothing(lost: set[int]) -> None:
    known = {*LOGIN, *MAIL_FIELDS}
    for field, value in leaked(listen(wire.lose(BASE, *lost))):
        assert (field, value) in known or field in {"body", "subject"}


@pytest.mark.parametrize(
    "unfinished",
    [
        pytest.param(
            [("C", b"DATA\r\n"), ("S", b"354 go on\r\n"), ("C", b"so it goes\r\n" * 2_000)], id="a message"
        ),
        pytest.param([("C", b"BDAT 90000\r\n" + b"so it goes\r\n" * 2_000)], id="octets"),
    ],
)
def test_what_never_becomes_complete_is_bounded_and_told(unfinished: list[tuple[str, bytes]]) -> None:
    begin = [("S", b"220 ready\r\n"), ("C", b"EHLO x\r\n"), ("S", b"250 AUTH PLAIN\r\n")]
    login = [("C", b"AUTH PLAIN AHVzZXIAc2VjcmV0\r\n"), ("S", b"235 in\r\n")]
    listener = Listener(most_held=100_000)
    heard: list[Leak | Note] = []
    most = 0
    for place in range(20):
        client = Endpoint("192.0.2.10", 40_000 + place)
        turns = [*begin, *login, *unfinished]
        for packet in wire.conversation(turns, client=client, server=Endpoint("192.0.2.1", 25), fin=False):
            heard += listener.feed(packet)
            most = max(most, sum(ear.dialogue.held for ear in listener._ears.values()))
    heard += listener.close()
    assert most <= 2 * 100_000 + 1_460
    passwords = [leak for leak in heard if isinstance(leak, Leak) and leak.field is Field.PASSWORD]
    assert len(passwords) == 20
    given_up = [note for note in heard if isinstance(note, Note) and "waited to be complete" in note.text]
    assert 10 < len(given_up) < 20


@pytest.mark.parametrize("hear", [Listener.hear, Listener.hear_together], ids=["hear", "hear_together"])
def test_flows_given_up_for_memory_are_told_one_by_one(
    hear: Callable[[Listener, Iterable[Packet]], Iterator[Leak | Note]],
) -> None:
    """What they held becomes many times as much when it is understood."""
    turns = [
        ("S", b"220 ready\r\n"),
        ("C", b"EHLO x\r\n"),
        ("S", b"250 x\r\n"),
        ("C", b"RCPT TO:<a@b>\r\n" * 1_000),
        ("S", b"250 x\r\n" * 30),
    ]
    talks = [
        wire.conversation(
            turns, client=Endpoint("192.0.2.10", port), server=Endpoint("192.0.2.1", 25), fin=False
        )
        for port in range(40_000, 40_040)
    ]
    packets = wire.interleave(*talks)
    listener = Listener(most_held=750_000)
    tracemalloc.start()
    try:
        told = sum(isinstance(item, Leak) for item in hear(listener, packets))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told > 10_000
    assert peak < 4_000_000  # all of them at once would take three times as much
