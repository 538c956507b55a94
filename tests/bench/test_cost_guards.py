"""The guards of `make check`: they count the same each time, and notice what costs more."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from bench import guards
from mailtap.capture.protocols.lines import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _nothing_else_to_collect() -> Iterator[None]:
    """Keep the garbage collector, which each count calls, from going through all that other tests hold."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("row", guards.ROWS, ids=lambda row: row.what)
def test_a_count_is_the_same_each_time(row: guards.Row) -> None:
    assert guards.cost(row)[0] == guards.cost(row)[0]


def test_a_parser_that_wakes_at_each_packet_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = (row for row in guards.ROWS if "middle" in row.what and row.live)
    push = Stream.push
    monkeypatch.setattr(Stream, "push", lambda stream, item: push(stream, item) or True)
    assert guards.cost(row)[0] > row.calls
