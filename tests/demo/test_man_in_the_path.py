"""Whoever a row puts in the path stands before the server, on every rung, and what he got decides the run."""

from __future__ import annotations

import lessons
import pytest

# A man who passes everything on, and says that he got what he is told to say.
MAN = """
import dataclasses
from contextlib import contextmanager
from mailtap.capture.model import *
from mailtap.demo import scenarios
from mailtap.demo.network.relay import Relay
from mailtap.demo.scenarios import Hop

class Quiet:
    def __init__(self, endpoint):
        self.endpoint = endpoint
    def wait_idle(self, timeout):
        return True
    def loot(self):
        flow = Flow(1, Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2))
        evidence = Evidence(flow, (Span(Direction.CLIENT, 0, 1),), (1,), 0)
        return tuple(
            Leak(field=field, value=Secret("x"), protocol=Protocol.POP3, evidence=evidence) for field in [{got}]
        )

@contextmanager
def stand(leg, server, key_log):
    with Relay({{"server": server}}) as relay:
        yield Quiet(relay.endpoints["server"])

plain = scenarios.BY_NAME["plain"]
send, fetch = plain.legs
scenarios.BY_NAME["plain"] = dataclasses.replace(
    plain, legs=(send, dataclasses.replace(fetch, man=stand, refused={refused})), loot={{Hop.FETCH: frozenset({{{expected}}})}}
)
"""


def told(rung: str, *, got: str = "", expected: str = "", refused: bool = False) -> lessons.Told:
    program = MAN.format(got=got, expected=expected, refused=refused)
    return lessons.tell_with(program, "plain", "--json", "--no-witness", "--rung", rung)


@pytest.mark.parametrize("rung", ["private-network", "host-loopback", "relay"])
def test_the_listener_hears_the_mail_program_and_not_what_is_passed_on(
    working_rungs: dict[str, str], rung: str
) -> None:
    if working_rungs[rung]:
        pytest.skip(f"{rung} does not work here: {working_rungs[rung]}")
    ran = told(rung, got="Field.PASSWORD", expected="Field.PASSWORD")
    (summary,) = ran.summaries
    assert (ran.code, summary["problems"]) == (0, [])
    assert summary["leaked"] == summary["expected"]
    assert summary["stolen"] == {"fetch": ["password"]}
    assert {leak["hop"] for leak in ran.leaks} == {"submit", "fetch"}
    assert len([leak for leak in ran.leaks if leak["field"] == "password"]) == 2


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        pytest.param("Field.PASSWORD, Field.BODY", "Field.PASSWORD", id="he got more"),
        pytest.param("", "Field.PASSWORD", id="he got nothing"),
    ],
)
def test_other_loot_than_the_row_says_fails_the_run(got: str, expected: str) -> None:
    ran = told("relay", got=got, expected=expected)
    (summary,) = ran.summaries
    assert (ran.code, summary["ok"]) == (1, False)
    assert any("did not get just what" in problem for problem in summary["problems"])


def test_a_leg_that_was_to_be_refused_and_was_not_fails_the_run() -> None:
    ran = told("relay", refused=True)
    (summary,) = ran.summaries
    assert (ran.code, summary["ok"]) == (1, False)
    assert any("was to be refused was not" in problem for problem in summary["problems"])
