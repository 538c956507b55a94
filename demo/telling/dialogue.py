"""Shows a conversation as the eavesdropper saw it: lines of styled text.

What the eye can tell by colour it can also tell by a sign: `C:` and `S:` for who speaks, a bar before a
line that leaks, and the name of what leaked after it.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.text import Text

from mailtap.capture.language import N_
from mailtap.capture.model import Direction, Field, LineKind
from mailtap.capture.report import FIELDS, SECRETS, STARS, printable, shown
from mailtap.capture.wrapping import broken
from mailtap.demo.telling.words import listed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from mailtap.capture.model import Conversation, Leak, Span, Utterance
    from mailtap.demo.telling.reader import Reader

CONTENT: Final = frozenset({Field.BODY, Field.ATTACHMENT})
BAR: Final = "▌"

_SPEAKER: Final = {Direction.CLIENT: ("C:", "bold cyan"), Direction.SERVER: ("S:", "bold green")}
_LOUD: Final = "bold white on red"
_READABLE: Final = "black on yellow"
_FAINT: Final = "bright_black"
_LABEL: Final = "bold red"

_RUN: Final = 6  # lines of one speaker shown whole; a longer speech is shortened
_RECORDS: Final = 9  # TLS records shown
_HEAD: Final = 2  # lines kept of what is shortened, and of each body and attachment
_BLOCK: Final = 12  # lines shown of a decoded text
_INDENT: Final = 10


def show(
    talk: Conversation, leaks: Sequence[Leak], reader: Reader, *, told: Collection[str] = ()
) -> list[Text]:
    """Return the lines of one conversation.

    Args:
        talk: the conversation.
        leaks: what was heard; those of other flows are left out here.
        reader: who is told.
        told: bodies and attachments (their names) that the reader has seen already, and which are only named.
    """
    labels = _labels(talk, leaks, reader, told)
    lines: list[Text] = []
    for utterance, hidden in _shortened(talk.utterances, labels):
        if hidden:
            lines.append(Text(" " * _INDENT + reader.say("… {count} more lines …", count=hidden), _FAINT))
            continue
        lines += _line(utterance, labels.get(utterance, ()), reader)
    return lines


class _Label(NamedTuple):
    """What a line gave away: its name, the value as shown, and for contents their decoded text."""

    name: str
    value: str
    text: str = ""


def _labels(
    talk: Conversation, leaks: Sequence[Leak], reader: Reader, told: Collection[str]
) -> dict[Utterance, list[_Label]]:
    """Return for each utterance what was complete with it: the leaks that end there, and challenges."""
    labels: dict[Utterance, list[_Label]] = {}
    for leak in leaks:
        if leak.evidence.flow != talk.flow or leak.guessed:
            continue
        spans = leak.evidence.spans
        named = [(spans[-1], _of(leak, reader, told))]
        if leak.challenge is not None:
            named.append((spans[0], _Label(reader.say("challenge"), printable(leak.challenge))))
        for span, label in named:
            if utterance := _at(talk, span):
                labels.setdefault(utterance, []).append(label)
    return labels


def _of(leak: Leak, reader: Reader, told: Collection[str]) -> _Label:
    """Return a leak's own label; a body's value is its text."""
    name, value = reader.say(FIELDS[leak.field]), shown(leak, mask=reader.mask)
    if leak.field in CONTENT and leak.value.reveal() in told:
        return _Label(reader.say("the same {what} again", what=name), "")
    if leak.field is Field.BODY:
        return _Label(name, "", leak.value.reveal())
    return _Label(name, value, (leak.attachment and leak.attachment.text) or "")


def _at(talk: Conversation, span: Span) -> Utterance | None:
    """Return the utterance in which a span ends; None where the capture lost it."""
    ends = (
        utterance
        for utterance in talk.utterances
        if utterance.direction is span.direction and utterance.span.start < span.end <= utterance.span.end
    )
    return next(ends, None)


def _shortened(
    utterances: Sequence[Utterance], labels: Mapping[Utterance, Sequence[_Label]]
) -> Iterator[tuple[Utterance, int]]:
    """Yield each utterance to show with 0; in place of those left out, the first of them and their number."""
    for is_tls, run in groupby(utterances, lambda said: said.kind is LineKind.TLS):
        if is_tls:
            yield from _cut(list(run), _RECORDS, set())
            continue
        for _, speech in groupby(run, lambda said: said.direction):
            said = list(speech)
            yield from _cut(said, _RUN, _telling(said, labels))


def _telling(said: Sequence[Utterance], labels: Mapping[Utterance, Sequence[_Label]]) -> set[int]:
    """Return which lines of a long speech tell something: what leaks, and the beginning of the contents."""
    telling: set[int] = set()
    shown = dict.fromkeys(CONTENT, 0)
    for index, utterance in enumerate(said):
        fields = {field for _, _, field in utterance.marks}
        if utterance in labels or fields - CONTENT:
            telling.add(index)
        for field in fields & CONTENT:
            if shown[field] < _HEAD and utterance.data.strip():
                shown[field] += 1
                telling.add(index)
    return telling


def _cut(said: Sequence[Utterance], limit: int, telling: set[int]) -> Iterator[tuple[Utterance, int]]:
    """Yield a speech, shortened to its first lines, its last, and the telling ones where it is long."""
    edge = _HEAD if telling else limit - 1
    kept = telling | set(range(edge)) | {len(said) - 1}
    everything = len(said) <= limit
    for keep, run in groupby(range(len(said)), lambda index: everything or index in kept):
        indices = list(run)
        if keep or len(indices) == 1:
            yield from ((said[index], 0) for index in indices)
        else:
            yield said[indices[0]], len(indices)


def _line(utterance: Utterance, labels: Sequence[_Label], reader: Reader) -> list[Text]:
    """Return one utterance: who, what, and what it gave away."""
    sign, style = _SPEAKER[utterance.direction]
    line = Text().append(BAR if utterance.marks or labels else " ", "bold red")
    line.append(f"{'#' + str(utterance.packets[0]):>5} ", _FAINT)
    line.append(f"{sign} ", style)
    line.append_text(_SHOW[utterance.kind](utterance, reader))
    line.truncate(reader.width, overflow="ellipsis")
    label = _label(labels, line.plain, reader)
    if line.cell_len + label.cell_len <= reader.width:
        return [line + label, *_block(labels, reader)]
    told = reader.wrapped(label.plain.strip(), _LABEL, hang=" " * _INDENT, margin=0)
    return [line, *told, *_block(labels, reader)]


def _label(labels: Sequence[_Label], seen: str, reader: Reader) -> Text:
    """Return the names of what a line gave away, each with its value where the line does not show it."""
    named = [
        label.name if not label.value or label.value in seen else f"{label.name} = {label.value}"
        for label in labels
    ]
    return Text(f" ◀ {listed(named, reader.say)}", _LABEL) if named else Text()


def _block(labels: Sequence[_Label], reader: Reader) -> list[Text]:
    """Return the decoded text of the body or attachment that ended here, the first lines of it."""
    margin = Text(" " * _INDENT).append("┃ ", "bold red")
    lines: list[Text] = []
    for label in labels:
        text = [line for line in label.text.splitlines() if line.strip()]
        for heard in [*text[:_BLOCK], *(["…"] if len(text) > _BLOCK else [])]:
            pieces = broken(heard, reader.width - len(margin))
            lines += [margin + Text(piece, "bold yellow") for piece in pieces]
    return lines


def _text(utterance: Utterance, reader: Reader) -> Text:  # called through the table
    """Return a line of text, with its leaking parts marked."""
    line = Text()
    edges = {0, len(utterance.data), *(edge for start, end, _ in utterance.marks for edge in (start, end))}
    for start, end in zip(sorted(edges), sorted(edges)[1:], strict=False):
        fields = {field for first, last, field in utterance.marks if first <= start and end <= last}
        words = printable(utterance.data[start:end].decode("utf-8", "backslashreplace"))
        if reader.mask and fields & SECRETS:
            words = STARS
        line.append(words, _LOUD if fields & SECRETS else _READABLE if fields else "")
    return line


def _record(utterance: Utterance, _reader: Reader) -> Text:
    """Return a TLS record: what its header says, and how its bytes look."""
    line = Text(f"[{utterance.description}] ", "bold blue")
    return line.append(utterance.data[:16].hex(" ") + " …", _FAINT)


def _binary(utterance: Utterance, reader: Reader) -> Text:
    count = utterance.span.end - utterance.span.start
    line = Text(reader.say(N_("[one byte] ") if count == 1 else N_("[{count} bytes] "), count=count))
    return line.append(utterance.data[:16].hex(" "), _FAINT)


def _gap(utterance: Utterance, reader: Reader) -> Text:
    count = utterance.span.end - utterance.span.start
    one, more = (
        N_("[one byte is missing from the capture]"),
        N_("[{count} bytes are missing from the capture]"),
    )
    return Text(reader.say(one if count == 1 else more, count=count), "bold magenta")


_SHOW: Final = {
    LineKind.TEXT: _text,
    LineKind.TLS: _record,
    LineKind.BINARY: _binary,
    LineKind.GAP: _gap,
}
