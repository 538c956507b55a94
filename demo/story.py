"""Tells an outcome as a story for people: lines of styled text, 80 columns wide unless told otherwise.

Everything here is a function of its arguments; printing is the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.text import Text

from mailtap.capture.guess import seconds_to_exhaust
from mailtap.capture.language import N_
from mailtap.capture.model import Field
from mailtap.capture.report import FIELDS, packet_list, shown
from mailtap.capture.table import table
from mailtap.capture.witness import Agreement
from mailtap.demo import dialogue
from mailtap.demo.scenarios import Hop
from mailtap.demo.words import HOPS, PLACES, duration, listed
from mailtap.servers import Security

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailtap.capture.model import Conversation, Leak, Note
    from mailtap.capture.witness import Verdict
    from mailtap.demo.guessing import Attempt
    from mailtap.demo.outcome import Outcome
    from mailtap.demo.reader import Reader

_STRONG_LENGTH: Final = 12  # random characters,
_STRONG_ALPHABET: Final = 62  # of the letters and digits
_HIDEABLE: Final = (
    Field.USERNAME,
    Field.PASSWORD,
    Field.SENDER,
    Field.RECIPIENT,
    Field.SUBJECT,
    Field.BODY,
    Field.ATTACHMENT,
)
_SERVICE_NAMES: Final = {
    Security.PLAIN: "{protocol}",
    Security.STARTTLS: "{protocol} + STARTTLS",
    Security.TLS: N_("{protocol} over SSL/TLS"),
}
_SHORT: Final = {Security.PLAIN: "", Security.STARTTLS: "+STARTTLS", Security.TLS: "/TLS"}
_PEOPLE: Final = {Hop.SUBMIT: N_("Hanako sends the mail"), Hop.FETCH: N_("Taro fetches the mail")}


def story(outcome: Outcome, reader: Reader) -> list[Text]:
    """Return the whole story of a run, line by line.

    Args:
        outcome: the run.
        reader: who is told.
    """
    lines = [*heading(outcome, reader), Text(), *_picture(outcome, reader)]
    for number, hop in enumerate(outcome.servers, 1):
        lines += [Text(), *_hop(outcome, number, hop, reader)]
    lines += [Text(), *_leaked(outcome, reader)]
    lines += _hidden(outcome, reader)
    if outcome.attempts:
        lines += [Text(), *_guesses(outcome.attempts, reader)]
    if outcome.opaque:
        lines += [Text(), *_still_visible(outcome, reader)]
    return [*lines, Text(), *_moral(outcome, reader), Text(), *verdict(outcome, reader)]


def heading(outcome: Outcome, reader: Reader) -> list[Text]:
    """Return the title bar: the scenario's name, and what is done about eavesdropping."""
    title = Text(f" MAILTAP  {outcome.scenario.name}: {reader.say(outcome.scenario.title)} ")
    title.truncate(reader.width, overflow="ellipsis", pad=True)
    title.stylize("bold reverse")
    return [title]


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
    names = {name: HOPS[value] if isinstance(value, Hop) else str(value) for name, value in problem.values}
    return reader.say(problem.text, **{name: reader.say(value) for name, value in names.items()})


def _named(hop: Hop, fields: Sequence[Field], reader: Reader) -> dict[str, str]:
    return {"hop": reader.say(HOPS[hop]), "fields": _list(fields, reader)}


def _list(fields: Sequence[Field], reader: Reader) -> str:
    return listed((reader.say(FIELDS[field]) for field in fields), reader.say)


def _service_name(outcome: Outcome, hop: Hop, reader: Reader) -> str:
    service = outcome.scenario.services[hop]
    return reader.say(_SERVICE_NAMES[service.security], protocol=service.protocol.upper())


def _short_name(outcome: Outcome, hop: Hop) -> str:
    service = outcome.scenario.services[hop]
    return service.protocol.upper() + _SHORT[service.security]


def _picture(outcome: Outcome, reader: Reader) -> list[Text]:
    """Return who speaks to whom, and where the eavesdropper sits."""
    first, last = reader.say("Hanako's PC"), reader.say("Taro's PC")
    arrows = [f"──{_short_name(outcome, hop)}──▶" for hop in outcome.servers]
    arrows[-1] = f"◀{arrows[-1][:-1]}"  # the recipient's mail program comes to fetch
    stations = [first, reader.say("mail server"), last]
    way = Text("  ")
    taps: list[int] = []
    for station, arrow in zip(stations, [*arrows, ""], strict=True):
        way.append(f"{station} ", "bold")
        taps.append(way.cell_len + cell_len(arrow) // 2)
        way.append(f"{arrow} " if arrow else "")
    left, right = taps[:2]
    ear = reader.say(" eavesdropper ")
    bar = ear.center(right - left - 1 - (cell_len(ear) - len(ear)), "─")
    recorded = reader.say(
        "{count} packets recorded on {place}; dropped: {dropped}.",
        count=len(outcome.packets),
        place=reader.say(PLACES[outcome.rung]),
        dropped=outcome.dropped,
    )
    return [
        way,
        Text(" " * left + "│" + " " * (right - left - 1) + "│", "red"),
        Text(" " * left + "└" + bar + "┘", "red"),
        *reader.wrapped(recorded, hang="  "),
    ]


def _hop(outcome: Outcome, number: int, hop: Hop, reader: Reader) -> list[Text]:
    """Return one hop: its title, and all its conversations."""
    title = reader.say(
        "{number}. {who}: {service}, port {port}",
        number=number,
        who=reader.say(_PEOPLE[hop]),
        service=_service_name(outcome, hop, reader),
        port=outcome.servers[hop].port,
    )
    lines = [Text(f"── {title} ".ljust(reader.width - (cell_len(title) - len(title)), "─"), "bold")]
    for talk in outcome.conversations:
        if talk.flow.server == outcome.servers[hop]:
            lines += dialogue.show(talk, outcome.leaks, reader)
    return lines


def _leaked(outcome: Outcome, reader: Reader) -> list[Text]:
    """Return the table of what leaked, with the packets that carried it."""
    heard = [leak for leak in outcome.leaks if not leak.guessed]
    heads = [reader.say("hop"), reader.say("what leaked"), reader.say("value"), reader.say("packets")]
    rows = [_row(outcome, leak, reader) for leak in heard]
    title = reader.say("What the eavesdropper has now:")
    return [
        Text(title, "bold"),
        *(Text(line) for line in table(heads, rows, width=reader.width, flexible=2).split("\n")),
    ]


def _row(outcome: Outcome, leak: Leak, reader: Reader) -> list[str]:
    hop = outcome.hop(leak.evidence.flow)
    return [
        reader.say(HOPS[hop]) if hop else "-",
        reader.say(FIELDS[leak.field]),
        shown(leak, mask=reader.mask),
        packet_list(leak.evidence.packets),
    ]


def _hidden(outcome: Outcome, reader: Reader) -> list[Text]:
    """Return which fields no hop gave away."""
    leaked = {field for fields in outcome.leaked.values() for field in fields}
    hidden = [field for field in _HIDEABLE if field not in leaked]
    text = reader.say("Not on the wire in readable form: {fields}.", fields=_list(hidden, reader))
    return reader.wrapped(text if hidden else reader.say("Nothing was hidden."))


def _guesses(attempts: Sequence[Attempt], reader: Reader) -> list[Text]:
    """Return what could be made of the digests, and how long a strong password would stand."""
    lines = [
        Text(reader.say("From challenge and digest alone, the eavesdropper tries words at leisure:"), "bold")
    ]
    for attempt in attempts:
        facts = {
            "mechanism": attempt.digest.mechanism,
            "username": attempt.digest.username,
            "tries": f"{attempt.tries:,}",
            "seconds": f"{attempt.seconds:.2f}",
        }
        if attempt.found is None:
            text = reader.say(
                "  {mechanism}, {username}: no word fits after {tries} tries in {seconds} s.", **facts
            )
            lines += reader.wrapped(text)
        else:
            found = shown(attempt.found, mask=reader.mask)
            text = reader.say(
                "  {mechanism}, {username}: found after {tries} tries in {seconds} s: ", **facts
            )
            lines.append(Text(text).append(found, "bold white on red"))
    return lines + reader.wrapped(_strength(attempts, reader))


def _strength(attempts: Sequence[Attempt], reader: Reader) -> str:
    """Return how quick the guessing was, and how long a strong password would stand against it."""
    rate = sum(attempt.tries for attempt in attempts) / sum(attempt.seconds for attempt in attempts)
    seconds = seconds_to_exhaust(_STRONG_ALPHABET, _STRONG_LENGTH, rate)
    return reader.say(
        "That is {rate} tries a second, here, in Python. At this rate, all passwords of {length} random"
        " letters and digits take {years}; on something a million times as quick, {fewer}.",
        rate=f"{rate:,.0f}",
        length=_STRONG_LENGTH,
        years=duration(seconds, reader.say),
        fewer=duration(seconds / 1_000_000, reader.say),
    )


def _still_visible(outcome: Outcome, reader: Reader) -> list[Text]:
    """Return what TLS does not hide: that it is mail, how much, and when."""
    lines = [Text(reader.say("What TLS still shows to the eavesdropper:"), "bold")]
    for talk in outcome.conversations:
        hop = outcome.hop(talk.flow)
        if hop is not None:
            text = reader.say(
                "{who}: that it is mail (by the port, {port}), about how long it is ({up} bytes from the"
                " mail program, {down} from the server), when it was, and that it took {milliseconds} ms.",
                who=reader.say(_PEOPLE[hop]),
                port=talk.flow.server.port,
                up=f"{talk.client_bytes:,}",
                down=f"{talk.server_bytes:,}",
                milliseconds=_milliseconds(talk),
            )
            lines += reader.wrapped(text, hang="  - ")
    return lines


def _milliseconds(talk: Conversation) -> str:
    times = [utterance.time_ns for utterance in talk.utterances]
    return f"{(max(times) - min(times)) / 1_000_000:.0f}" if times else "0"


def _moral(outcome: Outcome, reader: Reader) -> list[Text]:
    """Return why it was so, and what the article recommends."""
    why = reader.say(
        "Why: {why} ({standards})",
        why=reader.say(outcome.scenario.why),
        standards=listed(outcome.scenario.standards, reader.say),
    )
    return [
        *reader.wrapped(why),
        *reader.wrapped(reader.say("Advice: {advice}", advice=reader.say(outcome.scenario.advice)), "bold"),
    ]


def witness(verdict: Verdict, reader: Reader) -> list[Text]:
    """Return what tshark, reading the same capture, says of our listener's logins."""
    if verdict.agreement is Agreement.AGREES:
        text = reader.say("✔ A second witness agrees on every login: {witness}.", witness=verdict.witness)
        return reader.wrapped(text, "green")
    reason = reader.say(verdict.reason.text, **dict(verdict.reason.values)) if verdict.reason else ""
    if verdict.agreement is Agreement.ABSENT:
        return reader.wrapped(reason, "bright_black")
    return reader.wrapped(reader.say("✘ The second witness disagrees: {reason}", reason=reason), "bold red")
