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

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mailtap.capture.language import Say
    from mailtap.demo.outcome import Outcome
    from mailtap.demo.scenarios import Group

# Each column with its whole name, and one short enough for ten columns on a projector.
COLUMNS: Final = {
    Field.USERNAME: (N_("login\nname"), N_("user\nname")),
    Field.PASSWORD: (FIELDS[Field.PASSWORD], N_("pass-\nword")),
    Field.DIGEST: (N_("crackable\ndigest"), N_("di-\ngest")),
    Field.SENDER: (FIELDS[Field.SENDER], N_("sen-\nder")),
    Field.RECIPIENT: (N_("recipients"), N_("reci-\npient")),
    Field.SUBJECT: (FIELDS[Field.SUBJECT], N_("sub-\nject")),
    Field.BODY: (FIELDS[Field.BODY], N_("body")),
    Field.ATTACHMENT: (FIELDS[Field.ATTACHMENT], N_("file")),
    Field.SERVER_NAME: (N_("server\nname"), N_("host\nname")),
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
    GUESSED = "guessed"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of one row.

    Attributes:
        text: a letter for each hop on which it leaked.
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
    return [say(names[short]) for names in (*COLUMNS.values(), ATTACK)]


def groups(outcomes: Sequence[Outcome], say: Say) -> Iterator[tuple[Group, list[Line]]]:
    """Yield each group of the table with its rows."""
    for group, members in groupby(outcomes, lambda outcome: outcome.scenario.group):
        yield group, [_line(outcome, say) for outcome in members]


def legend(say: Say) -> str:
    """Return what the letters of the table mean."""
    return say(
        "S: leaked while sending. R: leaked between the servers. F: leaked while fetching."
        " (): not sent, but guessed from the digest. -: somebody in the path got nothing."
        " !: not as expected."
    )


def _line(outcome: Outcome, say: Say) -> Line:
    cells = [_cell(outcome, field, say) for field in COLUMNS]
    return Line(outcome, (*cells, _attack(outcome, say)))


def _cell(outcome: Outcome, field: Field, say: Say) -> Cell:
    letters = [
        say(LETTERS[hop]) + (WRONG if field in outcome.unexpected.get(hop, ()) else "")
        for hop in outcome.servers
        if field in outcome.leaked[hop]
    ]
    absent = any(field in fields for fields in outcome.missing.values())
    guessed = [say(LETTERS[hop]) for hop, fields in outcome.guessed.items() if field in fields]
    found = [f"({''.join(guessed)})"] if guessed else []
    text = "".join([*letters, *found, *([WRONG] if absent else [])])
    return Cell(text or NOTHING, _state(text, leaked=bool(letters), guessed=bool(guessed)))


def _attack(outcome: Outcome, say: Say) -> Cell:
    """Return on which hops somebody in the path got something; a dash for each where he got nothing."""
    marks = [say(LETTERS[hop]) if fields else HELD for hop, fields in outcome.stolen.items()]
    agrees = all(
        set(outcome.stolen.get(hop, ())) == set(outcome.scenario.loot.get(hop, ()))
        for hop in {*outcome.stolen, *outcome.scenario.loot}
    )
    text = "".join(marks) + ("" if agrees else WRONG)
    return Cell(text or NOTHING, _state(text, leaked=any(outcome.stolen.values()), guessed=False))


def _state(text: str, *, leaked: bool, guessed: bool) -> State:
    if WRONG in text:
        return State.WRONG
    if leaked:
        return State.LEAK
    return State.GUESSED if guessed else State.QUIET
