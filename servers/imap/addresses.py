"""The addresses of a header field (RFC 5322, section 3.4), groups among them, as ENVELOPE gives them.

Not by the standard library: its parser knows no groups, keeps the quotes of a local part, and fails on
comments deep in comments. This one takes time in proportion to the field, whatever is in it.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from mailtap.servers.imap.replies import string

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_QUOTED: Final = r'[^"\\]*+(?:\\.[^"\\]*+)*+'
_TOKEN: Final = re.compile(
    rf'"(?P<quoted>{_QUOTED})"?|<(?P<angle>(?:"{_QUOTED}"|[^<>"])*+)>|(?P<literal>\[[^\[\]]*\])'
    r'|(?P<mark>[(,:;@])|(?P<space>\s+)|(?P<word>[^\s"<\[(,:;@]+|.)',
    re.DOTALL,
)
_COMMENTED: Final = re.compile(r"[^\\()]++|\\.|.", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_END_OF_GROUP: Final = b"(NIL NIL NIL NIL)"


class _Token(NamedTuple):
    """A piece of a field.

    Attributes:
        kind: a group of `_TOKEN`, or `comment`.
        text: what it says, without its quotes, or its round or angle brackets.
    """

    kind: str
    text: str


def addresses(field: str) -> Iterator[bytes]:
    """Yield the addresses of a field as IMAP writes them (RFC 3501, section 7.4.2).

    A group begins with its name in place of a mailbox and NIL for a host, and ends with NIL throughout.

    Args:
        field: its value; bytes that are no ASCII as surrogate escapes.
    """
    pending: list[_Token] = []
    in_group = False
    for token in chain(_tokens(field), (_Token("mark", ""),)):  # the end of the field ends all else
        if token.kind != "mark" or token.text == "@":
            pending.append(token)
            continue
        name = _said(_bare(pending)) if token.text == ":" else ""
        if not name:
            yield from _address(pending)
        if in_group and (name or token.text != ","):  # a group in a group ends the one that it is in
            yield _END_OF_GROUP
            in_group = False
        if name:
            yield _written(None, None, name, None)
            in_group = True
        pending = []


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while match := _TOKEN.match(text, at):
        at, kind = match.end(), match.lastgroup or ""
        if match[0] == "(":
            start, at = at, _after_comment(text, at)
            yield _Token("comment", _ESCAPED.sub(r"\1", text[start : at - 1]))
        else:
            yield _Token(kind, _ESCAPED.sub(r"\1", match[kind]) if kind == "quoted" else match[kind])


def _after_comment(text: str, at: int) -> int:
    """Return what is behind a comment, and those in it; where it does not end, what is behind the text."""
    depth = 1
    while match := _COMMENTED.match(text, at):
        at = match.end()
        depth += (match[0] == "(") - (match[0] == ")")
        if not depth:
            return at
    return len(text) + 1


def _address(tokens: Sequence[_Token]) -> Iterator[bytes]:
    """Yield the address that tokens make; nothing where they make none."""
    angle = next((token.text for token in tokens if token.kind == "angle"), None)
    comments = _said(token for token in tokens if token.kind == "comment")
    if angle is None:
        display, (route, spec) = comments, ("", tokens)
    else:
        display = _said(_bare(tokens)) or comments
        route, spec = _route(tuple(_tokens(angle)))
    mailbox, host = _mailbox(spec)
    if mailbox or host or (display and angle is not None):
        yield _written(display or None, route or None, mailbox, host)


def _route(tokens: Sequence[_Token]) -> tuple[str, Sequence[_Token]]:
    """Return the hosts that the mail is to pass (RFC 5322, section 4.4, obs-route), and the rest."""
    ends = next((place for place, token in enumerate(tokens) if token == ("mark", ":")), 0)
    if tokens[:1] != (("mark", "@"),) or not ends:
        return "", tokens
    return _joined(tokens[:ends]), tokens[ends + 1 :]


def _mailbox(tokens: Sequence[_Token]) -> tuple[str, str]:
    """Return local part and host; a name on the machine itself, such as `root`, has no host."""
    at = max((place for place, token in enumerate(tokens) if token == ("mark", "@")), default=None)
    if at is None:
        return _said(_bare(tokens)), ""
    return _joined(tokens[:at]), _joined(tokens[at + 1 :])


def _bare(tokens: Iterable[_Token]) -> Iterator[_Token]:
    """Yield tokens with a space for each comment, and without what is in angle brackets."""
    for token in tokens:
        if token.kind != "angle":
            yield _Token("space", " ") if token.kind == "comment" else token


def _joined(tokens: Iterable[_Token]) -> str:
    return "".join(token.text for token in tokens if token.kind not in {"space", "comment"})


def _said(tokens: Iterable[_Token]) -> str:
    """Return what tokens say in words."""
    return " ".join("".join(token.text for token in tokens).split())


def _written(display: str | None, route: str | None, mailbox: str, host: str | None) -> bytes:
    return b"(" + b" ".join(string(text) for text in (display, route, mailbox, host)) + b")"
