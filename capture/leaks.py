"""Turns protocol events into leaks: what each field is, and the evidence for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias, assert_never

from mailtap.capture.events import (
    Address,
    CompressionStarted,
    Event,
    HalfGivenUp,
    Heard,
    LoginCancelled,
    LoginSeen,
    Malformed,
    MessageSeen,
    Places,
    ServerNameSeen,
    TlsSeen,
    UnknownProtocol,
)
from mailtap.capture.language import N_
from mailtap.capture.model import Direction, Evidence, Field, Leak, Note, Protocol, Secret, Source, Span

Locate: TypeAlias = Callable[[tuple[Span, ...]], Evidence]

SERVER_CERTIFICATE = N_("The server's certificate names {names}.")
CLIENT_CERTIFICATE = N_("The client's certificate names {names}.")


def read_event(event: Event, locate: Locate, message: int) -> list[Leak | Note]:
    """Return the leaks and notes in one event.

    Args:
        event: what a parser heard.
        locate: turns spans of the event's flow into evidence.
        message: the number for this message; each `MessageSeen` takes one, counting from 1 in each capture.
    """
    return list(_read(event, locate, message))


def _read(event: Event, locate: Locate, message: int) -> Iterator[Leak | Note]:
    match event:
        case LoginSeen():
            yield from _login(event, locate)
        case MessageSeen():
            yield from _message(event, locate, message)
        case ServerNameSeen(protocol, name):
            yield Leak(
                field=Field.SERVER_NAME, value=_secret(name), protocol=protocol, evidence=locate(name.spans)
            )
        case TlsSeen():
            yield from _tls(event, locate)
        case LoginCancelled():
            yield _note(N_("A {mechanism} login was cancelled."), event, locate, mechanism=event.mechanism)
        case CompressionStarted():
            yield _note(N_("Compressed (IMAP COMPRESS): the rest was not read."), event, locate)
        case Malformed():
            yield _note(event.reason, event, locate)
        case UnknownProtocol(spans):
            yield _at(N_("Unknown protocol on a mail port."), None, locate(spans))
        case HalfGivenUp(protocol, missing, spans):
            yield _at(_MISSING[missing], protocol, locate(spans))
        case _:
            assert_never(event)


_MISSING = {
    Direction.CLIENT: N_("The client's half did not come; the server's was read without it."),
    Direction.SERVER: N_("The server's half did not come; the client's was read without it."),
}


def text_of(data: bytes) -> str:
    r"""Return bytes off the wire as text: UTF-8; a byte that is not UTF-8 as an escape such as `\xe9`."""
    return data.decode("utf-8", "backslashreplace")


def _secret(heard: Heard) -> Secret:
    return Secret(text_of(heard.data))


def _optional(heard: Heard | None) -> str | None:
    return None if heard is None else text_of(heard.data)


_CREDENTIALS = (
    (Field.USERNAME, "username"),
    (Field.PASSWORD, "password"),
    (Field.TOKEN, "token"),
    (Field.DIGEST, "digest"),
)


def _login(event: LoginSeen, locate: Locate) -> Iterator[Leak | Note]:
    seen = False
    for field, name in _CREDENTIALS:
        heard: Heard | None = getattr(event, name)
        if heard is None:
            continue
        seen = True
        spans = heard.spans
        if field is Field.DIGEST and event.challenge is not None:
            spans = event.challenge.spans + spans
        yield Leak(
            field=field,
            value=_secret(heard),
            protocol=event.protocol,
            evidence=locate(spans),
            mechanism=event.mechanism,
            username=_optional(event.username),
            authzid=_optional(event.authzid),
            domain=_optional(event.domain),
            challenge=_optional(event.challenge) if field is Field.DIGEST else None,
            accepted=event.accepted,
        )
    if not seen:
        text = N_("A login by {mechanism}, which this listener cannot read.")
        yield _note(text, event, locate, mechanism=event.mechanism)


def _message(event: MessageSeen, locate: Locate, message: int) -> Iterator[Leak | Note]:
    addresses = ((Field.SENDER, event.sender), *((Field.RECIPIENT, each) for each in event.recipients))
    for field, address in addresses:
        if address is not None and address.path.data:  # `<>` names nobody (RFC 5321, section 4.5.5)
            yield _envelope(event, field, address, locate, message)
    if event.content is None:
        return
    from mailtap.capture.mail import mime  # noqa: PLC0415  # who asks for logins only never needs it

    contents = mime.read(event.content.data, whole=event.whole)
    places = Places(event.content)
    has_envelope = event.sender is not None or bool(event.recipients)
    for found in contents.parts:
        if found.source is Source.HEADER and has_envelope:
            continue
        yield Leak(
            field=found.field,
            value=Secret(found.value),
            protocol=event.protocol,
            evidence=locate(places.cut(found.start, found.end)),
            source=found.source,
            message=message,
            attachment=found.attachment,
        )
    notes = list(contents.notes)
    if event.limited:
        notes.append((N_("Message {message} was cut at this listener's size limit."), {"message": message}))
    elif not event.whole:
        notes.append((N_("Message {message} is not whole."), {"message": message}))
    for text, values in notes:
        yield _at(text, event.protocol, locate(event.content.spans), **values)


def _envelope(event: MessageSeen, field: Field, address: Address, locate: Locate, message: int) -> Leak:
    return Leak(
        field=field,
        value=_secret(address.path),
        protocol=event.protocol,
        evidence=locate(address.path.spans),
        accepted=address.accepted,
        source=Source.ENVELOPE,
        message=message,
    )


def _tls(event: TlsSeen, locate: Locate) -> Iterator[Note]:
    began = locate(event.spans)
    packet = began.packets[0]
    if event.version:
        text = N_("TLS began at packet {packet}, {bytes:,} bytes opaque ({version}).")
        if event.opaque == 1:
            text = N_("TLS began at packet {packet}, one byte opaque ({version}).")
        yield _at(text, event.protocol, began, packet=packet, bytes=event.opaque, version=event.version)
    else:
        text = N_("TLS began at packet {packet}, {bytes:,} bytes opaque.")
        if event.opaque == 1:
            text = N_("TLS began at packet {packet}, one byte opaque.")
        yield _at(text, event.protocol, began, packet=packet, bytes=event.opaque)
    if event.names:
        where, names = locate(event.certificate), ", ".join(event.names)
        yield _at(SERVER_CERTIFICATE, event.protocol, where, names=names)
    if event.client_names:
        where, names = locate(event.client_certificate), ", ".join(event.client_names)
        yield _at(CLIENT_CERTIFICATE, event.protocol, where, names=names)


def _note(
    text: str,
    event: LoginSeen | LoginCancelled | CompressionStarted | Malformed,
    locate: Locate,
    **values: str | int,
) -> Note:
    return _at(text, event.protocol, locate(event.spans), **values)


def _at(text: str, protocol: Protocol | None, evidence: Evidence, /, **values: str | int) -> Note:
    return Note(
        text=text,
        values=tuple(values.items()),
        protocol=protocol,
        flow=evidence.flow,
        packets=evidence.packets,
        time_ns=evidence.time_ns,
    )
