r"""Reads a dialogue written as text: `C:` and `S:` lines, escapes for bytes.

Each line is one line of the conversation, and ends in CR LF on the wire; a backslash at its end means
that nothing ends there. A line `C: [20 lost]` is a hole of 20 bytes in the capture. `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH` are escapes. `#` begins a comment line.
Behind a line `Leaks:` stand the expected leaks, one a line: `field value key=value …`; `Notes:` likewise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailtap.capture.model import Direction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|(.))")
_HOLE = re.compile(rb"\[(\d+) lost\]\r\n")
_SIMPLE = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0"}


@dataclass(frozen=True)
class Script:
    """A dialogue and what it is expected to leak."""

    port: int
    turns: tuple[tuple[Direction, bytes], ...]
    leaks: tuple[str, ...]
    notes: tuple[str, ...]


def load(path: Path) -> Script:
    """Read a dialogue from a file."""
    return parse(path.read_text(encoding="utf-8"))


def parse(text: str) -> Script:
    """Read a dialogue from a text."""
    sections: dict[str, list[str]] = {"": [], "Leaks:": [], "Notes:": []}
    section, port = "", 4242
    for line in text.splitlines():
        if line in sections:
            section = line
        elif line.startswith("Port:"):
            port = int(line.partition(":")[2])
        elif line.strip() and not line.startswith("#"):
            sections[section].append(line)
    return Script(port, tuple(_turns(sections[""])), tuple(sections["Leaks:"]), tuple(sections["Notes:"]))


def holed(text: str) -> list[tuple[Direction, bytes | int]]:
    """Return the lines of a dialogue as (direction, bytes), holes as (direction, number of bytes)."""
    return [
        (who, int(hole[1]) if (hole := _HOLE.fullmatch(data)) else data) for who, data in parse(text).turns
    ]


def turns(text: str) -> list[tuple[Direction, bytes]]:
    """Return the lines of a dialogue as (direction, bytes)."""
    return list(parse(text).turns)


def unescape(text: str) -> bytes:
    """Return a text's bytes in UTF-8, its escapes undone."""
    out, at = b"", 0
    for found in _ESCAPE.finditer(text):
        out += text[at : found.start()].encode()
        out += bytes.fromhex(found[1]) if found[1] else _SIMPLE.get(found[2], found[2].encode())
        at = found.end()
    return out + text[at:].encode()


def _turns(lines: list[str]) -> Iterator[tuple[Direction, bytes]]:
    for line in lines:
        who, text = line[:2], line[3:] if line[2:3] == " " else line[2:]
        direction = {"C:": Direction.CLIENT, "S:": Direction.SERVER}[who]
        open_ended = text.endswith("\\") and not text.endswith("\\\\")
        yield direction, unescape(text[:-1]) if open_ended else unescape(text) + b"\r\n"
