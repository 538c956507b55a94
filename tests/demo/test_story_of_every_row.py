"""The story of every row reads well: in 80 columns and fewer, in each language, with and without a mask."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import outcomes
import pytest
from wcwidth import wcswidth

from mailtap.capture.language import N_
from mailtap.capture.model import Endpoint, Note
from mailtap.capture.witness import Agreement, Verdict
from mailtap.demo import cast
from mailtap.demo.network.rungs import Rung
from mailtap.demo.scenarios import SCENARIOS, Hop
from mailtap.demo.shell import NARROWEST, speak
from mailtap.demo.telling import ending
from mailtap.demo.telling.reader import Reader
from mailtap.demo.telling.story import story
from mailtap.demo.telling.visible import still_visible

if TYPE_CHECKING:
    from mailtap.demo.outcome import Outcome

EVERY_ROW = pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS])
LANGUAGES = pytest.mark.parametrize("language", ["en", "ja"])
ENGLISH = re.compile(
    r"\b(the|a|an|is|are|was|of|with|and|from|that|what|this|each|not|its?)\b", re.IGNORECASE
)
ON_THE_WIRE = re.compile(r"^[▌ ] *#\d|┃")  # shown as it was


def told(name: str, language: str = "en", width: int = 80, *, mask: bool = False) -> list[str]:
    """Return the lines of a row's story."""
    reader = Reader(speak(["--lang", language]), width, mask)
    return [line.plain for part in story(ran(name), reader) for line in part]


@pytest.mark.parametrize("name", ["tls", "impostor-verified"])
def test_no_service_is_known_by_an_odd_port(name: str) -> None:
    row = ran(name)  # on the relay's rung, where no server has its own port
    own = replace(row, endpoints=tuple(Endpoint("127.0.0.1", leg.service.port) for leg in row.scenario.legs))
    flows = {
        talk.flow: replace(talk.flow, server=own.endpoints[n]) for n in range(2) for talk in row.talks(n)
    }
    own = replace(
        own, conversations=tuple(replace(talk, flow=flows[talk.flow]) for talk in row.conversations)
    )
    reader = Reader(speak(["--lang", "en"]), 80)
    odd, usual = (" ".join(line.plain.strip() for line in still_visible(each, reader)) for each in (row, own))
    assert ("kind of service" in odd, "by the port, 465" in usual) == (False, True)
    assert f"port {row.endpoints[0].port})" in odd


def ran(name: str) -> Outcome:
    return outcomes.outcomes(str(Rung.RELAY))[name]


@LANGUAGES
@EVERY_ROW
@pytest.mark.parametrize("width", [NARROWEST, 50, 60, 80, 100])
def test_fits_the_screen_and_is_safe_to_print(name: str, language: str, width: int) -> None:
    lines = told(name, language, width)
    assert [line for line in lines if wcswidth(line) > width] == []
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", "".join(lines))


@LANGUAGES
@pytest.mark.parametrize("width", [NARROWEST, 50])
@pytest.mark.parametrize("name", ["plain", "apop", "impostor-unverified", "relay-plain"])
def test_a_narrow_screen_has_no_torn_box_and_cuts_nothing_that_leaked(
    name: str, width: int, language: str
) -> None:
    lines = told(name, language, width)
    boxes = [line for line in lines if line[0:1] in {*"╭│├╰"}]
    assert {wcswidth(line) for line in boxes} in (set(), {wcswidth(boxes[0]) if boxes else 0})
    spoken = " ".join(line.strip() for line in lines if not ON_THE_WIRE.search(line))
    passwords = {leak.value.reveal() for leak in ran(name).leaks if leak.field == "password"}
    titles = [ran(name).scenario.title, *(leg.tells for leg in ran(name).scenario.legs if leg.tells)]
    say = speak(["--lang", language])
    squeezed = re.sub(r"[\s─]", "", spoken)
    assert [word for word in passwords if word not in spoken] == []
    assert [title for title in titles if re.sub(r"\s", "", say(title)) not in squeezed] == []


@LANGUAGES
@EVERY_ROW
def test_the_title_is_whole_on_80_columns(name: str, language: str) -> None:
    assert "…" not in told(name, language)[0]


@LANGUAGES
def test_a_login_that_nobody_confirms_is_named_beside_those_that_are(language: str) -> None:
    reader = Reader(speak(["--lang", language]), 300, mask=False)
    verdict = Verdict(
        agreement=Agreement.AGREES, witness="tshark 4", beyond=("HTML FORM (HTTP)", "NTLM (SMTP)")
    )
    said = "".join(line.plain for line in ending.witness(ran("plain"), verdict, reader))
    assert all(word in said for word in ("tshark 4", "HTML FORM (HTTP)", "NTLM (SMTP)"))


@LANGUAGES
def test_a_witness_that_failed_says_nothing_against_the_listener(language: str) -> None:
    say = speak(["--lang", language])
    text = "The second witness failed: tshark does not start ({reason})."
    reason = Note(text=text, values=(("reason", N_("Permission denied")),))
    verdict = Verdict(agreement=Agreement.DISAGREES, failed=True, reason=reason)
    (said,) = ending.witness(ran("plain"), verdict, Reader(say, 200, mask=False))
    assert said.plain == f"✘ {say(text, reason=say('Permission denied'))}"
    assert (language == "en") == bool(ENGLISH.search(said.plain) or "Permission" in said.plain)


@EVERY_ROW
def test_is_in_one_language(name: str) -> None:
    def sentences(language: str) -> list[str]:
        return [
            line for line in told(name, language) if ENGLISH.search(line) and not ON_THE_WIRE.search(line)
        ]

    assert sentences("ja") == []
    assert sentences("en"), "the same search finds the English ones"


@EVERY_ROW
def test_draws_every_hop_and_tells_every_leg(name: str) -> None:
    lines, row = told(name), ran(name).scenario
    way = next(line for line in lines if "▶" in line or "◀" in line)
    assert way.count("▶") + way.count("◀") == len(row.hops)
    assert len([line for line in lines if line.startswith("── ")]) == len(row.legs)
    assert (Hop.RELAY in row.hops) == ("her server" in way)


@EVERY_ROW
def test_masks_every_password_and_digest(name: str) -> None:
    passwords = {person.password for person in cast.EVERYBODY}
    digests = {leak.value.reveal() for leak in ran(name).leaks if leak.field == "digest"}
    shown = "\n".join(told(name, mask=True))
    assert [secret for secret in passwords | digests if secret in shown] == []


def test_every_text_of_every_row_is_translated() -> None:
    say = speak(["--lang", "ja"])
    texts = [
        text
        for row in SCENARIOS
        for text in (row.title, row.countermeasure, row.why, row.protects, row.exposes, row.advice, row.point)
        + ((row.unguessed,) if row.unguessed else ())
    ]
    assert [text for text in texts if say(text) == text] == []


@EVERY_ROW
def test_the_rows_to_run_next_exist(name: str) -> None:
    names = {scenario.name for scenario in SCENARIOS}
    assert set(ran(name).scenario.next) <= names
