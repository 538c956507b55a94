"""The rows with an active attack: who got what is judged by what he got, and a twin shows that he could have.

That they leak on the wire just what they say, silence included, is in test_every_row_live.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

import lessons
import outcomes
import pytest

from mailtap.capture.guess import bundled_words
from mailtap.capture.model import Field
from mailtap.demo import cast, stage
from mailtap.demo.client.settings import Reason
from mailtap.demo.lab import Lab
from mailtap.demo.network.rungs import Rung
from mailtap.demo.scenarios import BY_NAME, SCENARIOS, Hop
from mailtap.demo.scenarios.row import Credential
from mailtap.demo.shell import speak
from mailtap.demo.telling.reader import Reader
from mailtap.demo.telling.story import story

if TYPE_CHECKING:
    from mailtap.demo.outcome import Outcome
    from mailtap.demo.scenarios import Leg, Scenario

EVERY_RUNG = pytest.mark.parametrize("rung", [str(rung) for rung in Rung])
RELAY = Lab(Rung.RELAY, real_ports=False)
ATTACKED = [row.name for row in SCENARIOS if row.attacked]
SUCCEED = {"impostor-unverified", "stripped-opportunistic"}
PASSWORDS = {Hop.SUBMIT: cast.HANAKO.password, Hop.FETCH: cast.TARO.password}


def run(row: Scenario) -> Outcome:
    """Run a row that is not in the table."""
    return stage.run(row, RELAY, bundled_words)


def changed(name: str, **changes: object) -> Scenario:
    """Return a row with all its attacked legs changed, and what it expects left as it is."""
    row = BY_NAME[name]

    def change(leg: Leg) -> Leg:
        return replace(leg, **changes) if leg.man or leg.thief else leg

    return replace(row, legs=tuple(map(change, row.legs)))


@EVERY_RUNG
def test_the_keys_that_are_kept_open_what_was_heard(rung: str) -> None:
    # Of the two TLS sessions on a leg, only that with the impostor is on the wire that is recorded.
    for name in ("tls", "starttls", "impostor-unverified"):
        outcome = outcomes.outcomes(rung)[name]
        wire = b"".join(packet.data for packet in outcome.packets)
        randoms = re.findall(rb"^CLIENT_TRAFFIC_SECRET_0 ([0-9a-f]{64}) ", outcome.key_log, re.MULTILINE)
        assert len([each for each in randoms if bytes.fromhex(each.decode()) in wire]) == 2, name


@EVERY_RUNG
@pytest.mark.parametrize("name", [row.name for row in SCENARIOS])
def test_which_attacks_succeed(name: str, rung: str) -> None:
    outcome = outcomes.outcomes(rung)[name]
    assert outcome.attack_succeeded is (name in SUCCEED if name in ATTACKED else None)
    assert outcome.ok


@EVERY_RUNG
@pytest.mark.parametrize("name", sorted(SUCCEED))
def test_the_man_in_the_path_reads_what_was_said(name: str, rung: str) -> None:
    outcome = outcomes.outcomes(rung)[name]
    for hop in outcome.servers:
        values = {leak.field: leak.value.reveal() for leak in outcome.read[hop]}
        assert values[Field.PASSWORD] == PASSWORDS[hop]
        assert values[Field.SUBJECT] == cast.SUBJECT
        assert values[Field.BODY].splitlines() == cast.BODY.rstrip().splitlines()
        assert values[Field.ATTACHMENT] == cast.ATTACHMENT_NAME
        assert all(leak.accepted for leak in outcome.read[hop] if leak.field is Field.PASSWORD)


@EVERY_RUNG
@pytest.mark.parametrize("name", ["impostor-verified", "stripped-insisting"])
def test_nobody_says_anything_to_a_man_who_is_not_trusted(name: str, rung: str) -> None:
    outcome = outcomes.outcomes(rung)[name]
    assert outcome.read == {Hop.SUBMIT: (), Hop.FETCH: ()}
    assert not outcome.scenario.delivers
    assert outcome.delivered, "nothing was to arrive, and nothing did"


SCREENS = {
    "impostor-unverified": [None, None],
    "impostor-verified": [Reason.UNTRUSTED, Reason.UNTRUSTED],
    "client-certificate": [None, None],
    "client-certificate-missing": [None, Reason.CUT_OFF, None],
    "client-certificate-wrong": [None, Reason.CUT_OFF, None],
    "stripped-opportunistic": [None, None],
    "stripped-insisting": [Reason.NO_TLS, Reason.NO_TLS],
}


@EVERY_RUNG
@pytest.mark.parametrize("name", SCREENS)
def test_each_refusal_is_for_its_own_reason(name: str, rung: str) -> None:
    assert [screen.failure for screen in outcomes.outcomes(rung)[name].screens] == SCREENS[name]


@EVERY_RUNG
def test_the_padlock_of_the_impostor_looks_like_any_other(rung: str) -> None:
    false, true = (outcomes.outcomes(rung)[name].screens for name in ("impostor-unverified", "tls"))
    for one, other in zip(false, true, strict=True):
        assert one.padlock is not None
        assert other.padlock is not None
        assert (one.padlock.version, one.padlock.names[0]) == ("TLSv1.3", other.padlock.names[0])
        assert (one.padlock.checked, other.padlock.checked) == (False, True)
        assert "Nobody you know" in one.padlock.issuer
        assert "Mailtap lab" in other.padlock.issuer
    assert [screen.padlock for screen in outcomes.outcomes(rung)["stripped-opportunistic"].screens] == [
        None
    ] * 2


@EVERY_RUNG
def test_a_client_certificate_shows_its_name_up_to_tls_1_2(rung: str) -> None:
    outcome = outcomes.outcomes(rung)["client-certificate"]
    named = {
        outcome.hop(note.flow): str(note)
        for note in outcome.notes
        if note.flow and "client's certificate" in str(note)
    }
    assert named == {Hop.SUBMIT: "The client's certificate names Hanako, pc-hanako.lab.example."}
    assert [screen.padlock and screen.padlock.version for screen in outcome.screens] == ["TLSv1.2", "TLSv1.3"]


# What the row would be if it were not for the one thing that it is about.


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        pytest.param("impostor-verified", {"verify": False}, id="an impostor who is not checked"),
        pytest.param("stripped-insisting", {"insist": False}, id="a client that shrugs"),
        pytest.param(
            "client-certificate-missing", {"credential": Credential.OWN}, id="a thief with the certificate"
        ),
    ],
)
def test_the_same_attack_without_the_countermeasure_succeeds_and_fails_the_row(
    name: str, changes: dict[str, object]
) -> None:
    outcome = run(changed(name, **changes))
    assert outcome.attack_succeeded
    assert Field.BODY in outcome.loot[Hop.FETCH]
    assert not outcome.ok
    problems = " ".join(map(str, outcome.problems))
    assert "did not get just what this scenario says" in problems
    assert "to be refused was not" in problems


def test_an_attack_that_is_to_succeed_and_does_not_fails_the_row() -> None:
    outcome = run(changed("impostor-unverified", verify=True))
    assert (outcome.attack_succeeded, outcome.delivered, outcome.ok) == (False, False, False)


def test_a_certificate_is_all_that_the_thief_lacks() -> None:
    """In TLS 1.2 and 1.3: a certificate of the lab's authority opens the door, and no other does."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        got = {
            credential: run(
                changed("client-certificate-wrong", credential=credential, version=version)
            ).attack_succeeded
            for credential in Credential
        }
        assert got == {Credential.NONE: False, Credential.FOREIGN: False, Credential.OWN: True}


# How it is told


@pytest.fixture(scope="module")
def told() -> lessons.Told:
    return lessons.tell("impostor-unverified", "--json", "--no-witness", "--rung", "relay")


def test_what_the_impostor_read_is_no_leak_in_json(told: lessons.Told) -> None:
    assert (told.code, {leak["field"] for leak in told.leaks}) == (0, {"server_name"})
    stolen = [each for each in told.objects if "stolen" in each and "ok" not in each]
    passwords = {each["hop"]: each["value"] for each in stolen if each["stolen"] == "password"}
    assert passwords == {str(hop): password for hop, password in PASSWORDS.items()}
    assert {(each["field"], each["scenario"]) for each in stolen} == {(None, "impostor-unverified")}
    assert all(each["note"] for each in stolen)
    (summary,) = told.summaries
    assert summary["attack_succeeded"] is True
    assert summary["leaked"] == {"submit": ["server_name"], "fetch": ["server_name"]}
    for hop in Hop.SUBMIT, Hop.FETCH:
        assert summary["stolen"][hop] == sorted({each["stolen"] for each in stolen if each["hop"] == hop})


def test_masked_json_shows_no_stolen_password(told: lessons.Told) -> None:
    masked = lessons.tell("impostor-unverified", "--json", "--no-witness", "--rung", "relay", "--mask")
    for password in PASSWORDS.values():
        assert password in told.out
        assert password not in masked.out


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("name", ATTACKED)
def test_the_story_sets_both_sides_side_by_side(name: str, language: str) -> None:
    say = speak(["--lang", language])
    outcome = outcomes.outcomes(str(Rung.RELAY))[name]
    lines = [line.plain for part in story(outcome, Reader(say)) for line in part]
    both = [line.split(" ┃ ") for line in lines if " ┃ " in line]
    assert all(len(each) == 2 for each in both)
    left, right = ("\n".join(column) for column in zip(*both, strict=True))
    got = name in SUCCEED
    assert (cast.HANAKO.password in right, cast.TARO.password in right) == (got, got)
    assert (say("nothing") in right) == (not got)
    assert (say("🔒 TLS on") in left) == (name == "impostor-unverified")
    assert any(say(words) in left for words in ("✋ Stopped.", "✋ Refused.")) == (not got)
    assert cast.TARO.password not in left
