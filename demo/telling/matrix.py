"""What each row leaked on which hop, from the captures alone, as cells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Final

from mailtap.capture.language import N_
from mailtap.capture.model import Field
from mailtap.capture.report import FIELDS
from mailtap.demo.scenarios import Hop
from mailtap.demo.telling.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mailtap.capture.language import Say
    from mailtap.demo.outcome import Outcome
    from mailtap.demo.scenarios import Group

# Each column with its whole name, and one short enough for ten columns on a projector.
COLUMNS: Final = {
    Field.USERNAME: (FIELDS[Field.USERNAME], N_("user\nname")),
    Field.PASSWORD: (FIELDS[Field.PASSWORD], N_("pass-\nword")),
    Field.DIGEST: (N_("crackable\ndigest"), N_("di-\ngest")),
    Field.SENDER: (FIELDS[Field.SENDER], N_("sen-\nder")),
    Field.RECIPIENT: (N_("recipients"), N_("reci-\npient")),
    Field.SUBJECT: (FIELDS[Field.SUBJECT], N_("sub-\nject")),
    Field.BODY: (FIELDS[Field.BODY], N_("body")),
    Field.ATTACHMENT: (FIELDS[Field.ATTACHMENT], N_("file")),
    Field.SERVER_NAME: (FIELDS[Field.SERVER_NAME], N_("ser-\nver\nname")),
}
ATTACK: Final = (N_("active attack\nsucceeded"), N_("at-\ntack"))
LETTERS: Final = {Hop.SUBMIT: N_("S"), Hop.RELAY: N_("R"), Hop.FETCH: N_("F")}
NOTHING: Final = "·"
HELD: Final = "-"
WRONG: Final = "!"


class State(StrEnum):
    """What a cell has to say, for its colour."""

    QUIET = "quiet"
    LEAK = "leak"
    METADATA = "metadata"
    STOLEN = "stolen"
    GUESSED = "guessed"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of one row.

    Attributes:
        text: a capital letter for each hop on which it leaked, a small one where only the attacker read it.
        state: what that means.
    """

    text: str
    state: State


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the matrix."""

    outcome: Outcome
    cells: tuple[Cell, ...]


def heads(say: Say, *, short: bool = False) -> list[str]:
    """Return the names of the columns after the first; a line break in one makes the heads two lines high."""
    return [_in_two_lines(say(names[short])) for names in (*COLUMNS.values(), ATTACK)]


def _in_two_lines(head: str) -> str:
    """Return a head with its words under each other, where it is not in lines yet."""
    return head if "\n" in head else head.replace(" ", "\n")


def groups(outcomes: Sequence[Outcome], say: Say) -> Iterator[tuple[Group, list[Line]]]:
    """Yield each group of the table with its rows."""
    for group, members in groupby(outcomes, lambda outcome: outcome.scenario.group):
        yield group, [_line(outcome, say) for outcome in members]


def legend(say: Say) -> str:
    """Return what the letters of the table mean."""
    letters = say(
        "S: leaked while sending. R: leaked between the servers. F: leaked while fetching."
        " (): not sent, but guessed from the digest. !: not as expected."
    )
    stolen = stolen_legend(LETTERS, say)
    attack = say(
        "In the last column, S, R, F: the attacker got something there. -: nothing, one dash for each attack."
    )
    return say("{letters} {stolen} {attack}", letters=letters, stolen=stolen, attack=attack)


def stolen_legend(hops: Iterable[Hop], say: Say) -> str:
    """Return what the small letters of some hops mean."""
    marks = listed((stolen_mark(hop, say) for hop in hops), say)
    return say("{marks}: unreadable on the wire, but read by the attacker.", marks=marks)


def only_stolen(outcome: Outcome, hop: Hop) -> set[Field]:
    """Return what the attacker read on a hop, by his own account, and the wire did not give away."""
    return {*outcome.stolen.get(hop, ())} - {*outcome.leaked[hop]}


def stolen_mark(hop: Hop, say: Say) -> str:
    """Return the small letter of a hop on which only the attacker read something."""
    return say(LETTERS[hop]).lower()


def _line(outcome: Outcome, say: Say) -> Line:
    cells = [_cell(outcome, field, say) for field in COLUMNS]
    return Line(outcome, (*cells, _attack(outcome, say)))


def _cell(outcome: Outcome, field: Field, say: Say) -> Cell:
    letters = [
        say(LETTERS[hop]) + (WRONG if field in outcome.unexpected.get(hop, ()) else "")
        for hop in outcome.servers
        if field in outcome.leaked[hop]
    ]
    stolen = [stolen_mark(hop, say) for hop in outcome.servers if field in only_stolen(outcome, hop)]
    absent = any(field in fields for fields in outcome.missing.values())
    guessed = [say(LETTERS[hop]) for hop, fields in outcome.guessed.items() if field in fields]
    found = [f"({''.join(guessed)})"] if guessed else []
    text = "".join([*letters, *stolen, *found, *([WRONG] if absent else [])])
    leak = State.METADATA if field is Field.SERVER_NAME else State.LEAK
    return _marked(text, {leak: letters, State.STOLEN: stolen, State.GUESSED: guessed})


def _attack(outcome: Outcome, say: Say) -> Cell:
    """Return on which hops the attacker got something; a dash for each where he got nothing."""
    marks = [say(LETTERS[hop]) if fields else HELD for hop, fields in outcome.stolen.items()]
    text = "".join(marks) + ("" if outcome.other_loot is None else WRONG)
    return _marked(text, {State.LEAK: [fields for fields in outcome.stolen.values() if fields]})


def _marked(text: str, found: Mapping[State, Sequence[object]]) -> Cell:
    """Return a cell in the first state of which anything was found; what is not as expected outdoes it."""
    state = next((state for state, some in found.items() if some), State.QUIET)
    return Cell(text or NOTHING, State.WRONG if WRONG in text else state)
