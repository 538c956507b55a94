"""Takes well-formed messages apart without a parser's care (RFC 5322, RFC 2045, RFC 2046), and fast.

Most mail is well-formed: CR LF at each line's end, a header that ends in an empty line, boundaries that are
closed. Such a message is cut where its boundaries stand. All else is declined, and read by the standard
library's parser; the two must agree, which a test holds them to.
"""

from __future__ import annotations

import re
from itertools import count, islice
from typing import TYPE_CHECKING

from mailtap.capture.mail import headers, transfer
from mailtap.capture.mail.leaf import ALTERNATIVE, PART_LIMIT, Leaf, make_leaf, type_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER_END = b"\r\n\r\n"
_HEADER = re.compile(rb"(?:[!-9;-~]+:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)*\Z")
_BOUNDARY = re.compile(rb';\s*boundary="?([A-Za-z0-9\'()+_,./:=?-]{1,70})"?\s*(?:;|\Z)', re.IGNORECASE)
_TYPES_READ_ELSEWHERE = (b"message/", b"multipart/digest")
_TELLING = frozenset((b"content-type", b"content-transfer-encoding", b"content-disposition"))
_DEEPEST = 20


class _NotWellFormedError(Exception):
    """This message is for the parser."""


def leaves(message: bytes) -> list[Leaf] | None:
    """Return the parts that hold content, in order, and at most one more than are read.

    None where the message is not well-formed.
    """
    lines = message.count(b"\n")
    if message.count(b"\r\n") != lines or message.count(b"\r") != lines:
        return None
    try:
        return list(islice(_part(message, (0, len(message)), _DEEPEST, count()), PART_LIMIT + 1))
    except _NotWellFormedError:
        return None


def _part(
    message: bytes,
    place: tuple[int, int],
    deepest: int,
    numbers: Iterator[int],
    choices: tuple[tuple[int, int], ...] = (),
) -> Iterator[Leaf]:
    """Yield the leaves in a part.

    Args:
        message: the whole message.
        place: where the part stands, and where it ends.
        deepest: how many levels of parts may be in it.
        numbers: one for each multipart/alternative.
        choices: those around it, as `Leaf` has them.
    """
    start, end = place
    if message.startswith(b"\r\n", start, end):
        head, body = b"", start + 2
    else:
        stop = message.find(_HEADER_END, start, end)
        if stop < 0:
            raise _NotWellFormedError
        head, body = message[start : stop + 2], stop + 4
    if len(head) > headers.HEAD_LIMIT or not _HEADER.match(head) or not deepest:
        raise _NotWellFormedError
    fields = _fields(head)
    kind = fields.get(b"content-type", b"")
    encoding = transfer.encoding(fields.get(b"content-transfer-encoding", b""))
    if kind.strip().lower().startswith(_TYPES_READ_ELSEWHERE) or encoding not in transfer.ENCODINGS:
        raise _NotWellFormedError
    if kind.strip().lower().startswith(b"multipart/"):
        number = next(numbers) if type_of(kind, "") == ALTERNATIVE else None
        for branch, one in enumerate(_between_boundaries(message, body, end, kind)):
            inner = choices if number is None else (*choices, (number, branch))
            yield from _part(message, one, deepest - 1, numbers, inner)
    else:
        content = transfer.decoded(message[body:end], encoding)
        disposition = fields.get(b"content-disposition", b"")
        yield make_leaf(kind, disposition, content)._replace(place=(body, end), choices=choices)


def _fields(head: bytes) -> dict[bytes, bytes]:
    """Return the header fields that tell of the content; of several of one name, the first."""
    found: dict[bytes, bytes] = {}
    for name, start, end in headers.fields(head):
        if name in _TELLING:
            found.setdefault(name, head[start:end])
    return found


def _between_boundaries(message: bytes, start: int, end: int, kind: bytes) -> list[tuple[int, int]]:
    """Return where the parts of a multipart body stand, as many as are read.

    Their boundaries must all be well-formed.
    """
    named = _BOUNDARY.findall(kind)
    if len(named) != 1 or kind.lower().count(b"boundary") != 1:
        raise _NotWellFormedError
    mark = b"\r\n--" + named[0]
    places: list[tuple[int, int]] = []
    at = start - 2 if message.startswith(mark[2:], start, end) else message.find(mark, start, end)
    while at >= 0:
        begin = at + len(mark) + 2
        if places and message.startswith(b"--", begin - 2, end):
            if message[begin : min(begin + 2, end)] in (b"", b"\r\n"):
                return places
            break
        # The boundary of an empty part would follow at once, and share its line end with this one.
        at = message.find(mark, begin - 2, end)
        if at < begin or not message.startswith(b"\r\n", begin - 2, end):
            break
        places.append((begin, at))
        if len(places) > PART_LIMIT:
            return places
    raise _NotWellFormedError
