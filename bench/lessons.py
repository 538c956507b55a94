"""Times each lesson as a whole process, in turn with a process that only imports the same libraries."""

from __future__ import annotations

import sys
from statistics import median
from typing import TYPE_CHECKING, Final

from bench import page, processes

if TYPE_CHECKING:
    from pathlib import Path

    from bench.settings import Settings

_LESSONS: Final = ("plain", "apop", "tls")
_PAIRS: Final = 7  # for each round
_LIBRARIES: Final = (
    "aiosmtpd.smtp", "scapy.arch.linux", "scapy.config", "scapy.layers.l2", "rich.console", "tabulate",
    "trustme", "asyncio", "email.mime.multipart", "gettext", "poplib", "smtplib", "ssl",
)  # fmt: skip

_ABOUT: Final = f"""\
Whole warm processes, `mailtap demo … --no-witness` in turn with a process that only imports the libraries
that a lesson uses ({", ".join(f"`{name}`" for name in _LIBRARIES)}). The ratio is the median of those of the
pairs."""


def measure(settings: Settings) -> str:
    """Return the table as Markdown."""
    heads = ("lesson", "seconds", "only importing", "ratio")
    rows = [_row(lesson, settings) for lesson in _LESSONS]
    return f"{_ABOUT}\n\n{page.table(heads, rows)}"


def _row(lesson: str, settings: Settings) -> tuple[str, ...]:
    answer = settings.folder.absolute() / "lesson"
    pairs = [(_lesson(lesson, answer), _imports(answer)) for _ in range(_PAIRS * settings.rounds)]
    told, imported = (median(times) for times in zip(*pairs, strict=True))
    ratio = median(one / other for one, other in pairs)
    return f"`{lesson}`", f"{told:.2f}", f"{imported:.2f}", f"{ratio:.2f}"


def _lesson(lesson: str, answer: Path) -> float:
    command = (sys.executable, "-m", "mailtap.demo", lesson, "--no-witness", "--lang", "en")
    return _time(command, answer)


def _imports(answer: Path) -> float:
    return _time((sys.executable, "-c", f"import {', '.join(_LIBRARIES)}"), answer)


def _time(command: tuple[str, ...], answer: Path) -> float:
    cost = processes.run(command, answer)
    if cost.status:
        raise SystemExit(f"{' '.join(command)} ended with {cost.status}.")
    return cost.seconds
