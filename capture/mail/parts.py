"""Walks a message's MIME parts with the standard library's parser (RFC 2045, RFC 2046, RFC 2183)."""

from __future__ import annotations

import email
from email.message import Message
from email.policy import Compat32
from typing import TYPE_CHECKING

from mailtap.capture.mail import headers, wellformed
from mailtap.capture.mail.leaf import Leaf, make_leaf, type_of, word

if TYPE_CHECKING:
    from collections.abc import Iterator


def leaves(message: bytes) -> list[Leaf]:
    """Return the parts that hold content, in order."""
    found = wellformed.leaves(message)
    return parsed(message) if found is None else found


def parsed(message: bytes) -> list[Leaf]:
    """Return the same of any message, however it is formed."""
    return [_leaf(part) for part in _walk(email.message_from_bytes(message, policy=_AsSent()))]


def _walk(part: Message) -> Iterator[Message]:
    payload = part.get_payload() if part.is_multipart() else None
    if isinstance(payload, list):
        kind, disposition = _header(part, "content-type"), _header(part, "content-disposition")
        if type_of(kind, part.get_default_type()) == "message/rfc822" and word(disposition) == "attachment":
            yield part
        for child in payload:
            if isinstance(child, Message):
                yield from _walk(child)
    else:
        yield part


def _leaf(part: Message) -> Leaf:
    kind, disposition = _header(part, "content-type"), _header(part, "content-disposition")
    default = part.get_default_type()
    if not part.is_multipart():
        # `get_payload` guesses with the charset, and raises on labels that are no charset's.
        del part["content-type"]
    raw = part.get_payload()
    leaf = make_leaf(kind, disposition, _content(part), default)
    return leaf._replace(raw=raw.encode("ascii", "replace")) if isinstance(raw, str) else leaf


class _AsSent(Compat32):
    """Hands out header values as they were sent, undecodable bytes as surrogates."""

    def header_fetch_parse(self, name: str, value: str) -> str:  # noqa: ARG002  # the base class has it
        """Return the value itself."""
        return value


def _header(part: Message, name: str) -> bytes:
    return str(part.get(name, ""))[: headers.HEADER_LIMIT].encode("utf-8", "surrogateescape")


def _content(part: Message) -> bytes:
    """Return a part's bytes with its transfer encoding undone (RFC 2045, section 6)."""
    payload = part.get_payload()
    if isinstance(payload, list):  # an attached message
        messages = [child for child in payload if isinstance(child, Message)]
        return b"".join(each.as_bytes(policy=_AsSent(linesep="\r\n")) for each in messages)
    decoded = part.get_payload(decode=True)
    return decoded if isinstance(decoded, bytes) else b""
