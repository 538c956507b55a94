"""The lab sheet for a class: its commands work as they stand there, in each language."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import commands
import peers
import pytest
from wheels import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SHEETS = ("docs/lab-sheet.md", "docs/ja/lab-sheet.md")


def parts(sheet: str) -> list[list[str]]:
    """Return the commands of each numbered part."""
    text = (ROOT / sheet).read_text(encoding="utf-8")
    return [commands.shown_in(part) for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]]


def test_both_sheets_have_the_same_parts() -> None:
    english, japanese = map(parts, SHEETS)
    assert english == japanese
    assert len(english) == 8  # the last has the answers, and no commands
    assert [bool(shown) for shown in english] == [True] * 7 + [False]
    for sheet in SHEETS:
        answers = (ROOT / sheet).read_text(encoding="utf-8").rpartition("\n## ")[2]
        assert re.findall(r"^(\d)\.", answers, re.MULTILINE) == list("1234567")


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 7])
def test_the_commands_work(number: int, tmp_path: Path) -> None:
    for command in parts(SHEETS[0])[number - 1]:
        assert commands.told_by(command, tmp_path)


@pytest.mark.parametrize(
    ("security", "leaks"), [pytest.param("--plain", True, id="plain"), pytest.param("--tls", False, id="tls")]
)
def test_what_curl_says_to_the_servers_is_heard_beside_it(security: str, leaks: bool, tmp_path: Path) -> None:
    peers.find("curl")
    shown = parts(SHEETS[0])[6 - 1]
    at = next(place for place, command in enumerate(shown) if security in command)
    servers, client = shown[at : at + 2]
    mail = ""

    def fetch(settings: str) -> None:
        nonlocal mail
        # Where somebody else has the port, the servers take another, and say which.
        port = re.search(r"POP3 +│ 127\.0\.0\.1 │ (\d+)", settings)
        assert port
        mail = commands.told_by(re.sub(r":\d+/", f":{port[1]}/", client), tmp_path)

    code, heard = commands.served(servers, tmp_path, fetch)
    assert code == 130
    assert "Subject:" in mail
    assert ("fujisan2023" in heard) == leaks
    assert ("TLS began" in heard) != leaks
