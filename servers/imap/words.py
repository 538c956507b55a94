"""Reads the words of an IMAP command: atoms, quoted strings, literals and lists (RFC 3501, section 4 and 9).

A command comes as pieces: text, and between two texts a literal. Bytes that no grammar allows are a
`BadSyntax`, which is for the client to hear.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DEEPEST: Final = 20  # lists in lists

# What FETCH asks for may have spaces in brackets: `BODY.PEEK[HEADER.FIELDS (From Subject)]<0.100>`.
_ATOM: Final = re.compile(rb"(?i:BODY(?:\.PEEK)?\[[^\]\r\n]*\](?:<[\d.]+>)?)|[^\s(){\"\x00-\x1f]+")
_QUOTED: Final = re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*)"')
_ESCAPED: Final = re.compile(rb'\\(["\\])')


class BadSyntax(Exception):  # noqa: N818  # the client's mistake, not an error of ours
    """The command does not keep to the grammar; the message is for the client."""


@dataclass(frozen=True, slots=True)
class Atom:
    """A word that stood there bare."""

    value: bytes


@dataclass(frozen=True, slots=True)
class Text:
    """A word that was quoted, or came as a literal."""

    value: bytes


Word: TypeAlias = "Atom | Text | tuple[Word, ...]"
Piece: TypeAlias = Atom | Text  # of a command: text as `Atom`, a literal as `Text`


def read(pieces: Sequence[Piece]) -> tuple[Word, ...]:
    """Return the words of a command.

    Raises:
        BadSyntax: they are none.
    """
    tokens = _tokens(pieces)
    words = _list(tokens, 0, end=None)
    return tuple(words)


def _list(tokens: Iterator[Word | bytes], depth: int, *, end: bytes | None) -> list[Word]:
    if depth > _DEEPEST:
        raise BadSyntax("Too many lists in lists")
    words: list[Word] = []
    for token in tokens:
        if token == b"(":
            words.append(tuple(_list(tokens, depth + 1, end=b")")))
        elif isinstance(token, bytes):
            if token != end:
                raise BadSyntax("A parenthesis too many")
            return words
        else:
            words.append(token)
    if end is not None:
        raise BadSyntax("A parenthesis is missing")
    return words


def _tokens(pieces: Sequence[Piece]) -> Iterator[Word | bytes]:
    """Yield words, and parentheses as they are."""
    for piece in pieces:
        if isinstance(piece, Text):
            yield piece
            continue
        text, at = piece.value, 0
        while at < len(text):
            octet = text[at : at + 1]
            if octet == b" ":
                at += 1
            elif octet in {b"(", b")"}:
                yield octet
                at += 1
            elif match := _QUOTED.match(text, at):
                yield Text(_ESCAPED.sub(rb"\1", match[1]))
                at = match.end()
            elif match := _ATOM.match(text, at):
                yield Atom(match[0])
                at = match.end()
            else:
                raise BadSyntax("That is no word of IMAP")


def string(word: Word) -> bytes:
    """Return the value of an astring (RFC 3501, section 9).

    Raises:
        BadSyntax: it is a list.
    """
    if isinstance(word, Atom | Text):
        return word.value
    raise BadSyntax("A word is expected there, not a list")


def keyword(word: Word) -> str:
    """Return a bare word in capitals; what is no ASCII is no keyword either."""
    return word.value.upper().decode("ascii", "replace") if isinstance(word, Atom) else ""
