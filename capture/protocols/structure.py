"""Reads what an IMAP server tells of a message (RFC 9051, section 7.5.2: BODYSTRUCTURE and ENVELOPE).

A client may fetch parts without their MIME headers, and lists without any header. What the server told
of them instead is made into the headers that it was made from.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mailtap.capture.protocols.sentences import Word

Tree: TypeAlias = "list[bytes | Tree | None]"
"""A parenthesised list: strings, NIL as None, and lists."""

_DEEPEST = 50
_MOST_PARTS = 1_000
_LEAST_LEAF = 7  # type, subtype, parameters, id, description, encoding, size
_ENCODING, _PARAMETERS = 5, 2
_DISPOSITION = 2  # a disposition is its name and its parameters
_ENVELOPE = ((b"From", 2), (b"To", 5), (b"Cc", 6), (b"Bcc", 7))
_SUBJECT = 1
_MAILBOX, _ADDRESS = 2, 4
_NOT_TEXT = re.compile(rb"[\r\n\0]+")


def tree(words: Iterable[Word]) -> Tree:
    """Return the list whose words, parentheses among them, are given; what never closes ends with them."""
    root: Tree = []
    open_lists = [root]
    for word in words:
        data = word.heard.data
        if word.is_string:
            open_lists[-1].append(_NOT_TEXT.sub(b" ", data))
        elif data == b"(":
            inner: Tree = []
            if len(open_lists) > _DEEPEST:
                return []
            open_lists[-1].append(inner)
            open_lists.append(inner)
        elif data == b")":
            if len(open_lists) > 1:
                open_lists.pop()
        else:
            open_lists[-1].append(None if data.upper() == b"NIL" else data)
    return root


def mime_headers(body: Tree) -> dict[bytes, bytes]:
    """Return the MIME header of each part, by its section number (RFC 9051, section 6.4.5.1).

    That of the message as a whole has no number.
    """
    found: dict[bytes, bytes] = {}
    waiting = [(body, b"", False)]
    while waiting and len(found) < _MOST_PARTS:
        part, number, is_attached = waiting.pop(0)
        parts = [each for each in part if isinstance(each, list)]
        inner = number + b"." if number else b""
        if part and isinstance(part[0], list):
            kind = next((each for each in part if isinstance(each, bytes)), b"mixed")
            children = parts[
                : next((at for at, each in enumerate(part) if not isinstance(each, list)), len(part))
            ]
            waiting += [(child, inner + b"%d" % place, False) for place, child in enumerate(children, 1)]
            if not is_attached:
                found[number] = _type(b"multipart/" + kind, next(iter(parts[len(children) :]), []))
        elif len(part) >= _LEAST_LEAF:
            # A message of one part, and a mail attached to another that is, have it as part 1.
            place = number if number and not is_attached else inner + b"1"
            found[place] = _leaf(part)
            if not number:
                found[number] = found[place]
            message = [each for each in part[_LEAST_LEAF:] if isinstance(each, list)][1:2]
            if _text(part[0]).lower() == b"message" and message:
                waiting.append((message[0], place, True))
    return found


def _leaf(part: Sequence[bytes | Tree | None]) -> bytes:
    parameters = part[_PARAMETERS]
    header = _type(_text(part[0]) + b"/" + _text(part[1]), parameters if isinstance(parameters, list) else [])
    if encoding := _text(part[_ENCODING]):
        header += b"Content-Transfer-Encoding: " + encoding + b"\r\n"
    for extension in part[_LEAST_LEAF:]:
        if isinstance(extension, list) and len(extension) == _DISPOSITION:
            name, parameters = extension
            if isinstance(name, bytes) and (parameters is None or isinstance(parameters, list)):
                header += b"Content-Disposition: " + name + _parameters(parameters or []) + b"\r\n"
                break
    return header


def _type(name: bytes, parameters: Tree) -> bytes:
    return b"Content-Type: " + name + _parameters(parameters) + b"\r\n"


def _parameters(pairs: Tree) -> bytes:
    texts = [_text(each) for each in pairs]
    return b"".join(
        b"; " + name + b'="' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        for name, value in zip(texts[::2], texts[1::2], strict=False)
    )


def envelope_header(envelope: Tree) -> bytes:
    """Return the header fields of which an envelope was made; empty where it is none."""
    if len(envelope) <= _ENVELOPE[-1][1]:
        return b""
    fields = [
        name + b": " + b", ".join(found) for name, at in _ENVELOPE if (found := list(_people(envelope[at])))
    ]
    if subject := _text(envelope[_SUBJECT]):
        fields.append(b"Subject: " + subject)
    return b"".join(field + b"\r\n" for field in fields)


def _people(addresses: bytes | Tree | None) -> Iterator[bytes]:
    for each in addresses if isinstance(addresses, list) else ():
        if isinstance(each, list) and len(each) == _ADDRESS:
            mailbox, host = _text(each[_MAILBOX]), _text(each[_MAILBOX + 1])
            if mailbox and host:  # without a host it begins or ends a group
                yield b"<" + mailbox + b"@" + host + b">"


def _text(value: bytes | Tree | None) -> bytes:
    return value if isinstance(value, bytes) else b""
