"""Draws who speaks to whom, and where the eavesdropper sits: lines of styled text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.text import Text

from mailtap.demo import cast
from mailtap.demo.scenarios import Hop
from mailtap.demo.telling.words import PLACES
from mailtap.servers import Security

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailtap.demo.outcome import Outcome
    from mailtap.demo.telling.reader import Reader

_SHORT: Final = {Security.PLAIN: "", Security.STARTTLS: "+STARTTLS", Security.TLS: "/TLS"}
_MARGIN: Final = "  "


def picture(outcome: Outcome, reader: Reader) -> list[Text]:
    """Return the way of the mail, the eavesdropper under it, and how much was recorded."""
    recorded = reader.say(
        "{count} packets recorded on {place}; dropped: {dropped}.",
        count=len(outcome.packets),
        place=reader.say(PLACES[outcome.rung]),
        dropped=outcome.dropped,
    )
    computers = [reader.say("Hanako's PC"), reader.say("Taro's PC")]
    people = [reader.say(cast.HANAKO.name), reader.say(cast.TARO.name)]
    drawings = (
        _drawn(_stations(outcome, reader, ends), _arrows(outcome, dashes), _listener(outcome, reader))
        for ends, dashes in ((computers, "──"), (computers, "─"), (people, "─"))
    )
    fitting = next((lines for lines in drawings if lines[0].cell_len <= reader.width), None)
    way = fitting or _listed(_stations(outcome, reader, people), _arrows(outcome, "─"), reader)
    return [*way, *reader.wrapped(recorded, hang=_MARGIN)]


def _listener(outcome: Outcome, reader: Reader) -> str:
    """Return who is drawn under the way: somebody in the path, or one who only listens."""
    active = any(leg.man is not None for leg in outcome.scenario.legs)
    return reader.say(" man in the path ") if active else reader.say(" eavesdropper ")


def _stations(outcome: Outcome, reader: Reader, ends: Sequence[str]) -> list[str]:
    """Return what the hops lead from and to, given what stands at the two ends of the way."""
    hops = outcome.scenario.hops
    servers = [reader.say("mail server")]
    if Hop.RELAY in hops:
        servers = [reader.say("her server"), reader.say("his server")]
    return [
        *(ends[:1] if Hop.SUBMIT in hops else []),
        *servers,
        *(ends[1:] if Hop.FETCH in hops else []),
    ]


def _arrows(outcome: Outcome, dashes: str) -> list[str]:
    """Return an arrow for each hop, with what is spoken there; who fetches points to the server."""
    arrows = []
    for hop in outcome.scenario.hops:
        service = outcome.scenario.services[hop]
        line = f"{dashes}{service.protocol.upper()}{_SHORT[service.security]}{dashes}"
        arrows.append(f"◀{line}" if hop is Hop.FETCH else f"{line}▶")
    return arrows


def _drawn(stations: Sequence[str], arrows: Sequence[str], name: str) -> list[Text]:
    """Return the way in one line, and who listens under it, with an ear on each arrow."""
    way = Text(_MARGIN)
    ears: list[int] = []
    for station, arrow in zip(stations, [*arrows, ""], strict=True):
        way.append(station, "bold")
        if arrow:
            ears.append(way.cell_len + 1 + cell_len(arrow) // 2)
            way.append(f" {arrow} ")
    left, right = ears[0], max(ears[-1], ears[0] + cell_len(name) + 1)
    bar = name.center(right - left - 1 - (cell_len(name) - len(name)), "─")
    wires = "".join("│" if column in ears else " " for column in range(ears[-1] + 1))
    return [way, Text(wires, "red"), Text(" " * left + "└" + bar + ("┘" if right == ears[-1] else ""), "red")]


def _listed(stations: Sequence[str], arrows: Sequence[str], reader: Reader) -> list[Text]:
    """Return the way hop by hop, for a screen that is too narrow for all of it."""
    hops = zip(stations, arrows, stations[1:], strict=False)
    return [
        line
        for one, arrow, other in hops
        for line in reader.wrapped(f"{one} {arrow} {other}", hang=_MARGIN, margin=0)
    ]
