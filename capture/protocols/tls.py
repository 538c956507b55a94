"""Listens to TLS, as far as it can be heard: the handshake's clear part (RFC 8446; RFC 5246).

That is the server's name as the client asks for it, the version, and up to TLS 1.2 the certificates.
All other bytes are only counted.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING

from mailtap.capture.events import Heard, Malformed, ServerNameSeen, TlsSeen
from mailtap.capture.language import N_
from mailtap.capture.model import Protocol, Span
from mailtap.capture.protocols import x509
from mailtap.capture.protocols.lines import TLS_RECORD

if TYPE_CHECKING:
    from mailtap.capture.protocols.lines import Reading, Stream
    from mailtap.capture.protocols.talk import Talk

HANDSHAKE, ALERT = 22, 21  # content types, RFC 8446, section 5.1
CLIENT_HELLO, SERVER_HELLO, CERTIFICATE = 1, 2, 11  # RFC 8446, section 4
_SERVER_NAME, _SUPPORTED_VERSIONS = 0, 43  # extensions, RFC 6066, section 3; RFC 8446, section 4.2.1
_RECORD_LIMIT = 18_432 + 5  # RFC 5246, section 6.2.3, with the header
_HEADER, _MESSAGE_HEADER, _MAJOR = 5, 4, 3
_RECORD_BEGIN = 3  # bytes by which a record is known
_HANDSHAKE_LIMIT = 262_144
_PLACE = 128  # bytes of memory, about, that the place of a record takes

VERSIONS = MappingProxyType(
    {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}
)
NOT_TLS = N_("After the upgrade to TLS came something that is not TLS.")


def converse(talk: Talk) -> Reading[None]:
    """Listen to a connection that is TLS from its first byte."""
    yield from watch(talk, Protocol.TLS)


def begins(talk: Talk) -> Reading[bool]:
    """Tell whether the client's next bytes are a TLS handshake."""
    return TLS_RECORD.match((yield from talk.client.peek(3))) is not None


def follows(talk: Talk, *, accepted: bool | None) -> Reading[bool]:
    """Tell whether TLS begins behind a command that asked for it.

    Where replies were lost, the one taken for its own may be another's: then what the client says tells.
    """
    if accepted is not None and not talk.count_was_lost:
        return accepted
    if accepted is False:
        return False
    ahead = yield from talk.client.peek(_RECORD_BEGIN)
    return TLS_RECORD.match(ahead) is not None or (accepted is True and len(ahead) < _RECORD_BEGIN)


def watch(talk: Talk, protocol: Protocol) -> Reading[None]:
    """Listen to the rest of a connection as TLS, and sum it up when both directions have ended.

    Args:
        talk: the flow, read up to where TLS begins in both directions.
        protocol: what went under TLS; `tls` where TLS came first.
    """
    halves = (_Half(talk.client), _Half(talk.server))
    while True:
        for half in halves:
            half.listen(talk)
        talk.kept = sum(half.kept for half in halves)
        if all(half.stream.closed for half in halves):
            break
        yield None
    client, server = halves
    first = client.first or server.first
    if first is None:
        return
    if not (client.is_tls or server.is_tls):
        if not (talk.started_late or talk.count_was_lost or client.lacks or server.lacks):
            talk.say(Malformed(protocol, (first,), NOT_TLS))
        return
    talk.say(
        TlsSeen(
            protocol=protocol,
            spans=(first,),
            version=server.version,
            names=server.names,
            certificate=server.certificate,
            opaque=client.count() + server.count(),
            client_names=client.names,
            client_certificate=client.certificate,
        )
    )


class _Half:
    """One direction of a TLS connection."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.first: Span | None = None
        self.is_tls = False
        self.lacks = False  # whether there was a hole
        self.version = ""
        self.names: tuple[str, ...] = ()
        self.certificate: tuple[Span, ...] = ()
        self._opaque = 0
        self._clear = True
        self._records = bytearray()
        self._offset = stream.offset
        self._handshake = bytearray()
        self._places: list[
            tuple[int, int]
        ] = []  # where in `_handshake` each record begins, and in the stream

    def count(self) -> int:
        """Return the number of bytes that could not be read."""
        return self._opaque + len(self._records)

    @property
    def kept(self) -> int:
        """Return the number of bytes of memory, about, that is taken by what is not complete."""
        return len(self._records) + len(self._handshake) + _PLACE * len(self._places)

    def listen(self, talk: Talk) -> None:
        """Take all bytes that are there."""
        while True:
            if not self._records:
                self._offset = self.stream.offset
            data = self.stream.drain()
            if self._clear:
                self._records += data
                self._read_records(talk)
            else:
                self._opaque += len(data)
            if self.stream.hole is None:
                return
            self.lacks = True
            self._opaque += self.stream.hole.length
            self._go_dark()
            self.stream.cross_hole()

    def _read_records(self, talk: Talk) -> None:
        while self._clear and len(self._records) >= _HEADER:  # the record header
            length = _HEADER + int.from_bytes(self._records[3:5], "big")
            kind = self._records[0]
            if self.first is None:
                self.first = Span(
                    self.stream.direction, self._offset, self._offset + min(length, _RECORD_LIMIT)
                )
                self.is_tls = self._records[1] == _MAJOR and kind in range(20, 25)
            if not self.is_tls or kind not in (HANDSHAKE, ALERT) or length > _RECORD_LIMIT:
                self._go_dark()
                return
            if len(self._records) < length:
                return
            if kind == HANDSHAKE and length > _HEADER:
                self._places.append((len(self._handshake), self._offset + _HEADER))
                self._handshake += self._records[_HEADER:length]
            del self._records[:length]
            self._offset += length
            self.stream.reached = self._offset
            self._read_handshake(talk)

    def _go_dark(self) -> None:
        """From here on nothing can be read in this direction."""
        self._clear = False
        self._opaque += len(self._records)
        self._records.clear()
        self._handshake.clear()
        self._places.clear()

    def _read_handshake(self, talk: Talk) -> None:
        """Read the handshake messages that are complete (RFC 8446, section 4)."""
        while len(self._handshake) >= _MESSAGE_HEADER:  # type and length
            size = _MESSAGE_HEADER + int.from_bytes(self._handshake[1:4], "big")
            if size > _HANDSHAKE_LIMIT:
                self._go_dark()
                return
            if len(self._handshake) < size:
                return
            kind, message = self._handshake[0], bytes(self._handshake[:size])
            if kind == CLIENT_HELLO and (name := server_name(message)) is not None:
                heard = Heard(message[name[0] : name[1]], self._spans(*name))
                talk.say(ServerNameSeen(Protocol.TLS, heard))
            elif kind == SERVER_HELLO:
                self.version = version(message)
            elif kind == CERTIFICATE and not self.certificate:
                self.names = x509.names(_vector(message, _vector_start(message), 3))
                self.certificate = self._spans(0, size)
            del self._handshake[:size]
            first = max(bisect_right(self._places, size, key=itemgetter(0)) - 1, 0)
            self._places = [(at - size, offset) for at, offset in self._places[first:]]

    def _spans(self, start: int, end: int) -> tuple[Span, ...]:
        """Return where bytes [start, end) of the handshake stand in the stream: they may cross records."""
        spans = []
        stops = [at for at, _ in self._places[1:]] + [len(self._handshake)]
        for (at, offset), stop in zip(self._places, stops, strict=True):
            low, high = max(start, at), min(end, stop)
            if low < high:
                spans.append(Span(self.stream.direction, offset + low - at, offset + high - at))
        return tuple(spans)


def server_name(hello: bytes) -> tuple[int, int] | None:
    """Return where in a ClientHello, header included, the server's name stands (RFC 6066, section 3)."""
    at = 4 + 2 + 32
    for width in (1, 2, 1):  # session identifier, cipher suites, compression methods
        at += width + int.from_bytes(hello[at : at + width], "big")
    place = _extension(hello, at, _SERVER_NAME)
    if place is None:
        return None
    start = place[0] + 5  # list length, name type, name length
    end = start + int.from_bytes(hello[start - 2 : start], "big")
    is_host_name = hello[start - 3 : start - 2] == b"\0"
    return (start, end) if is_host_name and start < end <= place[1] else None


def version(hello: bytes) -> str:
    """Return the version that a ServerHello, header included, chose."""
    at = 4 + 2 + 32
    at += 1 + int.from_bytes(hello[at : at + 1], "big") + 3  # session identifier, cipher suite, compression
    place = _extension(hello, at, _SUPPORTED_VERSIONS)
    raw = hello[place[0] : place[0] + 2] if place else hello[4:6]
    number = int.from_bytes(raw, "big")
    return VERSIONS.get(number, f"0x{number:04x}")


def _extension(hello: bytes, at: int, wanted: int) -> tuple[int, int] | None:
    """Return where the data of an extension stands; `at` is where the list of extensions begins."""
    end = min(len(hello), at + 2 + int.from_bytes(hello[at : at + 2], "big"))
    at += 2
    while at + 4 <= end:
        kind = int.from_bytes(hello[at : at + 2], "big")
        stop = at + 4 + int.from_bytes(hello[at + 2 : at + 4], "big")
        if kind == wanted:
            return (at + 4, stop) if stop <= end else None
        at = stop
    return None


def _vector_start(certificate: bytes) -> int:
    """Return where the first certificate's length stands: behind the header and the list's length."""
    return min(len(certificate), 7)


def _vector(message: bytes, at: int, width: int) -> bytes:
    """Return a vector with a length of `width` bytes (RFC 8446, section 3.4)."""
    start = at + width
    return message[start : start + int.from_bytes(message[at:start], "big")]
