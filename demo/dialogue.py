"""Shows a conversation as the eavesdropper saw it: lines of styled text.

What the eye can tell by colour it can also tell by a sign: `C:` and `S:` for who speaks, a bar before a
line that leaks, and the name of what leaked after it.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from rich.text import Text

from mailtap.capture.model import Direction, Field, LineKind
from mailtap.capture.report import FIELDS, SECRETS, STARS, printable, shown
from mailtap.demo.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mailtap.capture.model import Conversation, Leak, Utterance
    from mailtap.demo.reader import Reader

CONTENT: Final = frozenset({Field.BODY, Field.ATTACHMENT})
BAR: Final = "▌"

_SPEAKER: Final = {Direction.CLIENT: ("C:", "bold cyan"), Direction.SERVER: ("S:", "bold green")}
_LOUD: Final = "bold white on red"
_READABLE: Final = "black on yellow"
_FAINT: Final = "bright_black"

_RUN: Final = 9  # lines of one speaker shown whole; a longer speech is shortened
_RECORDS: Final = 14  # TLS records shown
_HEAD: Final = 2  # lines kept of what is shortened, and of each body and attachment
_BLOCK: Final = 12  # lines shown of a decoded text
_INDENT: Final = 10


def show(talk: Conversation, leaks: Sequence[Leak], reader: Reader) -> list[Text]:
    """Return the lines of one conversation.

    Args:
        talk: the conversation.
        leaks: what was heard; those of other flows are left out here.
        reader: who is told.
    """
    labels = _labels(talk, leaks)
    lines: list[Text] = []
    for utterance, hidden in _shortened(talk.utterances, labels):
        if hidden:
            lines.append(Text(" " * _INDENT + reader.say("… {count} more lines …", count=hidden), _FAINT))
            continue
        lines += _line(utterance, labels.get(utterance, ()), reader)
    return lines


def _labels(talk: Conversation, leaks: Sequence[Leak]) -> dict[Utterance, list[Leak]]:
    """Return for each utterance the leaks that end in it."""
    labels: dict[Utterance, list[Leak]] = {}
    for leak in leaks:
        if leak.evidence.flow != talk.flow or leak.guessed:
            continue
        last = leak.evidence.spans[-1]
        for utterance in talk.utterances:
            span = utterance.span
            if span.direction is last.direction and span.start < last.end <= span.end:
                labels.setdefault(utterance, []).append(leak)
                break
    return labels


def _shortened(
    utterances: Sequence[Utterance], labels: Mapping[Utterance, Sequence[Leak]]
) -> Iterator[tuple[Utterance, int]]:
    """Yield each utterance to show with 0; in place of those left out, the first of them and their number."""
    for is_tls, run in groupby(utterances, lambda said: said.kind is LineKind.TLS):
        if is_tls:
            yield from _cut(list(run), _RECORDS, set())
            continue
        for _, speech in groupby(run, lambda said: said.direction):
            said = list(speech)
            yield from _cut(said, _RUN, _telling(said, labels))


def _telling(said: Sequence[Utterance], labels: Mapping[Utterance, Sequence[Leak]]) -> set[int]:
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


def _line(utterance: Utterance, leaks: Sequence[Leak], reader: Reader) -> list[Text]:
    """Return one utterance: who, what, and what it gave away."""
    sign, style = _SPEAKER[utterance.direction]
    leaking = bool(utterance.marks or leaks)
    line = Text(BAR if leaking else " ", "bold red")
    line.append(f"{'#' + str(utterance.packets[0]):>5} ", _FAINT)
    line.append(f"{sign} ", style)
    line.append_text(_SHOW[utterance.kind](utterance, reader))
    label = _label(leaks, utterance, reader)
    if line.cell_len + label.cell_len <= reader.width:
        return [line + label, *_block(leaks, reader)]
    line.truncate(reader.width, overflow="ellipsis")
    label.truncate(reader.width - _INDENT + 1, overflow="ellipsis")
    return [line, *([Text(" " * (_INDENT - 1)) + label] if label else []), *_block(leaks, reader)]


def _label(leaks: Sequence[Leak], utterance: Utterance, reader: Reader) -> Text:
    """Return the names of what a line gave away, each with its value where the line shows it encoded."""
    named: list[str] = []
    for leak in leaks:
        name = reader.say(FIELDS[leak.field])
        plain = leak.value.reveal().encode() in utterance.data
        wordless = plain or (leak.field is Field.BODY)
        named.append(name if wordless else f"{name} = {shown(leak, mask=reader.mask)}")
    return Text(f" ◀ {listed(named, reader.say)}", "bold red") if named else Text()


def _block(leaks: Sequence[Leak], reader: Reader) -> list[Text]:
    """Return the decoded text of the body or attachment that ended here, the first lines of it."""
    lines: list[Text] = []
    for leak in leaks:
        words = leak.value.reveal() if leak.field is Field.BODY else leak.attachment and leak.attachment.text
        text = [line for line in (words or "").splitlines() if line.strip()]
        for heard in [*text[:_BLOCK], *(["…"] if len(text) > _BLOCK else [])]:
            line = Text(" " * _INDENT).append("┃ ", "bold red").append(printable(heard), "bold yellow")
            line.truncate(reader.width, overflow="ellipsis")
            lines.append(line)
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
    line = Text(reader.say("[{count} bytes] ", count=utterance.span.end - utterance.span.start))
    return line.append(utterance.data[:16].hex(" "), _FAINT)


def _gap(utterance: Utterance, reader: Reader) -> Text:
    count = utterance.span.end - utterance.span.start
    return Text(reader.say("[{count} bytes are missing from the capture]", count=count), "bold magenta")


_SHOW: Final = {
    LineKind.TEXT: _text,
    LineKind.TLS: _record,
    LineKind.BINARY: _binary,
    LineKind.GAP: _gap,
}
