"""TLS as an eavesdropper hears it: real handshakes in memory, and hand-made records."""

from __future__ import annotations

import ssl

import hearing
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from tlspeers import NAME, SECRET, handshake

from mailtap.capture.events import Malformed, ServerNameSeen, TlsSeen
from mailtap.capture.model import Chunk, Direction, Field, Leak, Protocol
from mailtap.capture.protocols import Dialogue, x509

C, S = Direction.CLIENT, Direction.SERVER
VERSIONS = pytest.mark.parametrize(
    "version",
    [pytest.param(ssl.TLSVersion.TLSv1_2, id="tls1.2"), pytest.param(ssl.TLSVersion.TLSv1_3, id="tls1.3")],
)


@VERSIONS
def test_real_handshakes(version: ssl.TLSVersion) -> None:
    turns = handshake(version)
    name, seen = hearing.listen(turns)
    assert isinstance(name, ServerNameSeen)
    assert name.name.data == NAME.encode() == hearing.cut(turns, name.name.spans)
    assert isinstance(seen, TlsSeen)
    is_13 = version is ssl.TLSVersion.TLSv1_3
    assert seen.version == ("TLS 1.3" if is_13 else "TLS 1.2")
    assert seen.names == (() if is_13 else ("cn.example.org", NAME, "alias.example.org"))
    total = sum(len(data) for _, data in turns if isinstance(data, bytes))
    assert len(SECRET) < seen.opaque < total
    if not is_13:
        assert NAME.encode() in hearing.cut(turns, seen.certificate)
    assert not seen.certificate if is_13 else seen.certificate


@VERSIONS
def test_a_client_certificate(version: ssl.TLSVersion) -> None:
    turns = handshake(version, client="mrose")
    (seen,) = (each for each in hearing.listen(turns) if isinstance(each, TlsSeen))
    notes = {str(each) for each in hearing.read([seen])}
    if version is ssl.TLSVersion.TLSv1_3:
        assert (seen.client_names, seen.client_certificate) == ((), ())
        assert not any("client's certificate" in note for note in notes)
    else:
        assert seen.client_names == ("mrose", "mrose@example.org")
        assert b"mrose@example.org" in hearing.cut(turns, seen.client_certificate)
        assert "The client's certificate names mrose, mrose@example.org." in notes
        assert NAME in seen.names


@VERSIONS
def test_only_the_name_leaks(version: ssl.TLSVersion) -> None:
    found = hearing.read(hearing.listen(handshake(version)))
    assert [(each.field, each.value.reveal()) for each in found if isinstance(each, Leak)] == [
        (Field.SERVER_NAME, NAME)
    ]


def test_a_name_of_another_type_is_no_host_name() -> None:
    (who, hello), *rest = handshake(ssl.TLSVersion.TLSv1_3)
    at = hello.index(NAME.encode()) - 3  # its type, before two bytes of length (RFC 6066, section 3)
    events = hearing.listen([(who, hello[:at] + b"\1" + hello[at + 1 :]), *rest])
    assert not [each for each in events if isinstance(each, ServerNameSeen)]


def test_a_client_that_names_nobody() -> None:
    found = hearing.read(hearing.listen(handshake(ssl.TLSVersion.TLSv1_3, name=None)))
    assert not [each for each in found if isinstance(each, Leak)]
    assert "TLS began at packet 1" in str(found[0])


@VERSIONS
def test_byte_by_byte_and_interleaved(version: ssl.TLSVersion) -> None:
    turns = handshake(version)
    single = [(who, bytes([byte])) for who, data in turns if isinstance(data, bytes) for byte in data]
    assert hearing.listen(turns)[0] == hearing.listen(single)[0]
    first, second = hearing.listen(single)[1], hearing.listen(turns)[1]
    assert first == second
    server_first = sorted(turns, key=lambda turn: turn[0] is C)
    assert hearing.listen(server_first) == hearing.listen(turns)


UPGRADES = pytest.mark.parametrize(
    ("opening", "protocol"),
    [
        pytest.param([(S, b"+OK\r\n"), (C, b"STLS\r\n"), (S, b"+OK\r\n")], Protocol.POP3, id="stls"),
        pytest.param(
            [
                (S, b"220 mx\r\n"),
                (C, b"EHLO me\r\n"),
                (S, b"250-mx\r\n250 STARTTLS\r\n"),
                (C, b"STARTTLS\r\n"),
                (S, b"220 go\r\n"),
            ],
            Protocol.SMTP,
            id="starttls",
        ),
    ],
)


@UPGRADES
def test_after_the_upgrade_nothing_is_parsed(opening: list[hearing.Turn], protocol: Protocol) -> None:
    events = hearing.listen(opening + handshake(ssl.TLSVersion.TLSv1_3))
    assert [type(each) for each in events] == [ServerNameSeen, TlsSeen]
    assert isinstance(events[1], TlsSeen)
    assert events[1].protocol is protocol


@UPGRADES
def test_text_after_the_upgrade_is_not_believed(opening: list[hearing.Turn], protocol: Protocol) -> None:
    login = [(C, b"USER a\r\n"), (C, b"PASS b\r\n"), (C, b"AUTH PLAIN AHRpbQB4\r\n")]
    events = hearing.listen([*opening, *login])
    assert [type(each) for each in events] == [Malformed]


@UPGRADES
def test_a_refused_upgrade_changes_nothing(opening: list[hearing.Turn], protocol: Protocol) -> None:
    no = b"-ERR\r\n" if protocol is Protocol.POP3 else b"454 no\r\n"
    yes = b"+OK\r\n" if protocol is Protocol.POP3 else b"235 ok\r\n"
    turns = [*opening[:-1], (S, no), (C, b"AUTH PLAIN AHRpbQB4\r\n"), (S, yes)]
    found = [each for each in hearing.read(hearing.listen(turns)) if isinstance(each, Leak)]
    assert [each.value.reveal() for each in found] == ["tim", "x"]


@UPGRADES
def test_an_upgrade_without_its_answer(opening: list[hearing.Turn], protocol: Protocol) -> None:
    lost = [*opening[:-1], (S, len(opening[-1][1]))]  # type: ignore[arg-type]
    events = hearing.listen(lost + handshake(ssl.TLSVersion.TLSv1_3))
    assert [type(each) for each in events] == [ServerNameSeen, TlsSeen]


@pytest.mark.parametrize("kept", [C, S])
def test_one_half_alone(kept: Direction) -> None:
    turns = [turn for turn in handshake(ssl.TLSVersion.TLSv1_2) if turn[0] is kept]
    kinds = [type(each) for each in hearing.listen(turns)]
    assert kinds == ([ServerNameSeen, TlsSeen] if kept is C else [TlsSeen])


@pytest.mark.parametrize(("port", "name"), [(443, "alias.example.org"), (853, NAME)])
def test_web_and_dns_are_not_mail(port: int, name: str) -> None:
    assert hearing.listen(handshake(ssl.TLSVersion.TLSv1_3, name=name), port) == []


def test_a_hello_in_many_records_and_a_hole() -> None:
    ((_, hello), *rest) = handshake(ssl.TLSVersion.TLSv1_2)
    assert isinstance(hello, bytes)
    body = hello[5:]
    records = b"".join(
        b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece
        for piece in (body[at : at + 7] for at in range(0, len(body), 7))
    )
    turns: list[hearing.Turn] = [(C, records), (S, 100), (C, 50), *rest]
    name, seen = hearing.listen(turns)
    assert isinstance(name, ServerNameSeen)
    assert hearing.cut(turns, name.name.spans) == NAME.encode()
    assert isinstance(seen, TlsSeen)
    assert seen.version == ""
    assert seen.opaque >= 150


def test_a_certificate_may_name_addresses_too() -> None:
    pem = trustme.CA().issue_cert("192.0.2.7", "a.example.org", "b.example.org").cert_chain_pems[0].bytes()
    assert x509.names(ssl.PEM_cert_to_DER_cert(pem.decode())) == ("a.example.org", "b.example.org")


def test_who_issued_a_certificate() -> None:
    authority = trustme.CA(organization_name="Somebody")
    leaf = ssl.PEM_cert_to_DER_cert(authority.issue_cert("a.example.org").cert_chain_pems[0].bytes().decode())
    assert x509.issuer(leaf) == "Somebody"
    assert x509.issuer(b"") == ""


def test_memory_stays_small() -> None:
    listener = Dialogue(995)
    listener.feed(C, Chunk(0, b"\x16\x03\x01\x40\x00\x01\xff\xff\xff", 1, 1))
    offset = 9
    for _ in range(100):
        listener.feed(C, Chunk(offset, bytes(16384), 1, 1))
        offset += 16384
        assert listener._talk.client.pending < 100_000


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_names_of_random_bytes(data: bytes) -> None:
    assert isinstance(x509.names(data), tuple)
    assert isinstance(x509.issuer(data), str)
    assert isinstance(x509.issuer(b"\x30\x82\x00\xc8\x30" + data), str)
    assert isinstance(x509.names(b"\x30\x82\x00\xc8\x30" + data), tuple)


@given(st.data())
@settings(deadline=None, max_examples=50)
def test_damaged_hellos_never_raise(data: st.DataObject) -> None:
    turns: list[hearing.Turn] = []
    for who, text in HANDSHAKE:
        assert isinstance(text, bytes)
        changed = bytearray(text)
        for _ in range(data.draw(st.integers(0, 4))):
            changed[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
        turns.append((who, bytes(changed)))
    hearing.read(hearing.listen(turns, 995))


HANDSHAKE = handshake(ssl.TLSVersion.TLSv1_2)


def test_bytes_in_a_hole_are_opaque() -> None:
    (hello, *_) = [data for who, data in HANDSHAKE if who is S]
    assert isinstance(hello, bytes)
    record = hello[: 5 + int.from_bytes(hello[3:5], "big")]
    (seen,) = hearing.listen([(S, record), (S, 1000), (S, b"abc")])
    assert isinstance(seen, TlsSeen)
    assert (seen.opaque, seen.version) == (1003, "TLS 1.2")
