"""Makes the tables of docs/supported.md from the table of features; `supported.py` writes the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from features import FEATURES

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).parents[2] / "docs" / "supported.md"
_TABLE = re.compile(r"(<!-- the tests' table: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
_SPEECHES = ("POP3", "SMTP", "IMAP")


def topics(page: str) -> list[str]:
    """Return the topics whose tables a page shows, in order."""
    return [found[2] for found in _TABLE.finditer(page)]


def renewed(page: str) -> str:
    """Return a page with its tables made anew."""
    return _TABLE.sub(lambda found: found[1] + "\n" + _table(found[2]) + "\n" + found[3], page)


def _table(topic: str) -> str:
    rows = _TABLES.get(topic, _features)(topic)
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def _features(topic: str) -> Iterable[tuple[str, ...]]:
    """Yield a table with one row for each name and document, whatever protocols it is heard in."""
    places: dict[tuple[str, str], list[str]] = {}
    for feature in FEATURES:
        if feature.topic == topic:
            places.setdefault((feature.name, feature.source), []).append(feature.where)
    yield ("what", "where", "document")
    yield ("---", "---", "---")
    for (name, source), where in places.items():
        yield (name, ", ".join(dict.fromkeys(where)), source)


def _mechanisms(topic: str) -> Iterable[tuple[str, ...]]:
    """Yield a table of SASL mechanisms by protocol: in which ways each is heard."""
    ways: dict[tuple[str, str], dict[str, list[str]]] = {}
    for feature in FEATURES:
        if feature.topic == topic:
            mechanism, way, _ = feature.name.split(", ")
            ways.setdefault((mechanism, feature.source), {}).setdefault(feature.where, []).append(way)
    yield ("mechanism", *_SPEECHES, "document")
    yield ("---",) * (2 + len(_SPEECHES))
    for (mechanism, source), by_speech in ways.items():
        yield (
            mechanism,
            *(", ".join(dict.fromkeys(by_speech.get(each, ["-"]))) for each in _SPEECHES),
            source,
        )


def _silences(topic: str) -> Iterable[tuple[str, ...]]:
    """Yield a table of what keeps the listener from hearing, and what it says then."""
    yield ("what", "what is said")
    yield ("---", "---")
    for feature in FEATURES:
        if feature.topic == topic:
            yield (feature.name, feature.notes[0])


_TABLES = {"Logins, SASL": _mechanisms, "Why something was not heard": _silences}


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
