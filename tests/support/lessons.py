"""Runs `mailtap demo` as a user does, in a process of its own, and reads what it printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

# Remarks that say nothing against a run: another program may hold the port.
_REMARKS = re.compile(
    r"The program stays root: [^.]*\.|Port \d+ on \S+ is taken by .*? This run goes on with another port\."
)

TIMEOUT = 60.0  # seconds; a bound for a stuck lesson, not a wait

# What decides where and how the demo speaks must not come from whoever runs the tests.
_FOREIGN = {"LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"}
_FOREIGN |= {"MAKEFLAGS", "MAKELEVEL", "ARGS"}  # a test may run make, under a `make test ARGS=…`


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment, without what would change the demo's language or look."""
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    return {**kept, "LANG": "C.UTF-8", **changes}


def complaints(aside: str) -> str:
    """Return what was said aside, wherever its lines break, but for remarks that say nothing against the run."""
    return _REMARKS.sub("", " ".join(aside.split())).strip()


@dataclass(frozen=True)
class Told:
    """What a run of `mailtap demo` told."""

    code: int
    out: str
    err: str

    @cached_property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def complaints(self) -> str:
        return complaints(self.err)

    @property
    def summaries(self) -> list[dict[str, Any]]:
        return [each for each in self.objects if "ok" in each]

    @property
    def leaks(self) -> list[dict[str, Any]]:
        return [each for each in self.objects if each.get("field")]


def tell(*arguments: str | Path, **changes: str) -> Told:
    """Run `mailtap demo` with these arguments and return what it told."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "mailtap.demo", *map(str, arguments)],
        capture_output=True,
        env=environment(**changes),
        timeout=TIMEOUT,
        check=False,
    )
    return Told(done.returncode, done.stdout.decode(), done.stderr.decode())


told = cache(tell)
"""The same as `tell`, and the same run for all tests of one process that only read what it told."""


def tell_with(program: str, *arguments: str | Path, **changes: str) -> Told:
    """Run a lesson after a few lines of Python that change something first, in a changed environment."""
    code = f"{program}\nimport sys\nfrom mailtap.demo.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        env=environment(**changes),
        timeout=TIMEOUT,
        check=False,
    )
    return Told(done.returncode, done.stdout.decode(), done.stderr.decode())
