"""What is fuzzed: for each parser and file reader, a function that takes any bytes and checks what holds.

A target never raises on bytes that are merely hostile; it raises `AssertionError` where a property fails.
The coverage-guided runs are in `run`; every input that once failed is kept in `finds/` and run by the tests.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import hearing

from mailtap.capture.files.bytestream import ByteStream, Gunzip
from mailtap.capture.mail import charsets, headers, mime
from mailtap.capture.mail.html import html_text
from mailtap.capture.model import Direction, Leak, Note, Packet
from mailtap.capture.pipeline import listen
from mailtap.capture.protocols import x509
from mailtap.capture.report import json_line, printable, to_json
from mailtap.capture.sources import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MOST = 1 << 16
_PCAP_HEADER = 24
_PCAP = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")


def dialogue(port: int) -> Callable[[bytes], None]:
    """Return the target of a protocol's parser: lines, the server's begin with S, all others are the client's."""

    def target(data: bytes) -> None:
        turns: list[hearing.Turn] = []
        for line in data[:_MOST].split(b"\n"):
            who = Direction.SERVER if line[:1] == b"S" else Direction.CLIENT
            if line[:1] == b"H":
                turns.append((who, max(1, len(line) * 7)))  # a hole
            else:
                turns.append((who, line[1:] + b"\n"))
        events = hearing.listen(turns, port)
        for item in hearing.read(events):
            _check(item)
            if isinstance(item, Leak):
                assert hearing.cut(turns, item.evidence.spans), item
        single = [
            (who, bytes([byte])) if isinstance(what, bytes) else (who, what)
            for who, what in turns
            for byte in (what if isinstance(what, bytes) else b"x")
        ]
        if not any(isinstance(what, int) for _, what in turns):
            assert hearing.listen(single, port) == events

    return target


def capture_file(data: bytes) -> None:
    """Any file is read to its end, and what is heard in it can be printed."""
    _listened(read(io.BytesIO(data)))


def packets(data: bytes) -> None:
    """Any packets are decoded, reassembled and heard: records of a classic capture file, Ethernet."""
    _listened(read(io.BytesIO(_PCAP + data)))


def frame(data: bytes) -> None:
    """One frame of any link type."""
    _listened([Packet(1, 1, data[0] if data[:1] < b"\xf0" else 276, data[1:], len(data) - 1)] if data else [])


def gzipped(data: bytes) -> None:
    """Any gzip stream is unpacked within bounds."""
    stream = ByteStream(Gunzip(io.BytesIO(data).read, b""))
    while stream.need(1) and stream.offset < 1 << 22:
        assert stream.skip(stream.left)


def message(data: bytes) -> None:
    """Any message is taken apart into texts, each with its place."""
    for whole in (True, False):
        for part in mime.read(data[:_MOST], whole=whole).parts:
            assert 0 <= part.start <= part.end <= len(data)
            printable(part.value).encode()


def texts(data: bytes) -> None:
    """Any bytes are text in any charset, any header, any page, any certificate."""
    label, _, rest = data.partition(b"\n")
    for text in (
        charsets.decode(rest, label.decode("latin-1")),
        headers.text(rest),
        html_text(rest.decode("utf-8", "replace")),
        *headers.addresses(rest),
        *headers.parameters(rest).values(),
        *x509.names(rest),
        x509.issuer(rest),
    ):
        printable(text).encode()


def _listened(heard: Iterable[Packet | Note]) -> None:
    for item in listen(heard):
        _check(item)
        if isinstance(item, Leak):
            assert item.evidence.packets, item


def _check(item: Leak | Note) -> None:
    line = json_line(to_json(item))
    assert printable(line) == line
    line.encode()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "pop3": dialogue(110),
    "smtp": dialogue(25),
    "imap": dialogue(143),
    "http": dialogue(80),
    "tls": dialogue(993),
    "file": capture_file,
    "packets": packets,
    "frame": frame,
    "gzip": gzipped,
    "message": message,
    "texts": texts,
}
