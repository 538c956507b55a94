"""Every row runs live on every rung that this machine has: it leaks just what it says, and no more.

A silence counts only where the session completed, and where the same search finds the secret in the
row's plain twin.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import outcomes
import pytest
from silence import assert_silences_are_real, bytes_of, found

from mailtap.capture.model import Field
from mailtap.demo import cast
from mailtap.demo.network.rungs import Rung
from mailtap.demo.scenarios import SCENARIOS, Hop

if TYPE_CHECKING:
    from mailtap.capture.model import Leak
    from mailtap.demo.outcome import Outcome

EVERY_RUNG = pytest.mark.parametrize("rung", [str(rung) for rung in Rung])
EVERY_ROW = pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS])

PEOPLE = {person.username: person for person in cast.EVERYBODY}
HOSTS = {leg.service.host for scenario in SCENARIOS for leg in scenario.legs}
# What was sent: each value that a leak of the field may have.
VALUES = {
    Field.USERNAME: set(PEOPLE),
    Field.SENDER: {cast.HANAKO.address},
    Field.RECIPIENT: {cast.TARO.address, cast.JIRO.address},
    Field.SUBJECT: {cast.SUBJECT},
    Field.ATTACHMENT: {cast.ATTACHMENT_NAME},
    Field.SERVER_NAME: HOSTS,
}


def heard(outcome: Outcome, hop: Hop) -> list[Leak]:
    """Return what was on the wire of a hop; what was guessed was not."""
    return [leak for leak in outcome.leaks if outcome.hop(leak.evidence.flow) is hop and not leak.guessed]


@EVERY_RUNG
@EVERY_ROW
def test_leaks_just_what_the_row_says(name: str, rung: str) -> None:
    outcome = outcomes.outcomes(rung)[name]
    assert [str(problem) for problem in outcome.problems] == []
    assert outcome.leaked == outcome.expected
    for hop in outcome.servers:
        assert {leak.field for leak in heard(outcome, hop)} == outcome.scenario.expected[hop]
    assert (outcome.unexpected, outcome.missing, outcome.dropped, outcome.ok) == ({}, {}, 0, True)


@EVERY_RUNG
@EVERY_ROW
def test_the_values_are_what_was_sent(name: str, rung: str) -> None:
    outcome = outcomes.outcomes(rung)[name]
    for leak in outcome.leaks:
        value = leak.value.reveal()
        assert value in VALUES.get(leak.field, {value})
        if leak.field is Field.PASSWORD:
            assert value == PEOPLE[leak.username or ""].password
        if leak.field is Field.BODY:
            assert value.rstrip().splitlines() == cast.BODY.rstrip().splitlines()
        assert leak.evidence.packets


@EVERY_RUNG
@EVERY_ROW
def test_every_silence_is_real(name: str, rung: str) -> None:
    rows = outcomes.outcomes(rung)
    assert_silences_are_real(rows[name], twin=rows["plain"])


@EVERY_RUNG
def test_a_login_in_base64_is_found_in_the_raw_bytes(rung: str) -> None:
    """The search of the silences sees through base64: an initial response of PLAIN is in no charset."""
    login = f"\0{cast.HANAKO.username}\0{cast.HANAKO.password}".encode()
    octets = bytes_of(outcomes.outcomes(rung)["plain"], Hop.SUBMIT)
    assert base64.b64encode(login) in octets
    assert found(cast.HANAKO.password, octets)
