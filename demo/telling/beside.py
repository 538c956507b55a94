"""Sets what the person sees beside what the attacker gets: two columns that tell the same minute.

On a screen that is too narrow for two, one stands under the other.

Everything here is a function of its arguments; printing is the caller's.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from mailtap.capture.language import N_
from mailtap.capture.report import FIELDS, SECRETS, printable, shown
from mailtap.demo import cast
from mailtap.demo.scenarios import Hop
from mailtap.demo.telling.words import listed
from mailtap.servers import Security

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailtap.capture.model import Field, Leak
    from mailtap.demo.client.padlock import Padlock
    from mailtap.demo.outcome import Outcome
    from mailtap.demo.scenarios import Leg
    from mailtap.demo.screen import Screen
    from mailtap.demo.telling.reader import Reader

_PEOPLE: Final = {Hop.SUBMIT: cast.HANAKO.name, Hop.FETCH: cast.TARO.name}
_DONE: Final = {
    Hop.SUBMIT: N_("Mail sent. No warning."),
    Hop.FETCH: N_("Mail fetched. No warning."),
}
_BETWEEN: Final = " ┃ "
_LEFT: Final = 0.44  # of the width; what is stolen is longer than what is shown
_LOUD: Final = "bold white on red"


def beside(outcome: Outcome, number: int, reader: Reader) -> list[Text]:
    """Return both columns for one of the row's legs, by its number from 0; nothing without an attack."""
    leg = outcome.scenario.legs[number]
    if leg.man is None and not leg.thief:
        return []
    if not reader.has_room_for_two:
        seen, got = _screen(leg, outcome.screens[number], reader), _loot(outcome, leg, reader)
        return [Text(), *seen, Text(), *got]
    left = int((reader.width - len(_BETWEEN)) * _LEFT)
    right = reader.width - len(_BETWEEN) - left
    seen = _screen(leg, outcome.screens[number], replace(reader, width=left))
    got = _loot(outcome, leg, replace(reader, width=right))
    return [Text(), *(_joined(one, other, left) for one, other in zip_longest(seen, got, fillvalue=Text()))]


def _joined(one: Text, other: Text, left: int) -> Text:
    one = one.copy()
    one.pad_right(left - one.cell_len)
    return Text.assemble(one, (_BETWEEN, "bright_black"), other)


def _screen(leg: Leg, screen: Screen, reader: Reader) -> list[Text]:
    """Return what the mail program shows: the padlock and what is behind it, and how it ended."""
    name = reader.say(_PEOPLE[leg.hop])
    whose = reader.say("The thief sees") if leg.thief else reader.say("{name} sees", name=name)
    lines = reader.wrapped(whose, "bold underline")
    if screen.failure is not None:
        stop = reader.say("✋ Refused.") if leg.thief else reader.say("✋ Stopped.")
        lines += reader.wrapped(stop, "bold yellow" if leg.thief else "bold green")
        return [*lines, *reader.wrapped(reader.say(screen.failure))]
    if screen.padlock is not None:
        lines += _padlock(screen.padlock, reader)
    else:
        lines += reader.wrapped(reader.say("No padlock: in clear"), "bold yellow")
    return [*lines, *reader.wrapped(reader.say(_DONE[leg.hop]), "green")]


def _padlock(padlock: Padlock, reader: Reader) -> list[Text]:
    names = listed(map(printable, padlock.names), reader.say)
    checked = reader.say("Checked: yes") if padlock.checked else reader.say("Checked: no")
    return [
        *reader.wrapped(reader.say("🔒 TLS on"), "bold green"),
        *reader.wrapped(f"{padlock.version}, {padlock.cipher}"),
        *reader.wrapped(reader.say("Certificate for: {names}", names=names)),
        *reader.wrapped(reader.say("Issued by: {issuer}", issuer=printable(padlock.issuer))),
        *reader.wrapped(checked, "" if padlock.checked else "bold yellow"),
    ]


def _loot(outcome: Outcome, leg: Leg, reader: Reader) -> list[Text]:
    """Return what the attacker got, value by value where he has read it."""
    head = _head(leg, reader)
    fields = outcome.stolen.get(leg.hop, ())
    if not fields:
        return [*head, *reader.wrapped(reader.say("nothing"), "bold green")]
    read = outcome.read.get(leg.hop, ())
    return [*head, *(_values(read, reader) if read else _names(fields, reader))]


def _head(leg: Leg, reader: Reader) -> list[Text]:
    if leg.thief:
        text = reader.say("The thief gets")
    elif leg.service.security is Security.TLS:
        text = reader.say("The impostor reads, inside that TLS")
    else:
        text = reader.say("The man in the path reads")
    return reader.wrapped(text, "bold underline red")


def _names(fields: Sequence[Field], reader: Reader) -> list[Text]:
    return reader.wrapped(listed((reader.say(FIELDS[field]) for field in fields), reader.say), _LOUD)


def _values(read: Sequence[Leak], reader: Reader) -> list[Text]:
    """Return each value once, under its field's name, on one line."""
    values = {(leak.field, shown(leak, mask=reader.mask)): None for leak in read}
    names = {field: reader.say(FIELDS[field]) for field, _ in values}
    column = max(map(cell_len, names.values())) + 1
    lines = []
    for field, value in values:
        line = Text(set_cell_size(names[field], column), "bright_black")
        line.append(value, _LOUD if field in SECRETS else "bold yellow")
        line.truncate(reader.width, overflow="ellipsis")
        lines.append(line)
    return lines
