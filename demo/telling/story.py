"""Tells an outcome as a story for people, part by part: lines of styled text, 80 columns wide unless told.

Everything here is a function of its arguments; printing is the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.text import Text

from mailtap.capture.language import N_
from mailtap.capture.model import Field
from mailtap.demo.telling import dialogue, ending
from mailtap.demo.telling.words import PEOPLE, PLACES
from mailtap.servers import Security

if TYPE_CHECKING:
    from mailtap.demo.outcome import Outcome
    from mailtap.demo.scenarios import Hop
    from mailtap.demo.telling.reader import Reader

Part = list[Text]

_SERVICE_NAMES: Final = {
    Security.PLAIN: "{protocol}",
    Security.STARTTLS: "{protocol} + STARTTLS",
    Security.TLS: N_("{protocol} over SSL/TLS"),
}
_SHORT: Final = {Security.PLAIN: "", Security.STARTTLS: "+STARTTLS", Security.TLS: "/TLS"}
_CONTENT: Final = (Field.BODY, Field.ATTACHMENT)


def story(outcome: Outcome, reader: Reader) -> list[Part]:
    """Return the whole story of a run, in the parts between which a trainer may pause.

    Args:
        outcome: the run.
        reader: who is told.
    """
    hops = [_hop(outcome, number, hop, reader) for number, hop in enumerate(outcome.servers, 1)]
    guesses = [ending.guesses(outcome.attempts, reader)] if outcome.attempts else []
    visible = [ending.still_visible(outcome, reader)] if outcome.opaque else []
    return [
        [*heading(outcome, reader), Text(), *_picture(outcome, reader)],
        *hops,
        *guesses,
        ending.leaked(outcome, reader),
        *visible,
        [*ending.moral(outcome, reader), Text(), *ending.verdict(outcome, reader)],
    ]


def heading(outcome: Outcome, reader: Reader) -> list[Text]:
    """Return the title bar: the scenario's name, and what is done about eavesdropping."""
    title = Text(f" MAILTAP  {outcome.scenario.name}: {reader.say(outcome.scenario.title)} ")
    title.truncate(reader.width, overflow="ellipsis", pad=True)
    title.stylize("bold reverse")
    return [title]


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


def _hop(outcome: Outcome, number: int, hop: Hop, reader: Reader) -> Part:
    """Return one hop: its title, and all its conversations; contents that were shown before, only named."""
    title = reader.say(
        "{number}. {who}: {service}, port {port}",
        number=number,
        who=reader.say(PEOPLE[hop]),
        service=_service_name(outcome, hop, reader),
        port=outcome.servers[hop].port,
    )
    lines = [Text(f"── {title} ".ljust(reader.width - (cell_len(title) - len(title)), "─"), "bold")]
    earlier = list(outcome.servers)[: number - 1]
    told = {
        leak.value.reveal()
        for leak in outcome.leaks
        if leak.field in _CONTENT and outcome.hop(leak.evidence.flow) in earlier
    }
    for talk in outcome.conversations:
        if talk.flow.server == outcome.servers[hop]:
            lines += dialogue.show(talk, outcome.leaks, reader, told=told)
    return lines
