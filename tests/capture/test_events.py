"""Where stretches of a value stood in the stream."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mailtap.capture.events import Heard, Places
from mailtap.capture.model import Direction, Span

STREAM = bytes(range(256)) * 4
C = Direction.CLIENT


def span(start: int, end: int) -> Span:
    return Span(C, start, end)


def sent(spans: tuple[Span, ...]) -> bytes:
    return b"".join(STREAM[each.start : each.end] for each in spans)


@st.composite
def heard(draw: st.DrawFn) -> Heard:
    """Return a value that was sent byte for byte, in several stretches of the stream."""
    cuts = sorted(draw(st.sets(st.integers(0, len(STREAM)), min_size=2, max_size=12)))
    spans = tuple(span(*pair) for pair in list(pairwise(cuts))[::2])
    return Heard(sent(spans), spans)


@given(st.lists(heard(), min_size=1, max_size=4), st.data())
def test_a_stretch_is_found_where_it_was_sent(pieces: list[Heard], data: st.DataObject) -> None:
    whole = pieces[0] if len(pieces) == 1 else Heard.joined(pieces)
    start, end = sorted(data.draw(st.sets(st.integers(0, len(whole.data)), min_size=2, max_size=2)))
    assert sent(whole.cut(start, end)) == whole.data[start:end]


def test_what_was_not_sent_byte_for_byte_is_found_as_a_whole() -> None:
    decoded = Heard(b"abc", (span(10, 14),))
    assert decoded.cut(1, 2) == (span(10, 14),)
    ours, plain = Heard(b"To: ", ()), Heard(b"xyz", (span(20, 23),))
    places = Places(Heard.joined([ours, decoded, ours, plain]))
    assert places.cut(5, 6) == (span(10, 14),)
    assert places.cut(6, 13) == (span(10, 14), span(20, 22))
    assert places.cut(0, 4) == (span(10, 14), span(20, 23))  # none of it was sent
