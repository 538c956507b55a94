"""What TLS does not hide: who talks to whom, when and how much; up to TLS 1.2, the certificates too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailtap.capture.language import N_
from mailtap.capture.leaks import CLIENT_CERTIFICATE, SERVER_CERTIFICATE
from mailtap.capture.report import printable
from mailtap.demo.telling.words import doer

if TYPE_CHECKING:
    from rich.text import Text

    from mailtap.capture.model import Conversation
    from mailtap.demo.outcome import Outcome
    from mailtap.demo.telling.reader import Reader

_BY_THE_PORT: Final = N_(
    "{who}: which computer ({client}) talks to which server ({server}), what kind of service it is"
    " (by the port, {port}), about how much was said ({up} bytes one way, {down} the other), when it"
    " was, and that it took {milliseconds} ms."
)
_ODD_PORT: Final = N_(
    "{who}: which computer ({client}) talks to which server ({server}, port {port}), about how much was"
    " said ({up} bytes one way, {down} the other), when it was, and that it took {milliseconds} ms."
)
_NAMES: Final = frozenset({CLIENT_CERTIFICATE, SERVER_CERTIFICATE})


def still_visible(outcome: Outcome, reader: Reader) -> list[Text]:
    """Return for each connection what the eavesdropper has of it all the same."""
    lines = reader.wrapped(reader.say("What TLS still shows to the eavesdropper:"), "bold", margin=0)
    for number, leg in enumerate(outcome.scenario.legs):
        for talk in outcome.talks(number):
            text = _BY_THE_PORT if talk.flow.server.port == leg.service.port else _ODD_PORT
            lines += reader.wrapped(_traffic(text, doer(leg, reader.say), talk, reader), hang="  - ")
            lines += _certificates(outcome, talk, reader)
    return lines


def _traffic(text: str, who: str, talk: Conversation, reader: Reader) -> str:
    return reader.say(
        text,
        who=who,
        client=talk.flow.client.address,
        server=talk.flow.server.address,
        port=talk.flow.server.port,
        up=f"{talk.client_bytes:,}",
        down=f"{talk.server_bytes:,}",
        milliseconds=_milliseconds(talk),
    )


def _certificates(outcome: Outcome, talk: Conversation, reader: Reader) -> list[Text]:
    """Return the names in the certificates that crossed in clear."""
    lines: list[Text] = []
    for note in outcome.notes:
        if note.flow == talk.flow and note.text in _NAMES:
            text = printable(reader.say(note.text, **dict(note.values)))
            lines += reader.wrapped(
                text, "bold yellow" if note.text == CLIENT_CERTIFICATE else "", hang="    "
            )
    return lines


def _milliseconds(talk: Conversation) -> str:
    times = [utterance.time_ns for utterance in talk.utterances]
    return f"{(max(times) - min(times)) / 1_000_000:.0f}" if times else "0"
