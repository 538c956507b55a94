"""The commands that documents show, run as they stand there."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from typing import TYPE_CHECKING

import lessons
from wheels import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def shown_in(text: str) -> list[str]:
    """Return the commands in the blocks of a document in Markdown, without their comments."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]


def told_by(command: str, folder: Path) -> str:
    """Run a command in a folder to its end, and return what it told."""
    done = subprocess.run(
        _words(command),
        cwd=folder,
        env=lessons.environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def served(command: str, folder: Path, visit: Callable[[str], object] = len) -> tuple[int, str]:
    """Start servers, visit them, and interrupt them.

    Args:
        command: what starts them.
        folder: where they run.
        visit: is given what they say up to that they run.

    Returns:
        Their exit code, and what they said after that.
    """
    with subprocess.Popen(
        _words(command),
        cwd=folder,
        env=lessons.environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as program:
        try:
            visit(read_until(program, "Ctrl-C"))
        finally:
            program.send_signal(signal.SIGINT)
        assert program.stdout is not None
        told = program.stdout.read()
        return program.wait(lessons.TIMEOUT), told


def read_until(program: subprocess.Popen[str], text: str) -> str:
    """Return what a program prints, up to the end of the line with a text in it."""
    assert program.stdout is not None
    said = ""
    while text not in said:
        line = program.stdout.readline()
        assert line, said
        said += line
    return said


def _words(command: str) -> list[str]:
    words = shlex.split(command)
    if words[0] == "make":
        return ["make", "--silent", "--directory", str(ROOT), *words[1:]]
    return [str(ROOT / words[0]) if words[0].startswith(".venv/") else words[0], *words[1:]]
