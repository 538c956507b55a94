"""The lab sheet for a class: its commands work as they stand there, in each language."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from typing import TYPE_CHECKING

import lessons
import peers
import pytest
from wheels import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SHEETS = ("docs/lab-sheet.md", "docs/ja/lab-sheet.md")


def parts(sheet: str) -> list[list[str]]:
    """Return the commands of each numbered part."""
    text = (ROOT / sheet).read_text(encoding="utf-8")
    return [
        [
            line
            for block in re.findall(r"```console\n(.*?)```", part, re.DOTALL)
            for line in block.splitlines()
        ]
        for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    ]


def words_of(command: str) -> list[str]:
    words = shlex.split(command)
    if words[0] == "make":
        return ["make", "--silent", "--directory", str(ROOT), *words[1:]]
    return [str(ROOT / words[0]) if words[0].startswith(".venv/") else words[0], *words[1:]]


def told_by(command: str, folder: Path) -> str:
    done = subprocess.run(
        words_of(command),
        cwd=folder,
        env=lessons.environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def test_both_sheets_have_the_same_parts() -> None:
    english, japanese = map(parts, SHEETS)
    assert english == japanese
    assert len(english) == 8  # the last has the answers, and no commands
    assert [bool(commands) for commands in english] == [True] * 7 + [False]
    for sheet in SHEETS:
        answers = (ROOT / sheet).read_text(encoding="utf-8").rpartition("\n## ")[2]
        assert re.findall(r"^(\d)\.", answers, re.MULTILINE) == list("1234567")


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 7])
def test_the_commands_work(number: int, tmp_path: Path) -> None:
    for command in parts(SHEETS[0])[number - 1]:
        assert told_by(command, tmp_path)


@pytest.mark.parametrize(
    ("security", "leaks"), [pytest.param("--plain", True, id="plain"), pytest.param("--tls", False, id="tls")]
)
def test_what_curl_says_to_the_servers_is_heard_beside_it(security: str, leaks: bool, tmp_path: Path) -> None:
    peers.find("curl")
    commands = parts(SHEETS[0])[6 - 1]
    at = next(place for place, command in enumerate(commands) if security in command)
    servers, client = commands[at : at + 2]
    with subprocess.Popen(
        words_of(servers),
        cwd=tmp_path,
        env=lessons.environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as program:
        assert program.stdout is not None
        try:
            settings = ""
            while "Ctrl-C" not in settings:
                line = program.stdout.readline()
                assert line, settings
                settings += line
            # Where somebody else has the port, the servers take another, and say which.
            port = re.search(r"POP3 +│ 127\.0\.0\.1 │ (\d+)", settings)
            assert port
            mail = told_by(re.sub(r":\d+/", f":{port[1]}/", client), tmp_path)
        finally:
            program.send_signal(signal.SIGINT)
        heard = program.stdout.read()
        assert program.wait(lessons.TIMEOUT) == 130
    assert "Subject:" in mail
    assert ("fujisan2023" in heard) == leaks
    assert ("TLS began" in heard) != leaks
