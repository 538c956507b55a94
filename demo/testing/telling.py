"""Tells what crossed the wire: why an assertion failed, and the conversation as an eavesdropper saw it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from mailtap.capture.language import load
from mailtap.capture.model import Direction
from mailtap.capture.report import FIELDS, SECRETS, STARS, packet_list, printable
from mailtap.capture.report import line as leak_line
from mailtap.demo.adversary.notebook import HOP
from mailtap.demo.testing.advice import ADVICE, situation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from mailtap.capture.model import Conversation, Flow, Utterance
    from mailtap.demo.testing.hearing import Hearing, Sighting
    from mailtap.servers import Service

WIDTH: Final = 96  # columns
_SIGHTINGS: Final = 2  # told of one secret; of more, the first: of all this, pytest shows eight lines
_LEAKS: Final = 20  # told of one test
_TALKS: Final = 10  # conversations shown of one test
_LINES: Final = 40  # of one conversation
_LONGEST: Final = 72  # characters of a line shown beside a sighting
_WAY: Final = {Direction.CLIENT: "client to server", Direction.SERVER: "server to client"}
_SIGN: Final = {Direction.CLIENT: "C:", Direction.SERVER: "S:"}


def why_found(
    sightings: Sequence[Sighting], hearing: Hearing, services: Iterable[Service], secret: str
) -> list[str]:
    """Return the lines that tell where a secret crossed the wire, and what the client should have done."""
    told = ["The secret crossed the wire, readable to anyone on the way:"]
    offered = {str(service.protocol): service for service in services}
    advice: dict[str, None] = {}
    shown = sightings if len(sightings) <= _SIGHTINGS else sightings[:1]
    for sighting in shown:
        flow = sighting.evidence.flow
        name = protocol_of(flow, hearing)
        where = "inside TLS, read by an impostor" if flow.server in HOP.values() else "in clear"
        packets = packet_list(sighting.evidence.packets)
        told.append(
            f"  {name.upper()}, packet {packets}, {_WAY[sighting.direction]}, {where}, "
            f"{sighting.shape}{_in(sighting)}"
        )
        told += [f"    {said}" for said in _line_of(sighting, hearing, secret)]
        if service := offered.get(name):
            advice[ADVICE[situation(flow, service, hearing.leaks_of.get(flow, ()))]] = None
    if len(sightings) > len(shown):
        told.append(f"  … and {len(sightings) - len(shown):,} more times")
    return [*told, *_wrapped(advice)]


def why_leaked(hearing: Hearing, services: Iterable[Service], secrets: Collection[str]) -> list[str]:
    """Return the lines that name the first leaks, and tell what the client should have done about all.

    Args:
        hearing: what was heard.
        services: what the servers offered.
        secrets: further texts to replace by stars.
    """
    speak = load("en")
    offered = {str(service.protocol): service for service in services}
    told = [f"  {_masked(leak_line(leak, speak, mask=True), secrets)}" for leak in hearing.leaks[:_LEAKS]]
    if len(hearing.leaks) > _LEAKS:
        told.append(f"  … and {len(hearing.leaks) - _LEAKS:,} more")
    advice = {
        ADVICE[situation(flow, offered[protocol], leaks)]: None
        for flow, leaks in hearing.leaks_of.items()
        for protocol in dict.fromkeys(str(leak.protocol) for leak in leaks)
        if protocol in offered
    }
    return [*told, *_wrapped(advice)]


def conversations(hearing: Hearing, secrets: Iterable[str]) -> list[str]:
    """Return the conversations as the eavesdropper saw them, passwords and the like as stars.

    Of very many, those first on which something leaked.

    Args:
        hearing: what was heard.
        secrets: further texts to replace by stars.
    """
    from mailtap.demo.telling.dialogue import show  # noqa: PLC0415  # rich is needed for failures only
    from mailtap.demo.telling.reader import Reader  # noqa: PLC0415

    reader = Reader(load("en"), WIDTH, mask=True)
    lines: list[str] = []
    talks = hearing.conversations
    chosen = sorted(talks, key=lambda talk: talk.flow not in hearing.leaks_of)[:_TALKS]
    for talk in sorted(chosen, key=lambda talk: talk.flow.number):
        lines.append(_title(talk))
        shown = [text.plain.rstrip() for text in show(talk, hearing.leaks_of.get(talk.flow, ()), reader)]
        lines += [_masked(each, secrets) for each in shown[:_LINES]]
        if len(shown) > _LINES:
            lines.append("  … " + _more(len(shown) - _LINES, "line"))
    if len(talks) > _TALKS:
        lines.append("… and " + _more(len(talks) - _TALKS, "conversation"))
    return lines


def _more(count: int, what: str) -> str:
    return f"{count:,} more {what}" + ("s" if count > 1 else "")


def protocol_of(flow: Flow, hearing: Hearing) -> str:
    """Return which protocol a connection spoke, by the conversation or, in doubt, by the leaks."""
    talk = next((each for each in hearing.conversations if each.flow.number == flow.number), None)
    heard = next((leak.protocol for leak in hearing.leaks_of.get(flow, ())), None)
    return str(heard or (talk.protocol if talk else None) or "unknown")


def _wrapped(sentences: Iterable[str]) -> list[str]:
    return [line for sentence in sentences for line in textwrap.wrap(sentence, WIDTH)]


def _in(sighting: Sighting) -> str:
    """Return where in the mail a secret stood, where it was found in a decoded part of it."""
    return f", in the {FIELDS[sighting.leak.field]}" if sighting.leak else ""


def _title(talk: Conversation) -> str:
    inside = " (inside TLS, as the impostor reads it)" if talk.flow.server in HOP.values() else ""
    protocol = talk.protocol.upper() if talk.protocol else "unknown protocol"
    return f"{protocol}, {talk.flow.client} -> {talk.flow.server}{inside}"


def _line_of(sighting: Sighting, hearing: Hearing, secret: str) -> list[str]:
    """Return the line that carried a secret, with the secret as stars; none where it was spread over many."""
    if not sighting.evidence.spans:
        return []
    span = sighting.evidence.spans[-1]
    for talk in hearing.conversations:
        if talk.flow.number != sighting.evidence.flow.number:
            continue
        for said in talk.utterances:
            holds = said.direction is span.direction and said.span.start < span.end <= said.span.end
            if holds:
                return [_with_stars(said, span.start, span.end, secret)]
    return []


def _with_stars(said: Utterance, start: int, end: int, secret: str) -> str:
    """Return a line in which what was looked for is stars, and so is every other secret in it."""
    stretches = [(max(start - said.span.start, 0), end - said.span.start)]
    stretches += [(low, high) for low, high, field in said.marks if field in SECRETS]
    data, text, at = said.data, "", 0
    for low, high in sorted(stretches):
        if high > at:
            text += data[at : max(low, at)].decode("utf-8", "backslashreplace") + STARS
            at = high
    text += data[at:].decode("utf-8", "backslashreplace")
    text = _masked(printable(text.replace(STARS * 2, STARS)), [secret])
    return f"{_SIGN[said.direction]} {text if len(text) <= _LONGEST else text[:_LONGEST] + '…'}"


def _masked(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        if secret:
            text = text.replace(secret, STARS)
    return text
