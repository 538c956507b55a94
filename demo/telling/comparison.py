"""Two rows beside each other, step by step: the screen that stays up while people talk about it.

On a screen that is too narrow for two columns, the two stand under each other at each step, as A and B.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from mailtap.capture.language import N_
from mailtap.capture.model import Direction, Field, LineKind
from mailtap.capture.report import FIELDS, SECRETS, printable, shown
from mailtap.demo.scenarios import Hop
from mailtap.demo.telling.matrix import State, only_stolen, stolen_legend, stolen_mark
from mailtap.demo.telling.reader import Reader
from mailtap.demo.telling.sheets import STYLES, wrong
from mailtap.demo.telling.words import HOPS, SERVICE_NAMES, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailtap.capture.model import Leak, Utterance
    from mailtap.demo.outcome import Outcome
    from mailtap.demo.telling.sheets import Runs

_LABEL: Final = 13  # columns for what a line is about
_BAR: Final = " │ "
_SIDES: Final = ("A │ ", "B │ ")  # where there is no room for two columns
_QUIET: Final = "bright_black"
_LOUD: Final = "bold white on red"
_READABLE: Final = "bold yellow"
_NOTHING: Final = "·"
_APPLICATION_DATA: Final = b"\x17"  # RFC 8446, section 5.1
# The steps of a conversation in their order, and what each may give away.
_STEPS: Final = (
    (FIELDS[Field.SERVER_NAME], (Field.SERVER_NAME,)),
    (N_("login"), (Field.USERNAME, Field.PASSWORD, Field.TOKEN, Field.DIGEST)),
    (FIELDS[Field.SENDER], (Field.SENDER,)),
    (FIELDS[Field.RECIPIENT], (Field.RECIPIENT,)),
    (FIELDS[Field.SUBJECT], (Field.SUBJECT,)),
    (FIELDS[Field.BODY], (Field.BODY,)),
    (FIELDS[Field.ATTACHMENT], (Field.ATTACHMENT,)),
)


def comparison(runs: Runs, reader: Reader) -> list[list[Text]]:
    """Return the two runs beside each other, in one part: with two hops, all of it fits a projector."""
    pair = [outcome for outcome, _ in runs]
    titles = [Text(f"{each.scenario.name}: {reader.say(each.scenario.title)}") for each in pair]
    head = _titles(titles, reader)
    for line in head:
        line.stylize("bold reverse")
    points = [Text(reader.say(each.point), _READABLE) for each in pair]
    hops = [hop for hop in Hop if any(hop in each.scenario.hops for each in pair)]
    told = [line for number, hop in enumerate(hops, 1) for line in _hop(pair, number, hop, reader)]
    legends = [_legend(each, reader) for each in pair]
    return [[*head, *told, *_folded(points, reader), *_folded(legends, reader), *wrong(runs, reader)]]


def _titles(titles: Sequence[Text], reader: Reader) -> list[Text]:
    """Return the head of the screen: in a line, cut to fit, or whole, one title after the other."""
    if reader.has_room_for_two:
        return _row(Text(), titles, reader)
    lines = _folded(titles, reader)
    for line in lines:
        line.pad_right(reader.width - line.cell_len)
    return lines


def _legend(outcome: Outcome, reader: Reader) -> Text:
    """Return what the small letters of a side mean, where it has any."""
    hops = [hop for hop in outcome.servers if only_stolen(outcome, hop)]
    return Text(stolen_legend(hops, reader.say) if hops else "", STYLES[State.STOLEN])


def _hop(pair: Sequence[Outcome], number: int, hop: Hop, reader: Reader) -> list[Text]:
    """Return one hop: what is spoken, how it looks, and each step at which one of the two leaks."""
    title = Text(f"{number}. {reader.say(HOPS[hop])}")
    head = _row(title, [_service(each, hop, reader) for each in pair], reader)
    for line in head:
        line.stylize("bold")
    sights = [_sight(each, hop, reader) for each in pair]
    lines = [*head, *_row(Text(reader.say("on the wire")), sights, reader)]
    for name, fields in _STEPS:
        cells = [_step(each, hop, fields, reader) for each in pair]
        if any(cells):
            shown = [cell or Text(_NOTHING, _QUIET) for cell in cells]
            lines += _row(Text(reader.say(name)), shown, reader)
    return lines


def _service(outcome: Outcome, hop: Hop, reader: Reader) -> Text:
    if hop not in outcome.servers:
        return Text(reader.say("not on this way"), _QUIET)
    service = outcome.scenario.services[hop]
    name = reader.say(SERVICE_NAMES[service.security], protocol=service.protocol.upper())
    port = outcome.servers[hop].port
    return Text(reader.say("{service}, port {port}", service=name, port=port))


def _sight(outcome: Outcome, hop: Hop, reader: Reader) -> Text:
    """Return one line that the client sent, as it was seen: of the login, or the longest that is hidden."""
    said = [
        utterance
        for talk in outcome.conversations
        if outcome.hop(talk.flow) is hop
        for utterance in talk.utterances
        if utterance.direction is Direction.CLIENT
    ]
    if not said:
        return Text(_NOTHING, _QUIET)
    secret = [each for each in said if any(field in SECRETS for _, _, field in each.marks)]
    hidden = [each for each in said if each.kind is LineKind.TLS and each.data.startswith(_APPLICATION_DATA)]
    hidden.sort(key=lambda each: each.span.end - each.span.start)
    named = [each for each in said if any(field is Field.SENDER for _, _, field in each.marks)]
    return _seen((secret or hidden[-1:] or named or said)[0], reader)


def _seen(utterance: Utterance, reader: Reader) -> Text:
    if utterance.kind is not LineKind.TEXT:
        return Text(utterance.data[:24].hex(" "), _QUIET)
    secret = any(field in SECRETS for _, _, field in utterance.marks)
    if secret and reader.mask:
        return Text(
            printable(utterance.data[: utterance.marks[0][0]].decode("ascii", "replace")) + "********"
        )
    return Text(printable(utterance.data.decode("utf-8", "backslashreplace")))


def _step(outcome: Outcome, hop: Hop, fields: Sequence[Field], reader: Reader) -> Text:
    """Return what a step gave away on a hop: to the wire, and, marked, to the attacker alone."""
    sides = (_said(outcome, hop, fields, reader), _stolen(outcome, hop, fields, reader))
    return Text(" ").join(side for side in sides if side)


def _stolen(outcome: Outcome, hop: Hop, fields: Sequence[Field], reader: Reader) -> Text:
    """Return what only the attacker read at a step, after the mark of the matrix; nothing where he did not.

    A thief with a mail program of his own has no listener's leaks: then the mark stands alone.
    """
    taken = only_stolen(outcome, hop).intersection(fields) if hop in outcome.servers else set()
    if not taken:
        return Text()
    read = sorted(
        (leak for leak in outcome.read.get(hop, ()) if leak.field in taken),
        key=lambda leak: fields.index(leak.field),
    )
    values = listed(dict.fromkeys(_value(leak, reader) for leak in read), reader.say)
    return Text(f"{stolen_mark(hop, reader.say)} {values}".rstrip(), STYLES[State.STOLEN])


def _said(outcome: Outcome, hop: Hop, fields: Sequence[Field], reader: Reader) -> Text:
    """Return what a step gave away on a hop; nothing where it gave nothing away."""
    heard = [
        leak for leak in outcome.leaks if leak.field in fields and outcome.hop(leak.evidence.flow) is hop
    ]
    heard.sort(key=lambda leak: (fields.index(leak.field), leak.guessed))
    values = dict.fromkeys(_value(leak, reader) for leak in heard)
    secret = any(leak.field in (Field.PASSWORD, Field.TOKEN) for leak in heard)
    calm = STYLES[State.METADATA] if Field.SERVER_NAME in fields else _READABLE
    return Text(listed(values, reader.say), _LOUD if secret else calm)


def _value(leak: Leak, reader: Reader) -> str:
    value = shown(leak, mask=reader.mask)
    if leak.field is Field.DIGEST and not reader.mask:
        value = f"{value[:8]}…"  # what was made of it comes next, and matters more
    return reader.say("{value} (guessed)", value=value) if leak.guessed else value


def _row(label: Text, cells: Sequence[Text], reader: Reader) -> list[Text]:
    """Return a step on the screen: what it is about, and the two sides, in one line or under each other."""
    if not reader.has_room_for_two:
        sides = [Text(side, _QUIET) + cell for side, cell in zip(_SIDES, cells, strict=True)]
        for side in sides:
            side.truncate(reader.width, overflow="ellipsis")
        return [label, *sides]
    widths = _widths(reader)
    label.truncate(_LABEL, pad=True)
    line = label + Text(" ")
    for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        cut = cell.copy()
        cut.truncate(width, overflow="ellipsis")
        filled = Text().append_text(cut)
        filled.truncate(width, pad=number == 0)
        line = line + (Text(_BAR, _QUIET) if number else Text()) + filled
    return [line]


def _folded(cells: Sequence[Text], reader: Reader) -> list[Text]:
    """Return two texts beside each other, or one after the other, each in as many lines as it needs."""
    if not reader.has_room_for_two:
        return [
            line
            for side, cell in zip(_SIDES, cells, strict=True)
            for line in reader.wrapped(cell.plain, str(cell.style), hang=side, margin=0)
        ]
    sides = [
        Reader(reader.say, width + 2).wrapped(cell.plain, str(cell.style))
        for cell, width in zip(cells, _widths(reader), strict=True)
    ]
    height = max(map(len, sides))
    return [
        line
        for number in range(height)
        for line in _row(Text(), [side[number] if number < len(side) else Text() for side in sides], reader)
    ]


def _widths(reader: Reader) -> tuple[int, int]:
    """Return the columns of the two sides."""
    room = reader.width - _LABEL - 1 - len(_BAR)
    return room - room // 2, room // 2
