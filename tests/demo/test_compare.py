"""Two rows beside each other: what each gave away at each step, on one screen."""

from __future__ import annotations

import re
from itertools import combinations

import lessons
import outcomes
import pytest
from wcwidth import wcswidth

from mailtap.capture.witness import Agreement, Verdict
from mailtap.demo import cast
from mailtap.demo.network.rungs import Rung
from mailtap.demo.scenarios import SCENARIOS
from mailtap.demo.shell import NARROWEST, speak
from mailtap.demo.telling.comparison import comparison
from mailtap.demo.telling.reader import Reader

NAMES = [scenario.name for scenario in SCENARIOS]
SILENT = Verdict(agreement=Agreement.ABSENT)
LANGUAGES = pytest.mark.parametrize("language", ["en", "ja"])


def told(one: str, other: str, language: str = "en", width: int = 80, *, mask: bool = False) -> list[str]:
    ran = outcomes.outcomes(str(Rung.RELAY))
    reader = Reader(speak(["--lang", language]), width, mask)
    return [
        line.plain
        for part in comparison([(ran[name], SILENT) for name in (one, other)], reader)
        for line in part
    ]


def sides(lines: list[str], label: str) -> list[tuple[str, str]]:
    """Return the two sides of every line with a label."""
    return [
        (left[len(label) :].strip(), right.strip())
        for left, right in (line.split("│") for line in lines)
        if left.startswith(f"{label} ")
    ]


@LANGUAGES
@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_pair_fits_with_its_middle_in_one_column(language: str, width: int) -> None:
    for one, other in combinations(NAMES, 2):
        lines = told(one, other, language, width)
        assert [line for line in lines if wcswidth(line) > width] == []
        assert len({wcswidth(line[: line.index("│")]) for line in lines}) == 1
        assert not re.search(r"[\x00-\x1f\x7f]", "".join(lines))


@LANGUAGES
def test_on_a_narrow_screen_the_two_stand_under_each_other(language: str) -> None:
    for one, other in combinations(NAMES, 2):
        lines = told(one, other, language, NARROWEST)
        assert [line for line in lines if wcswidth(line) > NARROWEST] == []
        assert {line[0] for line in lines if "│" in line} == {"A", "B"}
    lines = told("plain", "tls", language, NARROWEST)
    at = lines.index("A │ PASS fujisan2023")
    assert lines[at + 1].startswith("B │ 17 03 03 ")


@LANGUAGES
@pytest.mark.parametrize("other", ["tls", "impostor-unverified"])
def test_the_trainers_screen_fits_a_projector(other: str, language: str) -> None:
    assert len(told("plain", other, language)) <= 23  # and the prompt


def test_says_what_each_gave_away_at_each_step() -> None:
    lines = told("plain", "tls")
    assert sides(lines, "login") == [("hanako, sakura2024", "·"), ("taro, fujisan2023", "·")]
    assert sides(lines, "server name") == [("·", "mail.lab.example")] * 2
    assert sides(lines, "recipient") == [("taro@lab.example", "·")] * 2
    (first, second) = sides(lines, "on the wire")
    assert first[0].startswith("AUTH PLAIN AGhhbmFrb")
    assert second[0] == "PASS fujisan2023"
    assert first[1].startswith("17 03 03 ")
    assert second[1].startswith("17 03 03 ")


def test_names_what_was_guessed_and_a_hop_that_only_one_has() -> None:
    lines = told("apop", "relay-plain", width=120)
    assert all("(guessed)" in left for left, _ in sides(lines, "login"))
    assert sides(lines, "2. relaying")[0][0] == "not on this way"


def test_marks_what_only_the_attacker_read_and_says_what_the_mark_means() -> None:
    lines = told("plain", "impostor-unverified", width=120)
    assert [right for _, right in sides(lines, "login")] == ["s hanako, sakura2024", "f taro, fujisan2023"]
    assert [right for _, right in sides(lines, "recipient")] == ["s taro@lab.example", "f taro@lab.example"]
    assert sides(lines, "server name") == [("·", "mail.lab.example")] * 2
    assert any("s, f: unreadable on the wire" in line for line in lines)
    assert not any("s, f: unreadable on the wire" in line for line in told("plain", "tls", width=120))


def test_a_stolen_password_is_masked() -> None:
    masked = "\n".join(told("plain", "impostor-unverified", width=120, mask=True))
    assert "s hanako, ********" in masked
    assert not any(person.password in masked for person in cast.EVERYBODY)


@pytest.mark.parametrize("pair", [*combinations(NAMES[::3], 2)], ids=" ".join)
def test_masks_every_password_and_digest(pair: tuple[str, str]) -> None:
    ran = outcomes.outcomes(str(Rung.RELAY))
    digests = {leak.value.reveal()[:8] for name in pair for leak in ran[name].leaks if leak.field == "digest"}
    secrets = digests | {person.password for person in cast.EVERYBODY} | {"AGhhbmFrb", "c2FrdXJhMjAyNA"}
    assert [secret for secret in secrets if secret in "\n".join(told(*pair, width=120, mask=True))] == []


def test_runs_the_two_and_nothing_else() -> None:
    ran = lessons.tell("compare", "--json", "--no-witness", "tls", "plain")
    assert (ran.code, ran.complaints) == (0, "")
    assert [summary["scenario"] for summary in ran.objects] == ["tls", "plain"]
    shown = lessons.tell("compare", "plain", "tls", "--no-witness", "--lang", "ja")
    assert shown.code == 0
    assert "通信路" in shown.out


WRONG = """
import dataclasses
from mailtap.demo import stage
run = stage.run
stage.run = lambda scenario, *rest: dataclasses.replace(run(scenario, *rest), dropped=3)
"""


def test_a_run_that_is_no_evidence_fails() -> None:
    ran = lessons.tell_with(WRONG, "compare", "plain", "tls", "--no-witness")
    assert ran.code == 1
    assert ran.out.count("NOT AS EXPECTED") == 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param(["compare"], "two different scenarios", id="none"),
        pytest.param(["compare", "plain"], "two different scenarios", id="one"),
        pytest.param(["compare", "plain", "plain"], "two different scenarios", id="the same twice"),
        pytest.param(["compare", "plain", "tls", "apop"], "two different scenarios", id="three"),
        pytest.param(["compare", "plain", "telepathy"], "'telepathy'", id="one that does not exist"),
        pytest.param(["plain", "tls"], "only compare", id="two without compare"),
        pytest.param(
            ["compare", "plain", "tls", "--format", "html"], "as html, but as text, json", id="as a page"
        ),
        pytest.param(
            ["plain", "--format", "github"], "as github, but as text, json", id="a story as a table"
        ),
        pytest.param(
            ["list", "--format", "html"], "as html, but as text, github, json", id="a list as a page"
        ),
        pytest.param([], "mailtap demo list", id="nothing"),
        pytest.param(["--json"], "mailtap demo list", id="nothing but an option"),
    ],
)
def test_says_what_is_wrong_with_a_command_line(arguments: list[str], complaint: str) -> None:
    ran = lessons.tell(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert complaint in ran.err
