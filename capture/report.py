"""Leaks and notes as text that is safe to print: JSON objects, table rows, single lines."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from mailtap.capture.language import N_, fill
from mailtap.capture.model import Field, Leak, Note

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailtap.capture.language import Say

STARS = "********"
"""What stands for a masked value, whatever its length."""

HEADINGS = (
    N_("flow"),
    N_("field"),
    N_("value"),
    N_("mechanism"),
    N_("accepted"),
    N_("packets"),
)
"""The heads of the columns that `row` fills."""

VALUE = 2
"""The column that may be shortened."""

SECRETS = frozenset((Field.PASSWORD, Field.TOKEN, Field.DIGEST))
FIELDS = {
    Field.USERNAME: N_("user name"),
    Field.PASSWORD: N_("password"),
    Field.TOKEN: N_("token"),
    Field.DIGEST: N_("digest"),
    Field.SENDER: N_("sender"),
    Field.RECIPIENT: N_("recipient"),
    Field.SUBJECT: N_("subject"),
    Field.BODY: N_("body"),
    Field.ATTACHMENT: N_("attachment"),
    Field.SERVER_NAME: N_("server name"),
}
_ACCEPTED = {True: N_("yes"), False: N_("no"), None: ""}

# Control, format (bidirectional marks, zero-width characters), surrogate, line and paragraph separators,
# private use and unassigned: none of them shows what it does to the text around it.
_UNSAFE_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"))
_BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u180b\u180c\u180d\u180e\u180f")
_SAFE = re.compile(r"[\x20-\x7e]*")
_encode = json.JSONEncoder(ensure_ascii=False).encode
_FURTHER = ("authzid", "domain", "challenge", "source", "message")  # only where there is something to say
_NANOSECONDS = 1_000_000_000  # an integer: a quotient of integers is rounded once only
_WIDE = frozenset("WF")
_LONGEST_PACKET_LIST = 3


def printable(text: str) -> str:
    r"""Return the text with what could deceive a terminal or a reader as escapes such as `\x1b`."""
    return _escaped(text, lambda character: character.encode("unicode_escape").decode("ascii"))


def _escaped(text: str, escape: Callable[[str], str]) -> str:
    """Return the text with every unsafe character replaced by its escape."""
    if _SAFE.fullmatch(text):
        return text
    # Each character is looked at once, however often it stands there.
    unsafe = {ord(each): escape(each) for each in set(text) if not _is_safe(each)}
    return text.translate(unsafe) if unsafe else text


def _is_safe(character: str) -> bool:
    return character not in _BLANKS and unicodedata.category(character) not in _UNSAFE_CATEGORIES


def to_json(item: Leak | Note, file: str | None = None, *, mask: bool = False) -> dict[str, Any]:
    """Return a leak or a note as a JSON object.

    Args:
        item: what to tell.
        file: the capture file it was heard in, if any.
        mask: whether passwords, tokens and digests are replaced by stars.
    """
    record = _note_object(item) if isinstance(item, Note) else _leak_object(item, mask=mask)
    if file is not None:
        record["file"] = _whole(file)
    return record


def json_line(record: dict[str, Any]) -> str:
    """Return a JSON object as one line of UTF-8 text, in which what is unsafe to print is escaped."""
    return _escaped(_encode(record), _json_escape)


def _json_escape(character: str) -> str:
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"


def _leak_object(leak: Leak, *, mask: bool) -> dict[str, Any]:
    evidence = leak.evidence
    flow = evidence.flow
    record: dict[str, Any] = {
        "field": leak.field.value,
        "value": STARS if mask and leak.field in SECRETS else _whole(leak.value.reveal()),
        "protocol": leak.protocol.value,
        "mechanism": _whole(leak.mechanism),
        "username": _whole(leak.username),
        "accepted": leak.accepted,
    }
    for name in _FURTHER:
        value = getattr(leak, name)
        if value is not None:
            record[name] = _whole(value)
    if leak.attachment is not None:
        record["filename"] = _whole(leak.attachment.filename)
        record["content_type"] = _whole(leak.attachment.content_type)
        record["size"] = len(leak.attachment.content)
        record["sha256"] = leak.attachment.sha256
    if leak.guessed:
        record["guessed"] = True
    record["flow"] = flow.number
    record["client"] = str(flow.client)
    record["server"] = str(flow.server)
    record["packets"] = list(evidence.packets)
    record["time"] = evidence.time_ns / _NANOSECONDS
    return record


def _note_object(note: Note) -> dict[str, Any]:
    flow = note.flow
    return {
        "field": None,
        "note": _whole(str(note)),
        "protocol": None if note.protocol is None else str(note.protocol),
        "flow": None if flow is None else flow.number,
        "client": None if flow is None else str(flow.client),
        "server": None if flow is None else str(flow.server),
        "packets": list(note.packets),
        "time": None if note.time_ns is None else note.time_ns / _NANOSECONDS,
        "damage": note.damage,
    }


def _whole(value: Any) -> Any:  # noqa: ANN401  # text is made whole, all else passes through
    """Return text that UTF-8 can encode: a lone surrogate becomes an escape."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def row(leak: Leak, say: Say, *, mask: bool = False, width: int = 40) -> list[str]:
    """Return a leak as a row of a table, its columns as in `HEADINGS`.

    Args:
        leak: what leaked.
        say: speaks the reader's language.
        mask: whether passwords, tokens and digests are replaced by stars.
        width: how many columns of the value to show; a Chinese or Japanese character takes two.
    """
    return [
        str(leak.evidence.flow.number),
        field(leak, say),
        shown(leak, mask=mask, width=width),
        printable(leak.mechanism or ""),
        say(_ACCEPTED[leak.accepted]),
        packet_list(leak.evidence.packets),
    ]


def line(leak: Leak, say: Say, *, mask: bool = False, width: int = 60) -> str:
    """Return a leak as one line of text, for a reader who watches it happen."""
    flow = leak.evidence.flow
    place = f"[{packet_list(leak.evidence.packets)}] {str(leak.protocol).upper()}"
    told = f"{field(leak, say)}: {shown(leak, mask=mask, width=width)}"
    if leak.accepted is False:
        told += " " + say("(refused)")
    return f"{place} {flow.client} -> {flow.server}  {told}"


def sentence(note: Note, say: Say) -> str:
    """Return a note as a line of text, with the connection and the packets it speaks of."""
    text = printable(fill(note.text, note.values, say))
    place = [f"{note.flow.client} -> {note.flow.server}"] if note.flow is not None else []
    if note.packets and "{packet" not in note.text and "{first}" not in note.text:
        place_text = N_("packets {packets}") if len(note.packets) > 1 else N_("packet {packets}")
        place.append(say(place_text, packets=packet_list(note.packets)))
    return f"{text} ({', '.join(place)})" if place else text


def field(leak: Leak, say: Say) -> str:
    """Return the name of what leaked."""
    name = say(FIELDS[leak.field])
    return say("{field} (guessed)", field=name) if leak.guessed else name


def shown(leak: Leak, *, mask: bool, width: int | None = None) -> str:
    """Return a leak's value on one line, shortened and safe to print; of an attachment, what it is, too."""
    if mask and leak.field in SECRETS:
        return STARS
    parts = [printable(part.removesuffix("\r")) for part in leak.value.reveal().split("\n")]
    text = " ".join(part for part in parts if part.strip())
    if leak.attachment is not None:
        text += f" ({printable(leak.attachment.content_type)}, {len(leak.attachment.content):,} B)"
    if width is None:
        return text
    cells = 0
    for at, character in enumerate(text):
        cells += 2 if unicodedata.east_asian_width(character) in _WIDE else 1
        # The last cell is for the mark that something was left out.
        if cells >= width and at + 1 < len(text):
            return text[:at] + "…"
    return text


def packet_list(packets: tuple[int, ...]) -> str:
    """Return packet numbers as text; of many, the first and the last."""
    if len(packets) <= _LONGEST_PACKET_LIST:
        return ",".join(map(str, packets))
    return f"{packets[0]}…{packets[-1]}"
