"""The command `mailtap demo doctor`: shows what this machine can do, and what is missing."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from mailtap.demo import shell
from mailtap.demo.doctor import diagnose
from mailtap.demo.shell import Exit
from mailtap.demo.telling.reader import Reader

if TYPE_CHECKING:
    from argparse import Namespace

    from rich.console import Console

    from mailtap.capture.language import Say
    from mailtap.demo.doctor import Diagnosis


_INDENT: Final = "     "


def main(options: Namespace, say: Say) -> int:
    """Examine this machine, print what was found, and return the exit code: 3 where no rung works."""
    diagnosis = diagnose()
    console = shell.console()
    if options.json:
        console.print(json.dumps(asdict(diagnosis), ensure_ascii=False, default=str), soft_wrap=True)
    else:
        _tell(diagnosis, console, Reader(say, console.width))
    return Exit.DONE if diagnosis.chosen else Exit.CANNOT_LISTEN


def _tell(diagnosis: Diagnosis, console: Console, reader: Reader) -> None:
    say = reader.say
    _wrapped(console, reader, f"{diagnosis.system}; Python {diagnosis.python}")
    console.print()
    _wrapped(console, reader, say("Where the demo can run, best first; each was tried for real:"))
    for probe in diagnosis.probes:
        chosen = probe.rung == diagnosis.chosen
        sign = "▶" if chosen else "✔" if probe.works else "✘"
        used = say(" (will be used)") if chosen else ""
        console.print(f" {sign} {probe.rung}{used}", style="bold green" if chosen else "")
        _wrapped(console, reader, say(probe.reason), hang=_INDENT)
        if not probe.works:
            _wrapped(console, reader, say(probe.mend), hang=_INDENT)
            _wrapped(console, reader, probe.detail, hang=_INDENT)
    console.print()
    _wrapped(console, reader, say("Programs that help, none of them needed:"))
    for tool in diagnosis.tools:
        found = str(tool.path) if tool.path else say("not found")
        sign = "✔" if tool.path else "✘"
        _wrapped(console, reader, f"{tool.name}: {say(tool.purpose)} ({found})", hang=f" {sign} ")
        if not tool.path and tool.install:
            _wrapped(console, reader, tool.install, hang=_INDENT)


def _wrapped(console: Console, reader: Reader, text: str, *, hang: str = "") -> None:
    for line in reader.wrapped(text, hang=hang):
        console.print(line, soft_wrap=True)
