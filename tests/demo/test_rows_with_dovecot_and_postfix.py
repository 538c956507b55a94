"""The same rows with Dovecot and Postfix as the servers: the listener hears what it hears with the toys."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import realrows
from silence import assert_silences_are_real

from mailtap.capture.model import Field
from mailtap.demo.network import identity

if TYPE_CHECKING:
    from mailtap.demo.outcome import Outcome

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only for Linux"),
    pytest.mark.skipif(not identity.is_root(), reason="only for root: the servers change to other users"),
]

EVERY_ROW = pytest.mark.parametrize("name", realrows.ROWS)


def heard(outcome: Outcome) -> set[tuple[object, ...]]:
    """Return all that was heard or guessed, but for digests: each answers a challenge of its own."""
    return {
        (
            outcome.hop(leak.evidence.flow),
            leak.field,
            leak.value.reveal() if leak.field is not Field.DIGEST else None,
            leak.mechanism,
            leak.username,
            leak.accepted,
            leak.guessed,
            leak.source,
        )
        for leak in outcome.leaks
    }


@EVERY_ROW
def test_leaks_just_what_the_row_says(name: str) -> None:
    _, real = realrows.both()[name]
    assert [str(problem) for problem in real.problems] == []
    assert real.leaked == real.expected
    assert real.ok


@EVERY_ROW
def test_the_listener_hears_what_it_hears_with_the_toys(name: str) -> None:
    toys, real = realrows.both()[name]
    assert heard(real) == heard(toys)


@EVERY_ROW
def test_the_servers_were_the_real_ones(name: str) -> None:
    toys, real = realrows.both()[name]
    if real.opaque:  # only the toys keep their session keys, for teaching
        assert toys.key_log
        assert not real.key_log
    else:  # in its greeting, or in the Received line of a mail
        assert any(b"Postfix" in packet.data for packet in real.packets)
        assert not any(b"Postfix" in packet.data for packet in toys.packets)


@EVERY_ROW
def test_every_silence_is_real(name: str) -> None:
    rows = realrows.both()
    assert_silences_are_real(rows[name][1], twin=rows["plain"][1])
