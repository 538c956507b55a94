"""What the protocol parsers say they heard: a closed union of values, each with its place in the stream.

Every value is a `Heard`: the decoded bytes and the spans in which they (or their encoded form) crossed
the wire, as narrow as the protocol allows: the argument of PASS, not the line.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from mailtap.capture.model import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailtap.capture.model import Direction, Protocol


class Heard(NamedTuple):
    """Bytes that mean something, and where they stood.

    Attributes:
        data: the value, with the protocol's own encoding (base64, quoting, dot-stuffing) undone.
        spans: the stretches of the stream that carried it, in the order they were sent.
        pieces: where it was put together from values that stood apart, those, each with its place in `data`.
    """

    data: bytes
    spans: tuple[Span, ...]
    pieces: tuple[tuple[int, Heard], ...] = ()

    @classmethod
    def joined(cls, pieces: Sequence[Heard]) -> Heard:
        """Return values as one; those without a place are ours."""
        starts = [0, *accumulate(len(piece.data) for piece in pieces)]
        placed = tuple((at, piece) for at, piece in zip(starts, pieces, strict=False) if piece.spans)
        spans = tuple(span for _, piece in placed for span in piece.spans)
        return cls(b"".join(piece.data for piece in pieces), spans, placed)

    def cut(self, start: int, end: int) -> tuple[Span, ...]:
        """Return where `data[start:end]` stood; all the spans where the bytes were not sent one for one."""
        return Places(self).cut(start, end)


class Places:
    """Where the bytes of a value stood, for whoever asks of many stretches of it."""

    def __init__(self, heard: Heard) -> None:
        self._all = heard.spans
        # Runs of the value, in order: where each begins and ends, its spans, and whether those are its bytes.
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._runs: list[tuple[tuple[Span, ...], bool]] = []
        self._add(heard, 0)

    def cut(self, start: int, end: int) -> tuple[Span, ...]:
        """Return where [start, end) of the value stood; see `Heard.cut`."""
        cuts: list[Span] = []
        for at in range(bisect_right(self._ends, start), bisect_left(self._starts, end)):
            spans, is_sent = self._runs[at]
            if is_sent:
                ((direction, begin, _),) = spans
                low, high = max(start, self._starts[at]), min(end, self._ends[at])
                shift = begin - self._starts[at]
                cuts += [Span(direction, low + shift, high + shift)] if low < high else []
            else:
                cuts += spans
        return tuple(cuts) or self._all

    def _add(self, heard: Heard, at: int) -> None:
        if heard.pieces:
            for offset, piece in heard.pieces:
                self._add(piece, at + offset)
        elif sum(span.end - span.start for span in heard.spans) != len(heard.data):
            self._run(at, at + len(heard.data), heard.spans, is_sent=False)
        else:
            for span in heard.spans:
                self._run(at, at + span.end - span.start, (span,), is_sent=True)
                at += span.end - span.start

    def _run(self, start: int, end: int, spans: tuple[Span, ...], *, is_sent: bool) -> None:
        self._starts.append(start)
        self._ends.append(end)
        self._runs.append((spans, is_sent))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSeen:
    """A client tried to log in.

    Attributes:
        protocol: the protocol spoken.
        mechanism: `USER/PASS`, `APOP`, `LOGIN`, `HTML FORM` or the SASL name, in upper case.
        spans: the client's bytes that named the mechanism, for a note where nothing else can be read.
        username: the authentication identity.
        password: the password in clear.
        token: an OAuth 2.0 bearer token.
        digest: the response to a challenge.
        challenge: what the server asked.
        authzid: the identity to act as (RFC 4422, section 3.4.1), where one was sent.
        domain: the NTLM domain, where one was sent.
        accepted: the server's verdict; None where it was not seen.
    """

    protocol: Protocol
    mechanism: str
    spans: tuple[Span, ...]
    username: Heard | None = None
    password: Heard | None = None
    token: Heard | None = None
    digest: Heard | None = None
    challenge: Heard | None = None
    authzid: Heard | None = None
    domain: Heard | None = None
    accepted: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginCancelled:
    """A client broke off a SASL exchange with `*` (RFC 4954, section 4; RFC 5034, section 4)."""

    protocol: Protocol
    mechanism: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Address:
    """One address of an SMTP envelope (RFC 5321, section 3.3), and whether the server took it."""

    path: Heard
    accepted: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSeen:
    """A message crossed, or at least its envelope did.

    Attributes:
        protocol: the protocol spoken.
        content: header and body with dot-stuffing undone; None where only an envelope was sent.
        sender: the envelope's sender (SMTP).
        recipients: the envelope's recipients (SMTP), refused ones included.
        whole: whether `content` is all of the message: no hole, no cut at a limit, not the first lines only.
        limited: whether a size limit cut it.
        accepted: whether the server took the message (SMTP, APPEND); None where that was not seen.
    """

    protocol: Protocol
    content: Heard | None
    sender: Address | None = None
    recipients: tuple[Address, ...] = ()
    whole: bool = True
    limited: bool = False
    accepted: bool | None = None

    @property
    def is_heard(self) -> bool:
        """Whether anything of it is known: its content, or somebody's address (`<>` is nobody's)."""
        addresses = self.recipients if self.sender is None else (self.sender, *self.recipients)
        return self.content is not None or any(address.path.data for address in addresses)


@dataclass(frozen=True, slots=True)
class ServerNameSeen:
    """A TLS client named the server it wants, in clear (RFC 6066, section 3)."""

    protocol: Protocol
    name: Heard


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSeen:
    """From some point on the flow was TLS; said when the flow has ended, with the totals.

    Attributes:
        protocol: the protocol that went under TLS; `tls` where TLS came first.
        spans: the first record seen.
        version: the version negotiated, such as `TLS 1.3`; empty where the server's answer was not seen.
        names: the names in the server's certificate, where it crossed in clear.
        certificate: where the certificate stood; empty where it did not cross in clear.
        client_names: the names in the client's certificate, where one crossed in clear.
        client_certificate: where that one stood.
        opaque: number of bytes, both directions together, that could not be read.
    """

    protocol: Protocol
    spans: tuple[Span, ...]
    version: str
    names: tuple[str, ...]
    certificate: tuple[Span, ...]
    opaque: int
    client_names: tuple[str, ...] = ()
    client_certificate: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class CompressionStarted:
    """The rest of the connection is compressed (RFC 4978) and was not read."""

    protocol: Protocol
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Malformed:
    """A peer broke the rules in a way that may have hidden something.

    Attributes:
        protocol: the protocol spoken.
        spans: the bytes at fault.
        reason: an English sentence; also the key of its translation.
    """

    protocol: Protocol
    spans: tuple[Span, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class UnknownProtocol:
    """A mail port carried something that no parser knows."""

    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class HalfGivenUp:
    """One direction waited so long for the other that its parser went on without it."""

    protocol: Protocol | None
    missing: Direction
    spans: tuple[Span, ...]


Event: TypeAlias = (
    LoginSeen
    | LoginCancelled
    | MessageSeen
    | ServerNameSeen
    | TlsSeen
    | CompressionStarted
    | Malformed
    | UnknownProtocol
    | HalfGivenUp
)
