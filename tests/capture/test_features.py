"""One capture for each thing that the listener hears: what leaks, what is said, and nothing else."""

from __future__ import annotations

import gzip
import io
import re
from typing import TYPE_CHECKING

import pytest
import supported
import wire
from feature import Feature, heard
from features import FEATURES
from supported_ja import HEADS, SOURCES, WAYS, WORDS

from mailtap.capture.sources import read

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailtap.capture.model import Packet

features = pytest.mark.parametrize("feature", [pytest.param(each, id=str(each)) for each in FEATURES])


@features
def test_what_is_heard(feature: Feature) -> None:
    leaks, notes = heard(feature.packets())
    assert (leaks, list(map(settled, notes))) == (list(feature.leaks), list(feature.notes))


def settled(note: str) -> str:
    """Return a note without the size of a TLS handshake, which varies with its signatures."""
    return re.sub(r"packet \d+, [\d,]+ bytes opaque", "packet …, … bytes opaque", note)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(wire.pcap, id="pcap"),
        pytest.param(lambda packets: wire.pcap(packets, order=">", nano=True), id="pcap, big-endian, nanoseconds"),
        pytest.param(wire.pcapng, id="pcapng"),
        pytest.param(lambda packets: gzip.compress(wire.pcapng(packets, order=">")), id="pcapng, big-endian, gzip"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("feature", [each for each in FEATURES if each.topic == "Frames"], ids=str)
def test_every_file_holds_every_frame(feature: Feature, write: Callable[[list[Packet]], bytes]) -> None:
    file = io.BytesIO(write(feature.packets()))
    assert heard(read(file)) == (list(feature.leaks), list(feature.notes))


def test_no_two_features_have_one_name() -> None:
    names = [str(each) for each in FEATURES]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("code", supported.PAGES)
def test_supported_md_is_made_from_this_table(code: str) -> None:
    page = supported.PAGES[code].read_text(encoding="utf-8")
    assert set(supported.topics(page)) == {feature.topic for feature in FEATURES}
    assert supported.renewed(page, code) == page, "renew it: make supported"


def test_supported_md_has_no_english_word_in_japanese() -> None:
    english = re.compile(r"\b(a|an|and|in|is|of|on|the|with|without|no|not|what|that)\b")
    cells = re.findall(r"(?<=\| )[^|]+(?= \|)", supported.PAGES["ja"].read_text(encoding="utf-8"))
    assert [cell for cell in cells if english.search(cell)] == [], "add it to supported_ja.py"
    names = {*HEADS, *WAYS, *SOURCES, *(word for each in FEATURES for word in (each.name, each.where))}
    assert [word for word in WORDS if word not in names] == []
