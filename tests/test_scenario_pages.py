"""The pages about the scenarios are current, and lead to every row."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mailtap.demo.scenarios import SCENARIOS, Hop
from mailtap.demo.shell import speak
from mailtap.demo.telling.handbook import handbook, objects

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = pytest.mark.parametrize(("language", "folder"), [("en", DOCS), ("ja", DOCS / "ja")], ids=["en", "ja"])
NAMES = [scenario.name for scenario in SCENARIOS]
# The lines of the article: how many countermeasures the tables tell for each risk, in its order.
LINES = [3, 5, 1, 1, 4, 1, 2, 1, 2, 1]


def table(page: Path) -> list[list[str]]:
    """Return the cells of a page's only table, without its heads."""
    lines = [line for line in page.read_text("utf-8").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@PAGES
def test_the_page_of_the_table_is_current(language: str, folder: Path) -> None:
    page = handbook(SCENARIOS, speak(["--lang", language]))
    assert (folder / "scenarios.md").read_text("utf-8") == page, "run: make pages"
    assert re.findall(r"^### `(.+)`$", page, re.MULTILINE) == NAMES


def test_the_list_is_there_for_programs_too() -> None:
    listed = [json.loads(line) for line in objects(SCENARIOS, speak([])).splitlines()]
    assert [each["scenario"] for each in listed] == NAMES
    assert listed[0]["expected"]["fetch"] == sorted(SCENARIOS[0].expected[Hop.FETCH])


@PAGES
def test_every_line_of_the_article_leads_to_a_scenario_or_says_why_not(language: str, folder: Path) -> None:
    rows = table(folder / "countermeasures.md")
    assert [row for row in rows if len(row) != 4 or not row[1] or not row[3]] == []
    starts = [number for number, row in enumerate(rows) if row[0]]
    counts = [end - start for start, end in zip(starts, [*starts[1:], len(rows)], strict=True)]
    assert len(counts) == len(LINES)
    assert all(count >= least for count, least in zip(counts, LINES, strict=True))


@PAGES
def test_names_only_scenarios_that_exist_and_every_one_of_them(language: str, folder: Path) -> None:
    named = {
        name
        for row in table(folder / "countermeasures.md")
        for cell in row
        for name in re.findall("`(.+?)`", cell)
    }
    assert named == set(NAMES), "docs/countermeasures.md and docs/ja/countermeasures.md name every row"


def test_both_languages_name_the_same_scenarios_for_the_same_lines() -> None:
    english, japanese = (table(folder / "countermeasures.md") for folder in (DOCS, DOCS / "ja"))
    assert [re.findall("`(.+?)`", row[2]) for row in english] == [
        re.findall("`(.+?)`", row[2]) for row in japanese
    ]
