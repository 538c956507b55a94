"""The data items of FETCH (RFC 3501, section 6.4.5 and 7.4.2): item and message in, bytes out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mailtap.servers.imap import structure
from mailtap.servers.imap.replies import NIL, date_time, flags, literal, when
from mailtap.servers.imap.words import Atom, BadSyntax, keyword, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mailtap.servers.imap.entry import Entry
    from mailtap.servers.imap.words import Word
    from mailtap.servers.parts import Part

MACROS: Final = {
    "ALL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
    "FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
    "FULL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"),
}
_OLD: Final = {"RFC822": "BODY[]", "RFC822.HEADER": "BODY.PEEK[HEADER]", "RFC822.TEXT": "BODY[TEXT]"}

_SECTION: Final = re.compile(
    r"BODY(?P<peek>\.PEEK)?\[(?P<path>(?:\d{1,10}(?:\.\d{1,10})*)?)\.?(?P<of>[A-Z.]*)(?P<fields> ?\(.*\))?\]"
    r"(?:<(?P<start>\d{1,10})(?:\.(?P<count>\d{1,10}))?>)?"
)
_UNFOLDED: Final = re.compile(rb"(?<=\r\n)(?![ \t])")  # where a field ends (RFC 5322, section 2.2.3)


@dataclass(frozen=True, slots=True)
class Item:
    """One item that was asked for.

    Attributes:
        name: as the answer calls it.
        show: makes its value from a message.
        seen: whether asking for it marks the message as seen.
    """

    name: bytes
    show: Callable[[Entry], bytes]
    seen: bool = False


def items(words: Sequence[Word]) -> list[Item]:
    """Return the items of a FETCH command: one, a macro, or a list.

    Raises:
        BadSyntax: there is no such item.
    """
    asked = words[0] if len(words) == 1 and isinstance(words[0], tuple) else tuple(words)
    names = [name for word in asked for name in MACROS.get(keyword(word), (_name(word),))]
    if not names:
        raise BadSyntax("FETCH what?")
    return [_item(name) for name in names]


def _name(word: Word) -> str:
    if not isinstance(word, Atom):
        raise BadSyntax("FETCH takes names of items")
    return word.value.decode("ascii", "replace")


def _item(name: str) -> Item:
    upper = name.upper()
    if simple := _SIMPLE.get(upper):
        return Item(upper.encode(), simple)
    match = _SECTION.fullmatch(_OLD.get(upper, upper))
    if match is None:
        raise BadSyntax("No such item")
    section = _section(match)
    called = upper if upper in _OLD else upper.replace("BODY.PEEK[", "BODY[")
    called = re.sub(r"<(\d+)\.\d+>$", r"<\1>", called)  # RFC 3501, section 7.4.2: the origin alone

    def show(entry: Entry) -> bytes:
        found = section(entry.part)
        return NIL if found is None else literal(found)

    return Item(called.encode(), show, seen=not match["peek"])


def _section(match: re.Match[str]) -> Callable[[Part], bytes | None]:
    """Return what takes a section out of a message; None where the message has none such."""
    path = [int(number) for number in match["path"].split(".") if number]
    names = [word.value for word in _fields(match["fields"])]
    take = _TAKEN.get(match["of"])
    fields_asked = match["of"].startswith("HEADER.FIELDS")
    if take is None or fields_asked != bool(names) or (match["of"] == "MIME" and not path):
        raise BadSyntax("No such section")

    def taken(whole: Part) -> bytes | None:
        part = _find(whole, path)
        octets = None if part is None else take(part, bool(path), names)
        if octets is None or match["start"] is None:
            return octets
        start = int(match["start"])
        return octets[start : start + int(match["count"])] if match["count"] else octets[start:]

    return taken


def _fields(text: str | None) -> list[Atom]:
    words = read([Atom(text.strip().encode())]) if text else ()
    inner = words[0] if words and isinstance(words[0], tuple) else ()
    return [Atom(word.value) for word in inner if not isinstance(word, tuple)]


def _find(whole: Part, path: Sequence[int]) -> Part | None:
    """Return the part that numbers lead to; a message in a message is passed through."""
    part = whole
    for number in path:
        if part.message and part.children:
            part = part.children[0]
        if part.multipart and 1 <= number <= len(part.children):
            part = part.children[number - 1]
        elif part.multipart or number != 1:
            return None
    return part


def _all(part: Part, within: bool, _: Sequence[bytes]) -> bytes | None:  # noqa: FBT001  # one row of a table
    return part.body if within else part.head + part.body


def _mime(part: Part, within: bool, _: Sequence[bytes]) -> bytes | None:  # noqa: FBT001
    return part.head if within else None


def _of_message(part: Part, within: bool) -> Part | None:  # noqa: FBT001
    """Return the message that HEADER and TEXT are about."""
    if not within:
        return part
    return part.children[0] if part.message and part.children else None


def _header(part: Part, within: bool, _: Sequence[bytes]) -> bytes | None:  # noqa: FBT001
    message = _of_message(part, within)
    return None if message is None else message.head


def _text(part: Part, within: bool, _: Sequence[bytes]) -> bytes | None:  # noqa: FBT001
    message = _of_message(part, within)
    return None if message is None else message.body


def _some(part: Part, within: bool, names: Sequence[bytes]) -> bytes | None:  # noqa: FBT001
    return _chosen(part, within, lambda name: name in _lower(names))


def _others(part: Part, within: bool, names: Sequence[bytes]) -> bytes | None:  # noqa: FBT001
    return _chosen(part, within, lambda name: name not in _lower(names))


def _lower(names: Iterable[bytes]) -> set[bytes]:
    return {name.lower() for name in names}


def _chosen(part: Part, within: bool, wanted: Callable[[bytes], bool]) -> bytes | None:  # noqa: FBT001
    """Return the fields that are wanted, folded as they are, and the blank line."""
    message = _of_message(part, within)
    if message is None:
        return None
    fields = _UNFOLDED.split(message.head)
    kept = [field for field in fields if field.strip() and wanted(field.partition(b":")[0].strip().lower())]
    return b"".join(kept) + b"\r\n"


_TAKEN: Final[dict[str, Callable[[Part, bool, Sequence[bytes]], bytes | None]]] = {
    "": _all,
    "HEADER": _header,
    "HEADER.FIELDS": _some,
    "HEADER.FIELDS.NOT": _others,
    "MIME": _mime,
    "TEXT": _text,
}

_SIMPLE: Final[dict[str, Callable[[Entry], bytes]]] = {
    "BODY": lambda entry: structure.body(entry.part, extended=False),
    "BODYSTRUCTURE": lambda entry: structure.body(entry.part, extended=True),
    "ENVELOPE": lambda entry: structure.envelope(entry.part),
    "FLAGS": lambda entry: flags(entry.flags),
    "INTERNALDATE": lambda entry: date_time(when(entry.part.header.get("Date"))),
    "RFC822.SIZE": lambda entry: b"%d" % len(entry.message.content),
    "UID": lambda entry: b"%d" % entry.message.number,
}
