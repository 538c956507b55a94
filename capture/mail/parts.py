"""Walks a message's MIME parts with the standard library's parser (RFC 2045, RFC 2046, RFC 2183)."""

from __future__ import annotations

import re
from email.feedparser import BytesFeedParser
from email.message import Message
from email.policy import Compat32
from itertools import chain, count, islice
from typing import TYPE_CHECKING

from mailtap.capture.mail import headers, transfer, wellformed
from mailtap.capture.mail.leaf import ALTERNATIVE, PART_LIMIT, REPORTS, Leaf, make_leaf, type_of, word

if TYPE_CHECKING:
    from collections.abc import Iterator

NESTING_LIMIT = 100
"""Multipart and message declarations beyond which a message that is not well-formed is not taken apart."""

_MOST_LINES = 1_500_000  # those of 64 MB in base64 are fewer
_MOST_FIELDS = 50_000  # in the headers of all parts together
_MOST_MADE = 3 * PART_LIMIT  # messages that the parser makes, one for each part and each container
_LONGEST_READ = 16_384  # bytes of a field that the parser reads: its time grows with their square
_PIECE = 8_192
_MOST_ENCODED = 2  # messages in base64 or quoted-printable, each in the one before, that are taken apart
_MESSAGES = frozenset(("message/rfc822", "message/global"))
_ENCODED = frozenset((b"base64", b"quoted-printable"))
_CONTAINER = re.compile(rb"^content-type:\s*(?:multipart|message)/", re.MULTILINE)


class TooComplexError(Exception):
    """A message is not well-formed, and the parser would take too long over it, or too much memory."""


class _AsSent(Compat32):
    """Hands out header values as they were sent, undecodable bytes as surrogates."""

    def header_fetch_parse(self, name: str, value: str) -> str:  # noqa: ARG002  # the base class has it
        """Return the value itself, as far as it is read."""
        return value[:_LONGEST_READ]


_AS_SENT = _AsSent()


def leaves(message: bytes) -> list[Leaf]:
    """Return the parts that hold content, in order, and at most one more than are read.

    Raises:
        TooComplexError: it is neither well-formed nor for the parser.
    """
    found = wellformed.leaves(message)
    return parsed(message) if found is None else found


def parsed(message: bytes) -> list[Leaf]:
    """Return the same of any message, however it is formed.

    Raises:
        TooComplexError: it is too much for the parser.
    """
    return list(islice(_Walk(count(), _MOST_ENCODED).leaves(_parse(message)), PART_LIMIT + 1))


def _parse(message: bytes) -> Message:
    """Return what the parser makes of a message, or of as much of it as is read."""
    if message.count(b"\n") > _MOST_LINES or _nested_too_deep(message):
        raise TooComplexError
    message = headers.mended(message)
    making = _Making()
    parser = BytesFeedParser(making.message, policy=_AS_SENT)
    making.made.clear()  # the parser tries once whether it can make one
    try:
        for at in range(0, len(message), _PIECE):
            parser.feed(message[at : at + _PIECE])
        parser.close()
    except _EnoughError:
        pass
    return making.made[0]


def _nested_too_deep(message: bytes) -> bool:
    """Return whether so many containers are declared that the parser would take too long."""
    lower = message.lower()  # a pattern that ignores case takes ten times as long
    if lower.count(b"multipart/") + lower.count(b"message/") <= NESTING_LIMIT:
        return False
    return sum(1 for _ in islice(_CONTAINER.finditer(lower), NESTING_LIMIT + 1)) > NESTING_LIMIT


class _EnoughError(Exception):
    """More parts were found than are read."""


class _Making:
    """Makes what the parser needs, within bounds.

    Attributes:
        made: the messages that it made, the whole one first.
        fields: how many header fields it read for them.
    """

    def __init__(self) -> None:
        self.made: list[_Counted] = []
        self.fields = 0

    def __deepcopy__(self, _memo: object) -> _Making:
        """Return itself: a copy of one part's message is no copy of all the others."""
        return self

    def message(self, policy: Compat32 = _AS_SENT) -> _Counted:
        """Make the message of a part."""
        if len(self.made) > _MOST_MADE:
            raise _EnoughError
        self.made.append(_Counted(self, policy))
        return self.made[-1]


class _Counted(Message):
    """A part's message, whose header fields are counted."""

    def __init__(self, making: _Making, policy: Compat32) -> None:
        super().__init__(policy)
        self._making = making

    def set_raw(self, name: str, value: str) -> None:
        """Add a header field, as the parser does."""
        self._making.fields += 1
        if self._making.fields > _MOST_FIELDS:
            raise TooComplexError
        super().set_raw(name, value)

    def get_content_type(self) -> str:
        """Return the content type, but plain text where the parser must leave the content as it is.

        An encoded message must be decoded first; and reports are header fields, which it would take for one.
        """
        kind = super().get_content_type()
        if kind in REPORTS or (kind in _MESSAGES and _encoding(self) in _ENCODED):
            return "text/plain"
        return kind


class _Walk:
    """A walk through a message's parts.

    Attributes:
        numbers: one for each multipart/alternative.
        deepest: how many messages that were sent encoded, each in the one before, are taken apart.
    """

    def __init__(self, numbers: Iterator[int], deepest: int) -> None:
        self.numbers = numbers
        self.deepest = deepest

    def leaves(self, part: Message, choices: tuple[tuple[int, int], ...] = ()) -> Iterator[Leaf]:
        """Yield the leaves of a part, which is in these choices (as `Leaf` has them)."""
        kind = type_of(_header(part, "content-type"), part.get_default_type())
        is_attached = word(_header(part, "content-disposition")) == "attachment"
        payload = part.get_payload() if part.is_multipart() else None
        if not isinstance(payload, list):
            encoding = _encoding(part)
            leaf = _leaf(part)._replace(choices=choices)
            if kind in _MESSAGES and encoding in _ENCODED:
                if encoding == b"base64" and b":" in leaf.raw.lstrip().partition(b"\n")[0]:
                    leaf = leaf._replace(content=leaf.raw)  # a header, and no base64
                yield from self._encoded(leaf, is_attached=is_attached)
            else:
                yield leaf
            return
        if kind in _MESSAGES and is_attached:
            yield _leaf(part)._replace(choices=choices)
        number = next(self.numbers) if kind == ALTERNATIVE else None
        for branch, child in enumerate(payload):
            inner = choices if number is None else (*choices, (number, branch))
            if isinstance(child, Message):
                if kind in _MESSAGES and not is_attached:
                    yield from _heading(child, inner)
                yield from self.leaves(child, inner)

    def _encoded(self, leaf: Leaf, *, is_attached: bool) -> Iterator[Leaf]:
        """Yield the leaves of a message that was sent in base64 or quoted-printable (RFC 2046 forbids it)."""
        if is_attached:
            yield leaf
        try:
            message = _parse(leaf.content) if self.deepest else None
        except TooComplexError:
            message = None
        if message is not None:
            walk = _Walk(self.numbers, self.deepest - 1)
            heading = () if is_attached else _heading(message, leaf.choices)
            for inner in chain(heading, walk.leaves(message, leaf.choices)):
                yield inner._replace(raw=leaf.raw)
        elif not is_attached:
            yield leaf._replace(content_type="text/plain", is_attachment=False)


def _heading(message: Message, choices: tuple[tuple[int, int], ...]) -> Iterator[Leaf]:
    """Yield what a mail program shows above a message in a message, if there is anything."""
    found = [
        (name, str(value).encode("utf-8", "surrogateescape"))
        for name in ("From", "To", "Cc", "Subject")
        for value in message.get_all(name, [])
    ]
    if found:
        text = "".join(f"{name}: {headers.text(value)}\n" for name, value in found)
        content = text.encode("utf-8", "backslashreplace")
        leaf = make_leaf(b"text/rfc822-headers; charset=utf-8", b"", content)
        yield leaf._replace(raw=found[0][1], choices=choices)


def _leaf(part: Message) -> Leaf:
    kind, disposition = _header(part, "content-type"), _header(part, "content-disposition")
    default, encoding = part.get_default_type(), _encoding(part)
    payload = part.get_payload() if part.is_multipart() else None
    if isinstance(payload, list):  # an attached message
        messages = [child for child in payload if isinstance(child, Message)]
        content = b"".join(each.as_bytes(policy=_AsSent(linesep="\r\n")) for each in messages)
        return make_leaf(kind, disposition, content, default)
    # `get_payload` guesses with the charset, and raises on labels that are no charset's.
    del part["content-type"], part["content-transfer-encoding"]
    raw = _payload(part)
    if encoding in transfer.ENCODINGS:
        content = transfer.decoded(raw, encoding)
    else:
        part["content-transfer-encoding"] = encoding.decode("ascii", "replace")
        content = _payload(part)
    return make_leaf(kind, disposition, content, default)._replace(raw=raw)


def _payload(part: Message) -> bytes:
    """Return a part's bytes, without the transfer encoding that its header has now."""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _header(part: Message, name: str) -> bytes:
    return str(part.get(name, "")).encode("utf-8", "surrogateescape")


def _encoding(part: Message) -> bytes:
    return transfer.encoding(_header(part, "content-transfer-encoding"))
