"""Tells an outcome as a story for people, part by part: lines of styled text, 80 columns wide unless told.

Everything here is a function of its arguments; printing is the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from mailtap.capture.model import Field
from mailtap.demo.telling import dialogue, ending
from mailtap.demo.telling.beside import beside
from mailtap.demo.telling.picture import picture
from mailtap.demo.telling.visible import still_visible
from mailtap.demo.telling.words import SERVICE_NAMES, doer

if TYPE_CHECKING:
    from mailtap.demo.outcome import Outcome
    from mailtap.demo.telling.reader import Reader

Part = list[Text]

_CONTENT: Final = (Field.BODY, Field.ATTACHMENT)


def story(outcome: Outcome, reader: Reader) -> list[Part]:
    """Return the whole story of a run, in the parts between which a trainer may pause.

    Args:
        outcome: the run.
        reader: who is told.
    """
    hops = [_leg(outcome, number, reader) for number in range(len(outcome.scenario.legs))]
    guesses = [ending.guesses(outcome.attempts, reader)] if outcome.attempts else []
    visible = [still_visible(outcome, reader)] if outcome.opaque else []
    return [
        [*heading(outcome, reader), Text(), *picture(outcome, reader)],
        *hops,
        *guesses,
        ending.leaked(outcome, reader),
        *visible,
        [*ending.moral(outcome, reader), Text(), *ending.verdict(outcome, reader)],
    ]


def heading(outcome: Outcome, reader: Reader) -> list[Text]:
    """Return the title bar: the scenario's name, and what is done about eavesdropping."""
    lines = reader.wrapped(
        f"MAILTAP  {outcome.scenario.name}: {reader.say(outcome.scenario.title)}", hang=" ", margin=1
    )
    for line in lines:
        line.pad_right(reader.width - line.cell_len)
        line.stylize("bold reverse")
    return lines


def _leg(outcome: Outcome, number: int, reader: Reader) -> Part:
    """Return one leg: its title, and all its conversations; contents that were shown before, only named."""
    leg = outcome.scenario.legs[number]
    service = reader.say(SERVICE_NAMES[leg.service.security], protocol=leg.service.protocol.upper())
    title = reader.say(
        "{number}. {who}: {service}, port {port}",
        number=number + 1,
        who=doer(leg, reader.say),
        service=service,
        port=outcome.endpoints[number].port,
    )
    lines = reader.wrapped(title, "bold", hang="── ", margin=1)
    lines[-1].append(" ").pad_right(reader.width - lines[-1].cell_len, "─")
    earlier = {talk.flow for leg in range(number) for talk in outcome.talks(leg)}
    told = {
        leak.value.reveal()
        for leak in outcome.leaks
        if leak.field in _CONTENT and leak.evidence.flow in earlier
    }
    for talk in outcome.talks(number):
        lines += dialogue.show(talk, outcome.leaks, reader, told=told)
    return lines + beside(outcome, number, reader)
