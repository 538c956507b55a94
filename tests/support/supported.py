"""Makes the tables of docs/supported.md, in each language, from the table of features; run, it writes the files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from features import FEATURES
from supported_ja import japanese

from mailtap.capture import language
from mailtap.capture.model import Note
from mailtap.capture.pipeline import listen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from feature import Feature

ROOT = Path(__file__).parents[2]
PAGES = {"en": ROOT / "docs" / "supported.md", "ja": ROOT / "docs" / "ja" / "supported.md"}
_TABLE = re.compile(r"(<!-- the tests' table: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
_SPEECHES = ("POP3", "SMTP", "IMAP")


def topics(page: str) -> list[str]:
    """Return the topics whose tables a page shows, in order."""
    return [found[2] for found in _TABLE.finditer(page)]


def renewed(page: str, code: str) -> str:
    """Return a page with its tables made anew."""
    return _TABLE.sub(lambda found: found[1] + "\n" + _table(found[2], code) + "\n" + found[3], page)


def _table(topic: str, code: str) -> str:
    rows = _TABLES.get(topic, _features)(topic, _WORDS[code])
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def _features(topic: str, words: Callable[[str], str]) -> Iterable[tuple[str, ...]]:
    """Yield a table with one row for each name and document, whatever protocols it is heard in."""
    places: dict[tuple[str, str], list[str]] = {}
    for feature in FEATURES:
        if feature.topic == topic:
            places.setdefault((feature.name, feature.source), []).append(feature.where)
    yield (words("what"), words("where"), words("document"))
    yield ("---", "---", "---")
    for (name, source), where in places.items():
        yield (words(name), ", ".join(map(words, dict.fromkeys(where))), words(source))


def _mechanisms(topic: str, words: Callable[[str], str]) -> Iterable[tuple[str, ...]]:
    """Yield a table of SASL mechanisms by protocol: in which ways each is heard."""
    ways: dict[tuple[str, str], dict[str, list[str]]] = {}
    for feature in FEATURES:
        if feature.topic == topic:
            mechanism, way, _ = feature.name.split(", ")
            ways.setdefault((mechanism, feature.source), {}).setdefault(feature.where, []).append(way)
    yield (words("mechanism"), *_SPEECHES, words("document"))
    yield ("---",) * (2 + len(_SPEECHES))
    for (mechanism, source), by_speech in ways.items():
        yield (
            mechanism,
            *(", ".join(map(words, dict.fromkeys(by_speech.get(each, ["-"])))) for each in _SPEECHES),
            words(source),
        )


def _silences(topic: str, words: Callable[[str], str]) -> Iterable[tuple[str, ...]]:
    """Yield a table of what keeps the listener from hearing, and what it says then."""
    yield (words("what"), words("what is said"))
    yield ("---", "---")
    say = language.load("ja" if words is japanese else "en", ROOT / "capture" / "locale")
    for feature in FEATURES:
        if feature.topic == topic:
            yield (words(feature.name), _first_note(feature, say))


def _first_note(feature: Feature, say: language.Say) -> str:
    """Return the first thing that is said of a feature's capture."""
    note = next(item for item in listen(feature.packets()) if isinstance(item, Note))
    return say(note.text, **dict(note.values))


_WORDS: dict[str, Callable[[str], str]] = {"en": str, "ja": japanese}
_TABLES = {"Logins, SASL": _mechanisms, "Why something was not heard": _silences}


if __name__ == "__main__":
    for code, path in PAGES.items():
        path.write_text(renewed(path.read_text(encoding="utf-8"), code), encoding="utf-8")
