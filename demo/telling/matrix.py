"""All scenarios in one table: which field leaked on which hop, from the captures alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailtap.capture.language import N_
from mailtap.capture.model import Field
from mailtap.capture.table import table
from mailtap.demo.scenarios import Hop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailtap.capture.language import Say
    from mailtap.demo.outcome import Outcome

# Heads short enough for ten columns on a projector; a line break stands where a word does.
COLUMNS: Final = {
    Field.USERNAME: N_("user\nname"),
    Field.PASSWORD: N_("pass-\nword"),
    Field.DIGEST: N_("di-\ngest"),
    Field.SENDER: N_("sen-\nder"),
    Field.RECIPIENT: N_("reci-\npient"),
    Field.SUBJECT: N_("sub-\nject"),
    Field.BODY: N_("body"),
    Field.ATTACHMENT: N_("file"),
    Field.SERVER_NAME: N_("host\nname"),
}
LETTERS: Final = {Hop.SUBMIT: N_("S"), Hop.RELAY: N_("R"), Hop.FETCH: N_("F")}
NOTHING: Final = "·"


def matrix(outcomes: Sequence[Outcome], say: Say) -> str:
    """Return the table as text: a letter for each hop on which a field leaked, `!` where it disagrees."""
    rows = [
        [outcome.scenario.name, *(_cell(outcome, field, say) for field in COLUMNS)] for outcome in outcomes
    ]
    heads = [say("scenario"), *(say(head) for head in COLUMNS.values())]
    return table(heads, rows)


def legend(say: Say) -> str:
    """Return what the letters of the table mean."""
    return say(
        "S: leaked while sending. R: leaked between the servers. F: leaked while fetching."
        " (): not sent, but guessed from the digest. !: not as expected."
    )


def _cell(outcome: Outcome, field: Field, say: Say) -> str:
    letters = [
        say(LETTERS[hop]) + ("!" if field in outcome.unexpected.get(hop, ()) else "")
        for hop in outcome.servers
        if field in outcome.leaked[hop]
    ]
    absent = any(field in fields for fields in outcome.missing.values())
    guessed = [say(LETTERS[hop]) for hop, fields in outcome.guessed.items() if field in fields]
    found = [f"({''.join(guessed)})"] if guessed else []
    return "".join([*letters, *found, *(["!"] if absent else [])]) or NOTHING
