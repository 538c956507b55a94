"""The nouns of the listener: values that pass from stage to stage, and no logic.

packets -> segments -> chunks -> protocol events -> leaks

The values of which a capture holds millions (`Packet`, `Segment`, `Chunk`, `Gap`, `Span`) are NamedTuples;
everything else is a frozen dataclass.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple


class Endpoint(NamedTuple):
    """One side of a TCP connection: an IP address as text and a port."""

    address: str
    port: int

    def __str__(self) -> str:
        """Return `address:port`, an IPv6 address in brackets (RFC 3986, section 3.2.2)."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class Direction(StrEnum):
    """Which of a flow's two byte streams: what the client sent, or what the server sent."""

    CLIENT = "client"
    SERVER = "server"


OTHER: Final = {Direction.CLIENT: Direction.SERVER, Direction.SERVER: Direction.CLIENT}
"""The direction that answers."""


class Protocol(StrEnum):
    """The protocols the listener parses."""

    SMTP = "smtp"
    POP3 = "pop3"
    IMAP = "imap"
    HTTP = "http"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class Flow:
    """One TCP connection. The client is who sent the SYN; else the side without the well-known port.

    Attributes:
        number: counts from 1 in each capture, in the order in which the flows began.
        client: the endpoint that opened the connection.
        server: the endpoint that accepted it.
    """

    number: int
    client: Endpoint
    server: Endpoint


class Packet(NamedTuple):
    """One captured frame.

    Attributes:
        number: counts from 1 in each capture, as Wireshark's `frame.number` does.
        time_ns: capture time in nanoseconds since 1970-01-01 UTC.
        link_type: the LINKTYPE_ value of the frame (1 Ethernet, 113 Linux cooked, 101 raw IP, …).
        data: the bytes captured, which may be fewer than were on the wire.
        length: the length in bytes on the wire.
    """

    number: int
    time_ns: int
    link_type: int
    data: bytes
    length: int


class Segment(NamedTuple):
    """One TCP segment (RFC 9293).

    Attributes:
        packet: number of the packet it came in.
        time_ns: that packet's time.
        ends: who sent it to whom: two addresses and two ports as they stand in the packet (`wire/ends.py`);
            empty where the segment is passed over, and only its time counts.
        sequence: sequence number of the first payload byte (of the SYN, where there is one).
        acknowledgment: next sequence number that the sender expects; means nothing without the ACK flag.
        flags: the TCP flag bits (0x01 FIN, 0x02 SYN, 0x04 RST, 0x10 ACK).
        payload: the payload bytes captured.
        cut: number of payload bytes that were on the wire after `payload` but not captured (snaplen).
    """

    packet: int
    time_ns: int
    ends: bytes
    sequence: int
    acknowledgment: int
    flags: int
    payload: bytes
    cut: int


class Chunk(NamedTuple):
    """Bytes of one direction's stream, in order, that arrived in one packet.

    Attributes:
        offset: position of the first byte in the stream; the first byte after the SYN is 0.
        data: the bytes, never empty.
        packet: number of the packet that brought them.
        time_ns: that packet's time.
        turn: where that number does not tell when they were said among what both sides said, because the
            capture mixed packets up: one that does. Else 0.
    """

    offset: int
    data: bytes
    packet: int
    time_ns: int
    turn: float = 0


class Gap(NamedTuple):
    """Bytes of one direction's stream that were sent but are not in the capture.

    Attributes:
        offset: position of the first missing byte.
        length: number of bytes missing.
        packet: number of the packet that showed the hole.
        time_ns: that packet's time.
        turn: as that of a chunk.
    """

    offset: int
    length: int
    packet: int
    time_ns: int
    turn: float = 0


class Span(NamedTuple):
    """The bytes [start, end) of one direction's stream of a flow."""

    direction: Direction
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a leaked value stands in the capture.

    Attributes:
        flow: the connection.
        spans: the bytes that carry the value (or its encoded form), in the order they were sent.
        packets: numbers of the packets that carry those bytes, ascending, each once.
        time_ns: time of the last of these packets: the moment the value was known.
    """

    flow: Flow
    spans: tuple[Span, ...]
    packets: tuple[int, ...]
    time_ns: int


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that prints as stars, so that no log or traceback shows it; `.reveal()` does."""

    _text: str

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(********)"

    def __str__(self) -> str:
        return "********"


class Field(StrEnum):
    """What kind of thing leaked; the `field` of a JSON line."""

    USERNAME = "username"
    PASSWORD = "password"  # noqa: S105  # a field's name, not a password
    TOKEN = "token"  # noqa: S105
    DIGEST = "digest"
    SENDER = "sender"
    RECIPIENT = "recipient"
    SUBJECT = "subject"
    BODY = "body"
    ATTACHMENT = "attachment"
    SERVER_NAME = "server_name"


class Source(StrEnum):
    """Where an address was read: the SMTP envelope (RFC 5321) or a message header (RFC 5322)."""

    ENVELOPE = "envelope"
    HEADER = "header"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A part of a message that is a file of its own (RFC 2183).

    Attributes:
        filename: as sent, decoded; untrusted, never a path to write to. Empty where none was given.
        content_type: MIME type such as `application/pdf`.
        content: the decoded bytes.
        sha256: hex SHA-256 of `content`.
        text: for a `text/…` part, its content decoded by its charset; None for others.
    """

    filename: str
    content_type: str
    content: bytes
    sha256: str
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """One field that an eavesdropper could read, and the evidence for it.

    Attributes:
        field: what leaked.
        value: the decoded text; bytes that no charset explains stand as backslash escapes.
            For an attachment, its file name.
        protocol: the protocol it was heard in.
        evidence: where it stands in the capture.
        mechanism: for logins, `USER/PASS`, `APOP`, `LOGIN`, `HTML FORM` or the SASL name (RFC 4422).
        username: the authentication identity, where known.
        authzid: the authorization identity, where sent.
        domain: the NTLM domain, where sent.
        challenge: for a digest, the server's challenge as text.
        accepted: whether the server accepted (the login, or the recipient); None where no answer was seen.
        source: for a sender or recipient, where it was read.
        message: for the fields of a message, its number, counting from 1 in each capture.
        attachment: for an attachment, the file itself.
        guessed: whether the value was not on the wire but guessed from a digest that was.
    """

    field: Field
    value: Secret
    protocol: Protocol
    evidence: Evidence
    mechanism: str | None = None
    username: str | None = None
    authzid: str | None = None
    domain: str | None = None
    challenge: str | None = None
    accepted: bool | None = None
    source: Source | None = None
    message: int | None = None
    attachment: Attachment | None = None
    guessed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A message as it crossed the wire, to be kept as a file.

    Attributes:
        number: counts from 1 in each capture; the `message` of the leaks in it.
        content: header and body, dot-stuffing undone.
        whole: whether that is all of it.
    """

    number: int
    content: bytes
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something worth saying that is not a leak: why nothing was heard, a TLS version, damage.

    Attributes:
        text: an English sentence with `{name}` placeholders; it is also the key of its translation.
        values: the placeholders' values; `message` is the number of a message.
        protocol: where it belongs to one.
        flow: where it belongs to one.
        packets: numbers of the packets it speaks of, ascending; may be empty.
        time_ns: time of the last of them; None where there are none.
        damage: whether the capture itself is at fault (truncated, corrupt, packets missing), so that
            what was heard may not be all there was.
    """

    text: str
    values: tuple[tuple[str, str | int], ...] = ()
    protocol: Protocol | None = None
    flow: Flow | None = None
    packets: tuple[int, ...] = ()
    time_ns: int | None = None
    damage: bool = False

    def __str__(self) -> str:
        """Return the English sentence with its values filled in."""
        return self.text.format(**dict(self.values))


class LineKind(StrEnum):
    """What one utterance of a conversation is."""

    TEXT = "text"  # one line of a text protocol, without its line end
    TLS = "tls"  # one TLS record; `description` says which
    BINARY = "binary"  # anything else
    GAP = "gap"  # bytes missing from the capture


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One line (or TLS record, or hole) of a conversation, as the eavesdropper saw it.

    Attributes:
        direction: who said it.
        kind: how to show it.
        span: its bytes in the stream, line end included.
        data: those bytes without the line end; for a TLS record its first bytes, header included.
        packets: numbers of the packets that carried it, ascending.
        time_ns: time of the first of them.
        marks: ranges [start, end) of `data` that carry a leaked value, with the field that leaked.
        description: for a TLS record, what its header says, such as `TLS handshake, ClientHello`.
    """

    direction: Direction
    kind: LineKind
    span: Span
    data: bytes
    packets: tuple[int, ...]
    time_ns: int
    marks: tuple[tuple[int, int, Field], ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Everything that was said on one flow, in the order in which it crossed the wire.

    Attributes:
        flow: the connection.
        protocol: what the listener took it for; None where it knew no protocol.
        utterances: both directions, ordered by packet.
        complete: whether both ends were seen to open and to close, with no hole.
        client_bytes: payload bytes that the client sent.
        server_bytes: payload bytes that the server sent.
    """

    flow: Flow
    protocol: Protocol | None
    utterances: tuple[Utterance, ...]
    complete: bool
    client_bytes: int
    server_bytes: int
