"""What a capture shows that began late, lacks packets, or holds those of an earlier connection, is still true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from feature import heard, turns
from wire import (
    ACK,
    CLIENT,
    FIN,
    RST,
    Piece,
    conversation,
    ipv4,
    link,
    lose,
    packets,
    pieces,
    renumber,
)

from mailtap.capture.model import Endpoint, Packet
from mailtap.capture.protocols import dialogue

if TYPE_CHECKING:
    from collections.abc import Sequence

SMTP, IMAP, IMAPS = (Endpoint("192.0.2.1", port) for port in (25, 143, 993))
LATE = "The capture started in the middle of this connection; what came before was not heard."

ONE = turns(
    "S: +OK ready\nC: USER tim\nS: +OK\nC: PASS secret\nS: +OK\nC: RETR 1\nS: +OK\n"
    "S: Subject: hi\nS:\nS: body\nS: .\nC: QUIT\nS: +OK bye\n"
)
ALL_OF_ONE = [
    "username 'tim' mechanism=USER/PASS accepted",
    "password 'secret' mechanism=USER/PASS username=tim accepted",
    "subject 'hi' message=1",
    "body 'body\\n' message=1",
]
TWO = turns(
    "S: +OK ready\nC: USER a\nS: +OK\nC: PASS wrong\nS: -ERR no\nC: USER b\nS: +OK\n"
    "C: PASS right\nS: +OK in\nC: QUIT\nS: +OK bye\n"
)
SYN, SYN_ACK, _, GREETING, *_ = range(1, 20)  # packets of `TWO`
REFUSAL = 12


def old(side: str, sequence: int, acknowledgment: int, flags: int, data: bytes = b"") -> Piece:
    """Return a segment of an earlier connection between the same ports."""
    return Piece(side, sequence, acknowledgment, flags, data)


FRESH = pieces(ONE, server_isn=0x60000000)
HALF_OPEN = [FRESH[0], old("S", 0x10000000, 0x77000000, ACK), old("C", 0x77000000, 0, RST)]


@pytest.mark.parametrize("retry_ns", [1_000_000, 1_100_000_000], ids=["soon", "after a second"])
def test_a_server_that_still_had_the_old_connection(retry_ns: int) -> None:
    """RFC 9293, section 3.5.1: it answers the SYN with its old numbers, is reset, and the SYN comes again."""
    begun = packets(HALF_OPEN)
    whole = [
        packet._replace(number=packet.number + len(begun), time_ns=packet.time_ns + len(begun) * retry_ns)
        for packet in packets(FRESH)
    ]
    assert heard([*begun, *whole]) == (ALL_OF_ONE, [])


@pytest.mark.parametrize(
    ("at", "piece"),
    [
        pytest.param(1, old("S", 4_900_000, 900, FIN | ACK), id="FIN before the SYN-ACK"),
        pytest.param(0, old("C", 3_000_000_000, 4_000_000_000, ACK), id="ACK before the SYN"),
        pytest.param(2, old("S", 4_900_000, 900, FIN | ACK, b"old"), id="data after the SYN-ACK"),
        pytest.param(6, old("C", 500, 900, ACK), id="ACK in the middle"),
        pytest.param(8, old("S", 4_999_990, 0, RST), id="RST before what was received"),
        pytest.param(8, old("S", 5_000_003, 0, RST), id="RST a little before what was received"),
    ],
)
def test_a_segment_that_the_ends_ignore_is_ignored(at: int, piece: Piece) -> None:
    whole = pieces(ONE)
    assert heard(packets([*whole[:at], piece, *whole[at:]])) == (ALL_OF_ONE, [])


def test_a_made_up_capture_that_acknowledges_nothing_is_heard() -> None:
    made_up = [piece._replace(acknowledgment=0) for piece in pieces(ONE, client_isn=0, server_isn=0)]
    leaks, _ = heard(packets(made_up))
    assert [leak.partition(" mechanism")[0] for leak in leaks] == [
        leak.partition(" mechanism")[0] for leak in ALL_OF_ONE
    ]


def test_what_was_said_before_ports_were_used_again_is_told_too() -> None:
    leaks, notes = heard(
        packets([old("C", 3_000_000_000, 4_000_000_000, ACK, b"PASS old\r\n"), *pieces(ONE)])
    )
    assert leaks == ["password 'old' mechanism=USER/PASS", *ALL_OF_ONE]
    assert LATE in notes


@pytest.mark.parametrize("lost", [(SYN, REFUSAL), (SYN_ACK, REFUSAL), (REFUSAL,)], ids=str)
def test_a_lost_reply_is_nobody_elses(lost: Sequence[int]) -> None:
    leaks, notes = heard(lose(conversation(TWO), *lost))
    assert leaks == [
        "username 'a' mechanism=USER/PASS",
        "password 'wrong' mechanism=USER/PASS username=a",
        "username 'b' mechanism=USER/PASS accepted",
        "password 'right' mechanism=USER/PASS username=b accepted",
    ]
    [note] = notes
    first, last = map(int, note.rpartition(" ")[2].rstrip(".").split("-"))
    assert first <= last, note


def test_where_the_server_begins_is_known_by_what_the_client_acknowledged() -> None:
    leaks, notes = heard(lose(conversation(TWO), SYN_ACK, GREETING))
    assert leaks[:2] == [
        "username 'a' mechanism=USER/PASS refused",
        "password 'wrong' mechanism=USER/PASS username=a refused",
    ]
    assert notes == ["A hole of 11 bytes in what the server sent, in packet range 6-6."]


def test_where_nothing_tells_that_a_greeting_was_lost_a_reply_is_none() -> None:
    leaks, _ = heard(lose(conversation(TWO), *range(SYN_ACK, GREETING + 2)))
    assert leaks[1] == "password 'wrong' mechanism=USER/PASS username=a refused"
    assert leaks[3] == "password 'right' mechanism=USER/PASS username=b accepted"


def test_two_lost_replies_with_a_command_between_are_two_holes() -> None:
    talk = turns(
        "S: 220 x ESMTP\nC: EHLO c\nS: 250 AUTH PLAIN LOGIN\nC: AUTH PLAIN AHVzZXIwAHBhc3Mw\nS: 235 ok\nC: NOOP\n"
        "S: 250 ok\nC: AUTH PLAIN AHVzZXIxAHBhc3Mx\nS: 535 no\nC: AUTH PLAIN AHVzZXIyAHBhc3My\nS: 235 ok\n"
        "C: QUIT\nS: 221 bye\n"
    )
    whole = conversation(talk, server=SMTP)
    first = next(packet.number for packet in whole if b"235 ok" in packet.data)
    second = next(packet.number for packet in whole if b"250 ok" in packet.data)
    leaks, notes = heard(lose(whole, first, second))
    assert [leak for leak in leaks if leak.startswith("password")] == [
        "password 'pass0' mechanism=PLAIN username=user0",
        "password 'pass1' mechanism=PLAIN username=user1 refused",
        "password 'pass2' mechanism=PLAIN username=user2 accepted",
    ]
    assert notes == ["2 holes in what the server sent, 16 bytes together, in packet range 10-15."]


def test_a_password_behind_a_hole_is_not_that_of_the_user_before_it() -> None:
    leaks, _ = heard(lose(conversation(TWO), *range(10, 15)))
    assert leaks == ["username 'a' mechanism=USER/PASS", "password 'right' mechanism=USER/PASS accepted"]


TEXT = "S: ome text\n" + "S: text text text text\n" * 600 + "S: .\n"
FETCH = (
    "C: {i} FETCH {i} BODY[]\nS: * {i} FETCH (BODY[] {{20}}\nS: Subject: hi\nS:\nS: body\nS: )\nS: {i} OK\n"
)
RETR = "C: RETR {i}\nS: +OK\nS: Subject: hi\nS:\nS: body\nS: .\n"


@pytest.mark.parametrize(
    ("before", "each", "port"),
    [
        pytest.param("S: * 5 EXISTS\nC: DONE\nS: a5 OK done\n", FETCH, 143, id="IDLE"),
        pytest.param(TEXT.replace("S: .\n", "S: )\nS: a5 OK\n"), FETCH, 143, id="FETCH"),
        pytest.param("C: ome text\nC: text\nC: )\nS: a5 OK\n", FETCH, 143, id="APPEND"),
        pytest.param(TEXT, RETR, 110, id="RETR"),
        pytest.param("C: T\nS: +OK 1 20\n", RETR, 110, id="the rest of STAT"),
    ],
)
def test_a_capture_that_begins_in_the_middle_of_something_hears_what_follows(
    before: str, each: str, port: int
) -> None:
    talk = turns(before + "".join(each.format(i=number) for number in range(1, 6)))
    leaks, notes = heard(conversation(talk, server=Endpoint("192.0.2.1", port), syn=False))
    told = [[f"subject 'hi' message={number}", f"body 'body\\n' message={number}"] for number in range(1, 6)]
    assert (leaks, notes) == ([each for pair in told for each in pair], [LATE])


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("S: +OK in\nC: USER tim\nS: +OK\nC: PASS secret\nS: -ERR no\nC: QUIT\nS: +OK\n", "refused"),
        (
            "S: +OK\nS: UIDL\nS: .\nC: USER tim\nS: +OK\nC: PASS secret\nS: +OK in\nC: QUIT\nS: +OK\n",
            "accepted",
        ),
        ("S: +OK\nS: +OK\nC: USER tim\nS: +OK\nC: PASS secret\nS: -ERR no\nC: QUIT\nS: +OK\n", "refused"),
    ],
)
def test_a_capture_that_begins_before_a_login_tells_its_own_verdict(text: str, verdict: str) -> None:
    leaks, notes = heard(conversation(turns(text), syn=False))
    assert leaks[1] == f"password 'secret' mechanism=USER/PASS username=tim {verdict}"
    assert notes == [LATE]


def test_on_a_mail_port_a_first_line_that_is_no_command_hides_nothing() -> None:
    talk = turns("S: +OK\nC: hello\nS: -ERR\nC: USER tim\nS: +OK\nC: PASS secret\nS: +OK\nC: QUIT\nS: +OK\n")
    assert heard(conversation(talk)) == (ALL_OF_ONE[:2], [])


VERSION_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes((192, 0, 2, 9, 192, 0, 2, 1, 15, 160, 0, 110))


@pytest.mark.parametrize("port", [110, 4242])
@pytest.mark.parametrize("mss", [1460, 5])
@pytest.mark.parametrize(
    "header", [b"PROXY TCP4 192.0.2.9 192.0.2.1 4000 110\r\n", b"PROXY UNKNOWN\r\n", VERSION_2]
)
def test_no_reply_answers_what_a_load_balancer_says_first(header: bytes, mss: int, port: int) -> None:
    whole = conversation([("C", header), *TWO], server=Endpoint("192.0.2.1", port), mss=mss)
    leaks, notes = heard(whole)
    assert leaks == [
        "username 'a' mechanism=USER/PASS refused",
        "password 'wrong' mechanism=USER/PASS username=a refused",
        "username 'b' mechanism=USER/PASS accepted",
        "password 'right' mechanism=USER/PASS username=b accepted",
    ]
    assert notes == []


def test_a_zero_byte_of_a_keep_alive_is_none_of_the_stream() -> None:
    talk = pieces(turns("C: a7 LOGIN tim secret\nS: a7 OK\n"), syn=False)
    probe = [Piece("C", 1000, 5_000_001, ACK, b"\0"), Piece("S", 5_000_001, 1001, ACK, b"")]
    leaks, notes = heard(packets([*probe, *talk], server=IMAP))
    assert leaks == [
        "username 'tim' mechanism=LOGIN accepted",
        "password 'secret' mechanism=LOGIN username=tim accepted",
    ]
    assert notes == [LATE]


def test_tls_that_was_running_already_is_tls() -> None:
    record = b"\x17\x03\x03\x00\x10" + bytes(16)
    _, notes = heard(conversation([("C", record), ("S", record)], syn=False, server=IMAPS))
    assert notes == ["TLS began at packet 1, 42 bytes opaque.", LATE]


def test_a_connection_that_is_no_mail_is_counted_once() -> None:
    talk = [("C", b"hello there\r\n"), ("S", b"who are you\r\n")] * 12
    whole = conversation(talk, server=Endpoint("192.0.2.1", 6000), syn=False, acks=False)
    assert heard(whole) == ([], ["One TCP connection carried no mail protocol."])


def in_fragments(packet: Packet, order: Sequence[int]) -> list[Packet]:
    """Return a packet as two fragments, in that order."""
    ip = packet.data[14:]
    source, destination = (".".join(map(str, ip[at : at + 4])) for at in (12, 16))
    parts = [(ip[20:44], 0x2000), (ip[44:], 3)]
    frames = [
        link(ipv4(source, destination, data, identification=777, fragment=place)) for data, place in parts
    ]
    return [Packet(0, 0, 1, frames[each], len(frames[each])) for each in order]


@pytest.mark.parametrize(
    ("order", "step_ns"),
    [
        pytest.param((0, 0, 1, 1), 1_000_000, id="seen twice"),
        pytest.param((0,), 10_000_000_000, id="one lost, long ago"),
        pytest.param((1,), 10_000_000_000, id="the other lost, long ago"),
    ],
)
def test_a_fragment_is_never_put_into_a_later_datagram(order: Sequence[int], step_ns: int) -> None:
    def spoken(user: str, port: int, order: Sequence[int]) -> list[Packet]:
        talk = turns(f"S: +OK\nC: USER {user}\nS: +OK\nC: PASS secret-of-{user}\nS: +OK\nC: QUIT\nS: +OK\n")
        whole = conversation(talk, client=Endpoint(CLIENT.address, port))
        split = [in_fragments(each, order) if b"PASS" in each.data else [each] for each in whole]
        return [packet for each in split for packet in each]

    leaks, _ = heard(
        renumber([*spoken("tim", 40_000, order), *spoken("bob", 50_000, (0, 1))], step_ns=step_ns)
    )
    passwords = [leak for leak in leaks if leak.startswith("password")]
    assert passwords[-1] == "password 'secret-of-bob' mechanism=USER/PASS username=bob accepted"
    assert all("secret-of-tim" in leak for leak in passwords[:-1])


@pytest.mark.parametrize("missing", [b"250 lost\r\n", b"NOOP\r\n"], ids=["a reply", "a command"])
@pytest.mark.parametrize("verb", ["DATA", "BDAT"])
def test_a_large_message_behind_a_hole(verb: str, missing: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a client sends it, the server says nothing, and is not waited for."""
    monkeypatch.setattr(dialogue, "PENDING_LIMIT", 10_000)
    body = "".join(f"{number:060}\r\n" for number in range(1_000))
    size = len("Subject: big\r\n\r\n" + body)
    sent = f"C: BDAT {size} LAST\nC: " if verb == "BDAT" else "C: DATA\nS: 354 go on\nC: "
    talk = turns(
        "S: 220 mx\nC: EHLO a\nS: 250 ok\nC: NOOP\nS: 250 lost\nC: MAIL FROM:<a@example.org>\nS: 250 ok\n"
        f"C: RCPT TO:<b@example.org>\nS: 250 ok\n{sent}Subject: big\nC:\n"
    )
    end = "" if verb == "BDAT" else ".\r\n"
    talk += [("C", body.encode() + end.encode()), ("S", b"250 done\r\n"), *turns("C: QUIT\nS: 221 bye\n")]
    leaks, notes = heard(
        [each for each in conversation(talk, server=SMTP) if not each.data.endswith(missing)]
    )
    assert "subject 'big' message=1" in leaks
    assert [note for note in notes if "half" in note or "whole" in note] == []


def test_a_byte_that_might_have_been_the_end_is_a_hole_where_more_follows() -> None:
    """The line end of a password is missing, and the next command came only after a while."""
    talk = turns(
        "S: +OK\nC: USER tim\nS: +OK\nC: PASS secret\nS: +OK\nC: NOOP\nS: +OK\nC: QUIT\nS: +OK bye\n"
    )
    said = [
        piece._replace(payload=piece.payload[:-1]) if piece.payload == b"PASS secret\r\n" else piece
        for piece in pieces(talk)
    ]
    heard_so_far = packets(said)
    late = next(at for at, each in enumerate(heard_so_far) if b"NOOP" in each.data)
    spread = [
        each._replace(time_ns=each.time_ns + (2_000_000_000 if at >= late else 0))
        for at, each in enumerate(heard_so_far)
    ]
    leaks, notes = heard(spread)
    assert not any("NOOP" in leak for leak in leaks)
    assert any(note.startswith("A hole of one byte in what the client sent") for note in notes)
