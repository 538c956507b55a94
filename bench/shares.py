"""Reads each share of the largest capture by itself: how long would one wait with a processor for each?

The machine that measures may have fewer processors than the laptops that this speaks of.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from bench import captures, page, processes
from bench.race import race
from bench.rivals import CREDENTIALS, DECODED, FIELDS, LOGINS, RIVALS
from mailtap.capture.share import Work

if TYPE_CHECKING:
    from pathlib import Path

    from bench.captures import Capture
    from bench.processes import Cost
    from bench.settings import Settings

_COUNTS = (2, 4, 8)
_HEADS = (
    "told, shares",
    "the busiest",
    "times the whole",
    CREDENTIALS,
    FIELDS,
    "all shares",
    "largest process",
)
_MEGABYTE = 1_000_000


def measure(settings: Settings) -> str:
    """Return the table as Markdown."""
    capture = captures.generate(settings.folder, settings.sizes[-1], settings.seed)
    rivals = [rival for rival in RIVALS if rival.name in (LOGINS, DECODED, CREDENTIALS, FIELDS)]
    whole = {result.rival.name: result.seconds for result in race(capture, settings, rivals)}
    rows = []
    for name in (LOGINS, DECODED):
        for count in _COUNTS:
            work = Work(str(capture.path.resolve()), 0, count, logins=name == LOGINS, lines=True)
            costs = _shares(work, settings.folder / "answer")
            busiest = max(cost.processor for cost in costs)
            tshark = [whole[tool] / busiest if tool in whole else None for tool in (CREDENTIALS, FIELDS)]
            rows.append(
                (
                    f"{name.partition(', ')[2]}, {count}",
                    f"{busiest:.2f} s",
                    f"{busiest / whole[name]:.2f}",
                    *("" if ratio is None else f"{ratio:.2f}" for ratio in tshark),
                    f"{sum(cost.processor for cost in costs):.2f} s",
                    f"{max(cost.memory for cost in costs) / _MEGABYTE:,.0f} MB",
                )
            )
    return f"{_about(capture)}\n\n{page.table(_HEADS, rows)}"


def _shares(work: Work, answer: Path) -> list[Cost]:
    """Hear each share of a file by itself, one after another; return what each cost."""
    costs = []
    for number in range(work.shares):
        told = json.dumps(work._replace(number=number)._asdict())
        command = [sys.executable, "-P", "-m", "mailtap.capture.shares", told]
        costs.append(processes.run(command, answer.resolve()))
        if costs[-1].status:
            raise RuntimeError(f"Share {number} of {work.shares} ended with status {costs[-1].status}.")
    answer.unlink()
    return costs


def _about(capture: Capture) -> str:
    """Return how this was measured."""
    return (
        f"The capture of {capture.megabytes} MB, each share by itself, one after another, in seconds of "
        "processor time. *Times the whole* compares the busiest with one process that hears all; under "
        "tshark's names stands how many times as long as the busiest it takes itself, in the same run."
    )
