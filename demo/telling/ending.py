"""The end of the story: what the eavesdropper has now, what that means, and whether it was to be expected.

Everything here is a function of its arguments; printing is the caller's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rich.text import Text

from mailtap.capture.guess import seconds_to_exhaust
from mailtap.capture.language import N_, fill
from mailtap.capture.model import Field
from mailtap.capture.report import FIELDS, SECRETS, field, packet_list, printable, shown
from mailtap.capture.table import table
from mailtap.capture.witness import Agreement
from mailtap.demo import cast
from mailtap.demo.scenarios import Hop
from mailtap.demo.telling.words import HOPS, duration, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailtap.capture.model import Note
    from mailtap.capture.witness import Verdict
    from mailtap.demo.guessing import Attempt
    from mailtap.demo.outcome import Outcome
    from mailtap.demo.telling.reader import Reader

_LOUD: Final = "bold white on red"
_STRONG_LENGTH: Final = 12  # random characters,
_STRONG_ALPHABET: Final = 62  # of the letters and digits
_MAIL: Final = (Field.SENDER, Field.RECIPIENT, Field.SUBJECT, Field.BODY, Field.ATTACHMENT)
_HIDEABLE: Final = (Field.PASSWORD, Field.USERNAME, *_MAIL)
_AGREES: Final = N_("✔ A second witness agrees on every login: {witness}.")
_SILENT: Final = N_("✔ A second witness found no login and no password either: {witness}.")
_PARTLY: Final = N_(
    "✔ A second witness agrees on every login that it reads: {witness}."
    " It does not read logins by {mechanisms}."
)
_TRIED: Final = N_("  {mechanism}, {username}: no word fits after {tries} tries in {seconds} s.")
_TRIED_ONCE: Final = N_("  {mechanism}, {username}: no word fits after one try in {seconds} s.")
_FOUND: Final = N_("  {mechanism}, {username}: found after {tries} tries in {seconds} s: ")
_FOUND_AT_ONCE: Final = N_("  {mechanism}, {username}: found at the first try in {seconds} s: ")
_ORDER: Final = (
    *(Field.PASSWORD, Field.TOKEN, Field.DIGEST, Field.USERNAME),
    *_MAIL,
    Field.SERVER_NAME,
)


def leaked(outcome: Outcome, reader: Reader) -> list[Text]:
    """Return the table of what leaked, with the packets of each hop that carried it, and what did not."""
    heads = [
        reader.say("what leaked"),
        reader.say("value"),
        *(reader.say(HOPS[hop]) for hop in outcome.servers),
    ]
    # Behind a mask, two passwords look the same, and are two.
    rows: dict[tuple[Field, str, str, str], dict[Hop | None, str]] = {}
    for leak in sorted(outcome.leaks, key=lambda leak: _ORDER.index(leak.field)):
        value = shown(leak, mask=reader.mask)
        key = (
            leak.field,
            field(leak, reader.say),
            value,
            leak.value.reveal() if leak.field in SECRETS else "",
        )
        packets = "#" + packet_list(leak.evidence.packets)
        rows.setdefault(key, {}).setdefault(outcome.hop(leak.evidence.flow), packets)
    cells = [
        [name, value, *(where.get(hop, "") for hop in outcome.servers)]
        for (_, name, value, _), where in rows.items()
    ]
    shown_rows = table(heads, cells, width=reader.width, flexible=1) if cells else reader.say("nothing")
    lines = [Text(line) for line in shown_rows.split("\n")]
    secrets = [value for (what, _, value, _) in rows if what in SECRETS and what is not Field.DIGEST]
    for line in lines:
        line.highlight_words(secrets, _LOUD)
    return [
        *reader.wrapped(reader.say("What the eavesdropper has now:"), "bold", margin=0),
        *lines,
        *_hidden(outcome, reader),
        *_stolen(outcome, reader),
    ]


def _stolen(outcome: Outcome, reader: Reader) -> list[Text]:
    """Return what an active attacker has besides, who need not have it from the wire."""
    if outcome.attack_succeeded is None:
        return []
    fields = {field for fields in outcome.stolen.values() for field in fields}
    if not fields:
        return reader.wrapped(reader.say("And the attacker has nothing."), "bold green")
    names = _list(sorted(fields, key=_ORDER.index), reader)
    on_the_wire = {field for leaked in outcome.leaked.values() for field in leaked}
    text = (
        N_("The attacker has it, too: {fields}.")
        if fields <= on_the_wire
        else N_("But the attacker has: {fields}.")
    )
    return reader.wrapped(reader.say(text, fields=names), "bold red")


def _hidden(outcome: Outcome, reader: Reader) -> list[Text]:
    """Return which fields no hop gave away, and which were found without having been on the wire."""
    on_the_wire = {field for fields in outcome.leaked.values() for field in fields}
    found = {field for fields in outcome.guessed.values() for field in fields} - on_the_wire
    hidden = [field for field in _HIDEABLE if field not in on_the_wire | found]
    texts = []
    if found:
        texts.append(
            reader.say("Not on the wire, and found all the same: {fields}.", fields=_list([*found], reader))
        )
    if hidden:
        texts.append(reader.say("Not on the wire in readable form: {fields}.", fields=_list(hidden, reader)))
    return [line for text in texts or [_all_of_it(outcome, reader)] for line in reader.wrapped(text)]


def _all_of_it(outcome: Outcome, reader: Reader) -> str:
    """Return what to say where every field was readable: on each leg, or on one or another."""
    everywhere = all(set(_HIDEABLE) <= set(fields) for fields in outcome.leaked.values())
    text = N_("Nothing was hidden.") if everywhere else N_("Everything could be read, on one leg or another.")
    return reader.say(text)


def guesses(attempts: Sequence[Attempt], reader: Reader) -> list[Text]:
    """Return what could be made of the digests, and how long a strong password would stand."""
    lines = reader.wrapped(
        reader.say("From challenge and digest alone, the eavesdropper tries words at leisure:"), "bold"
    )
    for attempt in attempts:
        facts = {
            "mechanism": attempt.digest.mechanism,
            "username": printable(attempt.digest.username or ""),
            "tries": f"{attempt.tries:,}",
            "seconds": f"{attempt.seconds:.2f}",
        }
        once = attempt.tries == 1
        if attempt.found is None:
            lines += reader.wrapped(reader.say(_TRIED_ONCE if once else _TRIED, **facts))
        else:
            found = shown(attempt.found, mask=reader.mask)
            text = reader.say(_FOUND_AT_ONCE if once else _FOUND, **facts)
            password = Text(found, _LOUD)
            line = Text(text) + password
            lines += [line] if line.cell_len <= reader.width else [*reader.wrapped(text), password]
    return lines + reader.wrapped(_strength(attempts, reader))


def _strength(attempts: Sequence[Attempt], reader: Reader) -> str:
    """Return how quick the guessing was, and how long a strong password would stand against it."""
    rate = sum(attempt.tries for attempt in attempts) / sum(attempt.seconds for attempt in attempts)
    seconds = seconds_to_exhaust(_STRONG_ALPHABET, _STRONG_LENGTH, rate)
    return reader.say(
        "That is {rate} tries a second, here, in Python. At this rate, all passwords of {length} random"
        " letters and digits take about {years}; on something a million times as quick, about {fewer}.",
        rate=f"{rate:,.0f}",
        length=_STRONG_LENGTH,
        years=duration(seconds, reader.say),
        fewer=duration(seconds / 1_000_000, reader.say),
    )


def moral(outcome: Outcome, reader: Reader) -> list[Text]:
    """Return the point of the run, why it was so, what the article recommends, and what to run next."""
    row = outcome.scenario
    why = reader.say(
        "Why: {why} ({standards})", why=reader.say(row.why), standards=listed(row.standards, reader.say)
    )
    lines = [
        *_point(outcome, reader),
        Text(),
        *reader.wrapped(why),
        *reader.wrapped(reader.say("Advice: {advice}", advice=reader.say(row.advice)), "bold"),
    ]
    if row.next:
        commands = listed((f"make demo-{name}" for name in row.next), reader.say)
        lines += reader.wrapped(reader.say("Next: {commands}", commands=commands))
    return lines


def _point(outcome: Outcome, reader: Reader) -> list[Text]:
    """Return whose password it is that the eavesdropper has, and the scenario's own last word."""
    names = {person.username: person.name for person in (cast.HANAKO, cast.TARO)}
    sentences = [
        reader.say(
            "{name}'s password is {password}.",
            name=reader.say(names[leak.username]),
            password=shown(leak, mask=reader.mask),
        )
        for leak in (*outcome.leaks, *(leak for read in outcome.read.values() for leak in read))
        if leak.field is Field.PASSWORD and leak.username in names
    ]
    said = [*dict.fromkeys(sentences), reader.say(outcome.point)]
    return [line for text in said for line in reader.wrapped(text, "bold yellow")]


def verdict(outcome: Outcome, reader: Reader) -> list[Text]:
    """Return whether the wire agreed with the expectation, and all that did not."""
    if outcome.ok:
        return reader.wrapped(
            reader.say("✔ As expected: the wire showed just what this scenario says."), "green"
        )
    lines = [Text(reader.say("✘ NOT AS EXPECTED"), "bold white on red")]
    for hop, fields in outcome.unexpected.items():
        lines += reader.wrapped(
            reader.say("{hop}: leaked, but should not: {fields}", **_named(hop, fields, reader))
        )
    for hop, fields in outcome.missing.items():
        text = reader.say("{hop}: should leak, but was not heard: {fields}", **_named(hop, fields, reader))
        lines += reader.wrapped(text)
    for problem in outcome.problems:
        lines += reader.wrapped(
            reader.say("This run is no evidence: {problem}.", problem=_problem(problem, reader))
        )
    return lines


def _problem(problem: Note, reader: Reader) -> str:
    """Return what makes a run no evidence, the names in it translated as well."""
    names = tuple((name, HOPS[value] if isinstance(value, Hop) else value) for name, value in problem.values)
    return _translated(replace(problem, values=names), reader)


def _translated(note: Note, reader: Reader) -> str:
    """Return a note in the reader's language, and whatever in it has a translation."""
    return fill(note.text, note.values, reader.say)


def _named(hop: Hop, fields: Sequence[Field], reader: Reader) -> dict[str, str]:
    return {"hop": reader.say(HOPS[hop]), "fields": _list(fields, reader)}


def _list(fields: Sequence[Field], reader: Reader) -> str:
    return listed((reader.say(FIELDS[field]) for field in fields), reader.say)


def witness(outcome: Outcome, verdict: Verdict, reader: Reader) -> list[Text]:
    """Return what tshark, reading the same capture, says of our listener's logins."""
    if verdict.agreement is Agreement.AGREES:
        logins = any(leak.field is Field.USERNAME for leak in outcome.leaks)
        said = _PARTLY if verdict.beyond else _AGREES if logins else _SILENT
        text = reader.say(said, witness=verdict.witness, mechanisms=listed(verdict.beyond, reader.say))
        return reader.wrapped(text, "green")
    reason = _translated(verdict.reason, reader) if verdict.reason else ""
    if verdict.agreement is Agreement.ABSENT:
        return reader.wrapped(reason, "bright_black")
    if verdict.failed:
        return reader.wrapped(f"✘ {reason}", "bold red")
    return reader.wrapped(reader.say("✘ The second witness disagrees: {reason}", reason=reason), "bold red")
