"""SASL: reads identities and secrets out of the exchanges that SMTP, POP3 and IMAP share (RFC 4422).

The protocols move base64 texts to and fro; what is in them is the same everywhere. A mechanism is one
function and one entry in `MECHANISMS`.
"""

from __future__ import annotations

import base64
import binascii
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from mailtap.capture.events import Heard, LoginCancelled, LoginSeen, Malformed
from mailtap.capture.language import N_

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mailtap.capture.model import Protocol, Span
    from mailtap.capture.protocols.lines import Line, Reading
    from mailtap.capture.protocols.talk import Talk


class Answer(NamedTuple):
    """What the server said to a step of an exchange.

    Attributes:
        more: the server's challenge, still in base64, where it wants another step; None where it is done.
        accepted: its verdict where it is done; None where it was not seen.
        seen: whether the answer was seen at all.
    """

    more: Heard | None
    accepted: bool | None
    seen: bool = True


UNSEEN = Answer(None, None, seen=False)


class Exchange(NamedTuple):
    """The texts of one exchange, base64 undone."""

    challenges: tuple[Heard, ...]
    responses: tuple[Heard, ...]


class Reader(NamedTuple):
    """How one mechanism is read.

    Attributes:
        read: finds the `LoginSeen` fields in the exchange; None where it is not of that shape.
        steps: responses that a client sends, for exchanges whose server half was not seen.
    """

    read: Callable[[Exchange], dict[str, Heard] | None]
    steps: int


class Opening(NamedTuple):
    """The client's command that begins an exchange.

    Attributes:
        line: the whole line.
        mechanism: the mechanism's name as sent.
        span: where it stands.
        initial: the initial response, still in base64, where there is one.
    """

    line: Line
    mechanism: bytes
    span: Span
    initial: Heard | None


def opening(line: Line, skip: int) -> Opening | None:
    """Read the words of a line behind the first `skip`; None where there are none."""
    words = list(re.finditer(rb"\S+", line.text))[skip : skip + 2]
    if not words:
        return None
    mechanism, *initial = words
    first = [Heard(word[0], (line.part(*word.span()),)) for word in initial]
    return Opening(line, mechanism[0], line.part(*mechanism.span()), first[0] if first else None)


def exchange(
    talk: Talk, protocol: Protocol, begun: Opening, answer: Callable[[Line], Reading[Answer]]
) -> Reading[None]:
    """Listen to one exchange and say what login it was.

    Args:
        talk: the flow.
        protocol: the protocol spoken.
        begun: the client's command.
        answer: reads the server's answer to a client line.
    """
    line, mechanism, span, initial = begun
    name = mechanism.decode("ascii", "backslashreplace").upper()
    reader = MECHANISMS.get(name) or (_SCRAM if name.startswith("SCRAM-") else _OPAQUE)
    challenges: list[Heard] = []
    responses: list[Heard] = []
    broken = initial is not None and not _add(responses, initial)
    while (step := (yield from answer(line))).more is not None or not step.seen:
        if step.more is None and len(responses) >= reader.steps:
            break
        is_doubtful = step.more is None or talk.count_was_lost
        if is_doubtful and not _is_base64((yield from talk.client.peek_line())):
            step = UNSEEN  # what looked like a challenge was for another command
            break
        if step.more is not None:
            _add(challenges, step.more)
        reply = yield from talk.client.line()
        if reply is None:
            break
        if reply.text.strip() == b"*":
            yield from answer(reply)
            talk.say(LoginCancelled(protocol=protocol, mechanism=name, spans=(span,)))
            return
        line = reply
        broken = not _add(responses, Heard(reply.text, (reply.part(0),))) or broken
    fields = reader.read(Exchange(tuple(challenges), tuple(responses))) if responses else None
    if fields is None or broken:
        if responses or broken:
            talk.say(Malformed(protocol, (line.part(0),), MISSHAPEN))
        return
    talk.say(LoginSeen(protocol=protocol, mechanism=name, spans=(span,), accepted=step.accepted, **fields))


_MOST_TEXTS = 100  # of either side that are kept: no mechanism has so many steps
MISSHAPEN = N_("A login response that is not of its mechanism's shape was skipped.")


def _is_base64(ahead: tuple[bytes, float] | None) -> bool:
    """Tell whether a line looks like a response and not like a command."""
    return ahead is not None and _BASE64.match(ahead[0]) is not None and not _COMMAND.match(ahead[0])


_BASE64 = re.compile(
    rb"(\*|=|[A-Za-z0-9+/]{128}|([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)\r?$"
)
_COMMAND = re.compile(rb"(QUIT|NOOP|RSET|DATA|CAPA|STAT|LIST|UIDL|HELP)\r?$", re.IGNORECASE)


def _add(texts: list[Heard], text: Heard) -> bool:
    """Append `text` with base64 undone, if it is not one too many; return whether it was base64."""
    if len(texts) == _MOST_TEXTS:
        return True
    if text.data.strip() in (b"", b"="):  # RFC 4954, section 4: `=` is an empty initial response
        texts.append(Heard(b"", text.spans))
        return True
    try:
        texts.append(Heard(base64.b64decode(text.data.strip(), validate=True), text.spans))
    except binascii.Error:
        return False
    return True


def _fields(**found: Heard | None) -> dict[str, Heard]:
    """Return the fields that were found and are not empty."""
    return {name: heard for name, heard in found.items() if heard is not None and heard.data}


def _first(heard: Exchange) -> Heard:
    """Return the first response that is not empty: an empty initial one only asks for a challenge."""
    return next((each for each in heard.responses if each.data), heard.responses[0])


_NULS = 2  # RFC 4616, section 2


def _plain(heard: Exchange) -> dict[str, Heard] | None:
    """RFC 4616: authzid NUL authcid NUL password."""
    message = _first(heard)
    if message.data.count(b"\0") != _NULS:
        return None
    authzid, username, password = (Heard(part, message.spans) for part in message.data.split(b"\0"))
    return {"username": username, "password": password, **_fields(authzid=authzid)}


def _login(heard: Exchange) -> dict[str, Heard] | None:
    """The LOGIN mechanism (draft-murchison-sasl-login): a user name, then a password.

    Before them there may be an empty initial response, which the server answers by asking for the user name.
    """
    first, *rest = heard.responses
    asked = heard.challenges[-1].data.lower() if heard.challenges else b""
    named = rest if not first.data and (len(rest) > 1 or (rest and b"user" in asked)) else heard.responses
    return dict(zip(("username", "password"), named, strict=False))


def _cram_md5(heard: Exchange) -> dict[str, Heard] | None:
    """RFC 2195: user name, space, hex digest of the challenge."""
    message = _first(heard)
    username, space, digest = message.data.rpartition(b" ")
    if not space:
        return None
    return _fields(
        username=Heard(username, message.spans),
        digest=Heard(digest, message.spans),
        challenge=heard.challenges[0] if heard.challenges else None,
    )


_DIRECTIVE = re.compile(
    rb'(?:\A|,)\s*([a-z0-9-]+)\s*=\s*("(?:\\.|[^"\\])*"|[^,]*)', re.IGNORECASE | re.DOTALL
)


def _digest_md5(heard: Exchange) -> dict[str, Heard] | None:
    """RFC 2831, section 2.1.2: name="value" directives."""
    message = _first(heard)
    found = {
        name.lower(): re.sub(rb"\\(.)", rb"\1", value[1:-1]) if value.startswith(b'"') else value.strip()
        for name, value in _DIRECTIVE.findall(message.data)
    }
    if b"username" not in found or b"response" not in found:
        return None
    return _fields(
        username=Heard(found[b"username"], message.spans),
        digest=message,
        challenge=next((each for each in heard.challenges if b"nonce=" in each.data.lower()), None),
        authzid=Heard(found.get(b"authzid", b""), message.spans),
    )


_GS2 = re.compile(rb"(?:[ny]|p=[^,]*),(?:a=([^,]*))?,")


def _saslname(name: bytes) -> bytes:
    """Undo the escapes of RFC 5801, section 4, and RFC 5802, section 5.1."""
    return name.replace(b"=2C", b",").replace(b"=3D", b"=")


def _scram(heard: Exchange) -> dict[str, Heard] | None:
    """RFC 5802, section 5: n,a=authzid,n=user,r=nonce; then c=...,r=...,p=proof."""
    first = heard.responses[0] if heard.responses[0].data else heard.responses[-1]
    header = _GS2.match(first.data)
    name = re.search(rb"(?:\A|,)n=([^,]*)", first.data[header.end() :]) if header else None
    if header is None or name is None:
        return None
    final = next((each for each in heard.responses if re.search(rb",p=", each.data)), None)
    return _fields(
        username=Heard(_saslname(name[1]), first.spans),
        authzid=Heard(_saslname(header[1] or b""), first.spans),
        digest=final,
        challenge=next((each for each in heard.challenges if b"s=" in each.data), None) if final else None,
    )


def _bearer(heard: Exchange) -> dict[str, Heard] | None:
    """XOAUTH2 (Google's), and OAUTHBEARER (RFC 7628, section 3.1): fields between ^A."""
    message = next((each for each in heard.responses if b"auth=" in each.data.lower()), None)
    if message is None:
        return None
    header = _GS2.match(message.data)
    user = re.search(rb"(?:\A|\x01)user=([^\x01]*)", message.data)
    token = re.search(rb"\x01auth=(?:Bearer )?\s*([^\x01]*)", message.data, re.IGNORECASE)
    name = _saslname(header[1] or b"") if header else user[1] if user else b""
    return _fields(
        username=Heard(name, message.spans), token=Heard(token[1], message.spans) if token else None
    )


def _external(heard: Exchange) -> dict[str, Heard] | None:
    """EXTERNAL (RFC 4422, appendix A): at most an authzid. ANONYMOUS (RFC 4505): a trace text."""
    return _fields(username=heard.responses[0])


_NTLM_AUTHENTICATE = b"NTLMSSP\0\x03\0\0\0"
_NTLM_CHALLENGE = b"NTLMSSP\0\x02\0\0\0"
_NTLM_FLAGS, _NTLM_UNICODE = 60, 0x01  # where NegotiateFlags stand, and one of them


def _ntlm(heard: Exchange) -> dict[str, Heard] | None:
    """MS-NLMP, section 2.2.1.3: the AUTHENTICATE message names domain and user."""
    message = next((each for each in heard.responses if each.data.startswith(_NTLM_AUTHENTICATE)), None)
    if message is None:
        return {}
    unicode = len(message.data) > _NTLM_FLAGS and bool(message.data[_NTLM_FLAGS] & _NTLM_UNICODE)
    texts = []
    for descriptor in (28, 36):  # DomainNameFields, UserNameFields: length, maximum, offset
        raw = message.data[descriptor : descriptor + 8]
        start = int.from_bytes(raw[4:8], "little")
        text = message.data[start : start + int.from_bytes(raw[:2], "little")]
        texts.append(text.decode("utf-16-le", "replace").encode() if unicode else text)
    challenge = next((each for each in heard.challenges if each.data.startswith(_NTLM_CHALLENGE)), None)
    return _fields(
        domain=Heard(texts[0], message.spans),
        username=Heard(texts[1], message.spans),
        digest=Heard(base64.b64encode(message.data), message.spans),
        challenge=Heard(base64.b64encode(challenge.data), challenge.spans) if challenge else None,
    )


def _opaque(_heard: Exchange) -> dict[str, Heard]:
    """A mechanism that this listener cannot read (GSSAPI, …)."""
    return {}


_SCRAM = Reader(_scram, 2)
_OPAQUE = Reader(_opaque, 1)

MECHANISMS: Mapping[str, Reader] = MappingProxyType(
    {
        "PLAIN": Reader(_plain, 1),
        "LOGIN": Reader(_login, 2),
        "CRAM-MD5": Reader(_cram_md5, 1),
        "DIGEST-MD5": Reader(_digest_md5, 1),
        "XOAUTH2": Reader(_bearer, 1),
        "OAUTHBEARER": Reader(_bearer, 1),
        "NTLM": Reader(_ntlm, 2),
        "EXTERNAL": Reader(_external, 1),
        "ANONYMOUS": Reader(_external, 1),
    }
)
