"""The matrix: one line for each row, whole on a projector, marked where the wire and the row disagree."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import browser
import lessons
import outcomes
import pytest
from wcwidth import wcswidth

from mailtap.capture.model import Field
from mailtap.capture.report import FIELDS
from mailtap.capture.witness import Agreement, Note, Verdict
from mailtap.demo.network.rungs import Rung
from mailtap.demo.scenarios import BY_NAME, SCENARIOS, Hop
from mailtap.demo.shell import NARROWEST, speak
from mailtap.demo.telling import matrix, sheets
from mailtap.demo.telling.reader import Reader

if TYPE_CHECKING:
    from pathlib import Path

    from mailtap.demo.outcome import Outcome

NAMES = [scenario.name for scenario in SCENARIOS]
LANGUAGES = pytest.mark.parametrize("language", ["en", "ja"])
SILENT = Verdict(agreement=Agreement.ABSENT)


def reader(language: str = "en", width: int = 80) -> Reader:
    return Reader(speak(["--lang", language]), width)


def runs(**changed: Outcome) -> list[tuple[Outcome, Verdict]]:
    """Return the run of every row, some of them replaced."""
    heard = outcomes.outcomes(str(Rung.RELAY))
    return [(changed.get(name, heard[name]), SILENT) for name in NAMES]


def heard(name: str, **changes: object) -> Outcome:
    return dataclasses.replace(outcomes.outcomes(str(Rung.RELAY))[name], **changes)


def lines(language: str = "en", width: int = 80, **changed: Outcome) -> list[list[str]]:
    return [[line.plain for line in part] for part in sheets.text(runs(**changed), reader(language, width))]


@LANGUAGES
@pytest.mark.parametrize("width", [60, 76, 80, 120])
def test_each_part_fits_a_projector_and_has_its_own_heads(width: int, language: str) -> None:
    parts = lines(language, width)
    assert [line for part in parts for line in part if wcswidth(line) > width] == []
    assert [part for part in parts if len(part) > 24] == []
    shown = [line.split()[0] for part in parts for line in part if line.split() and line.split()[0] in NAMES]
    assert shown == NAMES


@LANGUAGES
@pytest.mark.parametrize("width", [60, 76, 80, 120])
def test_the_columns_stand_under_their_heads(width: int, language: str) -> None:
    for part in lines(language, width)[:-1]:
        rows = [line for line in part if "·" in line]
        assert len(rows) == len([line for line in part if line.split() and line.split()[0] in NAMES])
        starts = [{wcswidth(row[: cell.start()]) for cell in re.finditer(r"\S+", row)} for row in rows]
        assert all(each == starts[0] for each in starts)


@LANGUAGES
def test_on_a_narrow_screen_each_row_names_what_leaked(language: str) -> None:
    parts = lines(language, NARROWEST)
    told = [line for part in parts for line in part]
    assert [line for line in told if wcswidth(line) > NARROWEST] == []
    assert [line for line in told if line in NAMES] == NAMES
    say = speak(["--lang", language])
    assert told[told.index("tls") + 1] == f"  {say('server name')} SF"
    assert told[told.index("apop") + 1].startswith(f"  {say('user name')} SF{say(', ').rstrip()}")


def test_the_cells_are_what_was_heard_and_not_what_was_expected() -> None:
    row = heard(
        "tls",
        leaks=heard("plain").leaks,
        endpoints=heard("plain").endpoints,
        conversations=heard("plain").conversations,
    )
    (line,) = next(each for _, each in matrix.groups([row], reader().say))
    cells = dict(zip([*matrix.COLUMNS, "attack"], line.cells, strict=True))
    assert cells[Field.PASSWORD] == matrix.Cell("S!F!", matrix.State.WRONG)
    assert cells[Field.SERVER_NAME] == matrix.Cell("!", matrix.State.WRONG)
    assert cells[Field.DIGEST] == matrix.Cell("·", matrix.State.QUIET)


@pytest.mark.parametrize(
    ("expected", "got", "text", "state"),
    [
        pytest.param({}, {}, "·", "quiet", id="nobody in the path"),
        pytest.param(
            {Hop.FETCH: {Field.PASSWORD}}, {Hop.FETCH: {Field.PASSWORD}}, "F", "leak", id="he got it"
        ),
        pytest.param({}, {Hop.SUBMIT: set()}, "-", "quiet", id="he got nothing, as expected"),
        pytest.param({}, {Hop.SUBMIT: {Field.BODY}}, "S!", "wrong", id="he got more than expected"),
        pytest.param({Hop.SUBMIT: {Field.BODY}}, {Hop.SUBMIT: set()}, "-!", "wrong", id="he got less"),
    ],
)
def test_an_active_attack_is_told_by_what_was_got(
    expected: dict[Hop, set[Field]], got: dict[Hop, set[Field]], text: str, state: str
) -> None:
    row = dataclasses.replace(BY_NAME["plain"], loot=expected)
    outcome = heard("plain", scenario=row, loot=got)
    (line,) = next(each for _, each in matrix.groups([outcome], reader().say))
    assert line.cells[-1] == matrix.Cell(text, matrix.State(state))
    assert outcome.ok == (state != "wrong")


def cells_of(outcome: Outcome) -> dict[str, matrix.Cell]:
    (line,) = next(each for _, each in matrix.groups([outcome], reader().say))
    return dict(zip([*matrix.COLUMNS, "attack"], line.cells, strict=True))


@pytest.mark.parametrize(
    ("name", "password", "server"),
    [
        pytest.param("impostor-unverified", ("sf", "stolen"), ("SF", "metadata"), id="only he read it"),
        pytest.param("impostor-verified", ("·", "quiet"), ("SF", "metadata"), id="he read nothing"),
        pytest.param("stripped-opportunistic", ("SF", "leak"), ("·", "quiet"), id="the wire had it, too"),
        pytest.param("tls", ("·", "quiet"), ("SF", "metadata"), id="nobody in the path"),
    ],
)
def test_what_only_the_attacker_read_has_a_mark_of_its_own(
    name: str, password: tuple[str, str], server: tuple[str, str]
) -> None:
    cells = cells_of(heard(name))
    for field in (Field.PASSWORD, Field.BODY):
        assert cells[field] == matrix.Cell(password[0], matrix.State(password[1]))
    assert cells[Field.SERVER_NAME] == matrix.Cell(server[0], matrix.State(server[1]))


def test_every_state_has_a_look_in_the_terminal_and_on_the_page() -> None:
    page = sheets.html(runs(), reader())
    assert {*sheets.STYLES} == {*matrix.State}
    assert [state for state in matrix.State if f".{state} {{" not in page] == []
    assert '<td class="stolen">sf</td>' in page


@pytest.mark.parametrize("show", [sheets.github, sheets.html], ids=["github", "html"])
@LANGUAGES
def test_every_format_explains_the_small_letters(show: object, language: str) -> None:
    assert matrix.stolen_legend([*Hop], reader(language).say) in show(runs(), reader(language))


@LANGUAGES
def test_every_format_calls_a_name_what_all_else_calls_it(language: str) -> None:
    say = reader(language).say
    whole, short = (
        ["".join(re.split(r"-?\n| ", head)) for head in matrix.heads(say, short=short)]
        for short in (False, True)
    )
    for field in (Field.USERNAME, Field.PASSWORD, Field.SERVER_NAME):
        name = say(FIELDS[field])
        assert name.replace(" ", "") in whole
        assert name.replace(" ", "") in short
        assert name in sheets.github(runs(), reader(language))


def test_the_legend_says_why_there_are_two_dashes() -> None:
    assert sheets.github(runs(), reader()).count(" -- ") >= 2  # two attacks that got nothing
    assert "one dash for each attack" in matrix.legend(reader().say)


def test_github_has_a_line_for_each_row() -> None:
    page = sheets.github(runs(), reader())
    table = [line for line in page.splitlines() if line.startswith("|")]
    assert [line.split("|")[2].strip() for line in table[2:]] == NAMES
    assert len({line.count("|") for line in table}) == 1


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.opened.append(tag)


@LANGUAGES
def test_the_page_escapes_what_is_not_its_own(language: str) -> None:
    evil = "<script>alert(1)</script>"
    row = dataclasses.replace(BY_NAME["tls"], title=evil)
    page = sheets.html(runs(tls=heard("tls", scenario=row, failures=(evil,))), reader(language))
    tags = Tags()
    tags.feed(page)
    assert "script" not in tags.opened
    assert evil not in page
    assert "&lt;script&gt;" in page
    assert f'<html lang="{language}">' in page
    assert tags.opened.count("td") == len(NAMES) * (len(matrix.COLUMNS) + 1)


LAYOUT = """(() => {
  view.scrollTo(10_000, 0);
  const cell = page.querySelector("td.leak"), name = page.querySelector("tbody th[scope=row]");
  const look = each => view.getComputedStyle(each);
  return {
    beyond: page.documentElement.scrollWidth - page.documentElement.clientWidth,
    scrolled: view.scrollX,
    names_at: name.getBoundingClientRect().left,
    colours_in_print: look(cell).printColorAdjust,
    a_row_on_two_sheets: look(cell.parentElement).breakInside,
  };
})()"""


@LANGUAGES
def test_the_page_fits_a_projector_a_phone_and_paper(language: str, tmp_path: Path) -> None:
    page = sheets.html(runs(), reader(language))
    projected = browser.ask(page, LAYOUT, width=1024, folder=tmp_path)
    assert projected["beyond"] == 0
    # White letters on a ground that browsers do not print would be no letters at all.
    assert (projected["colours_in_print"], projected["a_row_on_two_sheets"]) == ("exact", "avoid")
    held = browser.ask(page, LAYOUT, width=390, folder=tmp_path)
    assert held["scrolled"] > 0
    assert held["names_at"] >= 0, "the scenarios' names stay where the rest is moved away"


@pytest.mark.parametrize("show", [sheets.github, sheets.html], ids=["github", "html"])
def test_what_went_wrong_is_told_in_every_format(show: object) -> None:
    good = show(runs(), reader())
    assert "NOT AS EXPECTED" not in good
    bad = show(runs(tls=heard("tls", dropped=3)), reader())
    assert "NOT AS EXPECTED" in bad
    assert "dropped 3 packets" in bad


def test_a_witness_that_disagrees_is_told() -> None:
    doubts = Verdict(agreement=Agreement.DISAGREES, reason=Note(text="it heard more"))
    told = sheets.wrong([(heard("tls"), doubts)], reader())
    assert any("it heard more" in line.plain for line in told)


TROUBLE = """
import os
from mailtap.demo import stage
run = stage.run
def troubled(scenario, *rest):
    if scenario.name == "apop":
        {trouble}
    return run(scenario, *rest)
stage.run = troubled
"""


@pytest.mark.parametrize(
    ("rung", "trouble", "complaint"),
    [
        pytest.param(
            "private-network", "raise RuntimeError('it is on fire')", "it is on fire", id="side by side"
        ),
        pytest.param(
            "relay",
            "from mailtap.servers import PortTaken; raise PortTaken('127.0.0.1', 110, None)",
            "Port 110",
            id="one after the other",
        ),
    ],
)
def test_one_failing_row_does_not_stop_the_others(
    working_rungs: dict[str, str], rung: str, trouble: str, complaint: str
) -> None:
    if working_rungs[rung]:
        pytest.skip(f"{rung} does not work here: {working_rungs[rung]}")
    told = lessons.tell_with(
        TROUBLE.format(trouble=trouble), "matrix", "--json", "--no-witness", "--rung", rung
    )
    assert told.code == 1
    assert [summary["scenario"] for summary in told.objects] == NAMES
    (bad,) = [summary for summary in told.objects if not summary["ok"]]
    assert bad["scenario"] == "apop"
    assert complaint in bad["problems"][0]
    assert bad["leaked"] == {}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="a process may use all processors here")
def test_no_more_processes_than_processors_that_may_be_used(working_rungs: dict[str, str]) -> None:
    if working_rungs["private-network"]:
        pytest.skip(f"no private network here: {working_rungs['private-network']}")
    counted = """
import os, sys
os.cpu_count = lambda: 1_000
from mailtap.demo.crew import Crew
hire = Crew._hire
def counted(self):
    print("one more", file=sys.stderr)
    hire(self)
Crew._hire = counted
"""
    told = lessons.tell_with(counted, "matrix", "--json", "--no-witness", "--rung", "private-network")
    assert len(told.summaries) == len(NAMES)
    assert told.err.count("one more") == min(len(NAMES), max(2, len(os.sched_getaffinity(0))))


def test_a_process_that_dies_takes_one_row_with_it_and_leaves_nothing(
    working_rungs: dict[str, str], tmp_path: Path
) -> None:
    if working_rungs["private-network"]:
        pytest.skip(f"no private network here: {working_rungs['private-network']}")
    trouble = TROUBLE.format(trouble="stage.Journey.travel = lambda *_: os._exit(9)")
    told = lessons.tell_with(trouble, "matrix", "--no-witness", TMPDIR=str(tmp_path))
    assert told.code == 1
    assert "has died" in told.out
    assert told.out.count("NOT AS EXPECTED") == 1
    assert list(tmp_path.iterdir()) == []


def test_json_is_one_summary_for_each_row_in_their_order() -> None:
    for arguments in (["--json"], ["--format", "json"]):
        told = lessons.tell("matrix", "--no-witness", *arguments)
        assert (told.code, told.complaints) == (0, "")
        assert [json.loads(line)["scenario"] for line in told.out.splitlines()] == NAMES


def test_no_progress_is_shown_where_there_is_no_terminal() -> None:
    told = lessons.tell("matrix", "--no-witness", "--format", "github")
    assert (told.code, told.complaints) == (0, "")
