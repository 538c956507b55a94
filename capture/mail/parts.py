"""Walks a message's MIME parts with the standard library's parser (RFC 2045, RFC 2046, RFC 2183)."""

from __future__ import annotations

import email
from dataclasses import dataclass
from email.message import Message
from email.policy import Compat32
from typing import TYPE_CHECKING

from mailtap.capture.mail import headers

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A part that holds content.

    Attributes:
        content_type: in lower case, without parameters.
        charset: as labelled; empty where there is no label.
        filename: empty where none was given.
        is_attachment: whether it is a file of its own and no text to be read.
        content: the bytes, transfer encoding undone.
        raw: the bytes as sent, where they are ASCII.
    """

    content_type: str
    charset: str
    filename: str
    is_attachment: bool
    content: bytes
    raw: bytes


def leaves(message: bytes) -> list[Leaf]:
    """Return the parts that hold content, in order."""
    return [_leaf(part) for part in _walk(email.message_from_bytes(message, policy=_AsSent()))]


def _walk(part: Message) -> Iterator[Message]:
    payload = part.get_payload() if part.is_multipart() else None
    if isinstance(payload, list):
        if _type(part) == "message/rfc822" and _disposition(part) == "attachment":
            yield part
        for child in payload:
            if isinstance(child, Message):
                yield from _walk(child)
    else:
        yield part


def _leaf(part: Message) -> Leaf:
    content_type = _type(part)
    parameters = headers.parameters(_header(part, "content-type"))
    disposition = _disposition(part)
    filename = headers.parameters(_header(part, "content-disposition")).get("filename")
    filename = filename or parameters.get("name", "")
    is_text = content_type.startswith(("text/", "multipart/", "message/delivery-status"))
    if not part.is_multipart():
        # `get_payload` guesses with the charset, and raises on labels that are no charset's.
        del part["content-type"]
    raw = part.get_payload()
    return Leaf(
        content_type=content_type,
        charset=parameters.get("charset", ""),
        filename=filename,
        is_attachment=disposition == "attachment" or bool(filename) or not is_text,
        content=_content(part),
        raw=raw.encode("ascii", "replace") if isinstance(raw, str) else b"",
    )


class _AsSent(Compat32):
    """Hands out header values as they were sent, undecodable bytes as surrogates."""

    def header_fetch_parse(self, name: str, value: str) -> str:  # noqa: ARG002  # the base class has it
        """Return the value itself."""
        return value


def _header(part: Message, name: str) -> bytes:
    return str(part.get(name, ""))[: headers.HEADER_LIMIT].encode("utf-8", "surrogateescape")


def _disposition(part: Message) -> str:
    value = _header(part, "content-disposition")
    return value.partition(b";")[0].strip().lower().decode("ascii", "backslashreplace")


def _type(part: Message) -> str:
    """Return the type in lower case; RFC 2045, section 5.2 names the one to assume."""
    value = _header(part, "content-type").partition(b";")[0].strip().lower()
    return value.decode("ascii", "backslashreplace") if value.count(b"/") == 1 else part.get_default_type()


def _content(part: Message) -> bytes:
    """Return a part's bytes with its transfer encoding undone (RFC 2045, section 6)."""
    payload = part.get_payload()
    if isinstance(payload, list):  # an attached message
        messages = [child for child in payload if isinstance(child, Message)]
        return b"".join(each.as_bytes(policy=_AsSent(linesep="\r\n")) for each in messages)
    decoded = part.get_payload(decode=True)
    return decoded if isinstance(decoded, bytes) else b""
