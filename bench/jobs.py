"""Reads the largest capture with one process, with several, and with tshark: how long does one wait?"""

from __future__ import annotations

import platform
from statistics import median
from typing import TYPE_CHECKING

from bench import captures, page
from bench.race import found_cells, found_heads, race, ratio
from bench.rivals import CREDENTIALS, FIELDS, RIVALS, sharing
from mailtap.capture.guessers import processors

if TYPE_CHECKING:
    from bench.settings import Settings


def measure(settings: Settings) -> str:
    """Return the table as Markdown."""
    capture = captures.generate(settings.folder, settings.sizes[-1], settings.seed)
    jobs = [count for count in (1, 2, 4, 8, 16) if count <= max(processors(), 2)]
    mailtap = [rival for both in zip(*map(sharing, jobs), strict=True) for rival in both]
    tshark = [rival for rival in RIVALS if rival.name in (CREDENTIALS, FIELDS)]
    results = race(capture, settings, [*mailtap, *tshark])
    heads = (
        "tool", "seconds", "times that of the first", "processor time", "largest process",
        *found_heads(capture),
    )  # fmt: skip
    rows = [
        (
            result.rival.name,
            f"{median(cost.seconds for cost in result.costs):.2f} s",
            f"{ratio(result.costs, results[0].costs, lambda cost: cost.seconds):.2f}",
            f"{result.seconds:.2f} s",
            page.megabytes(result.memory),
            *found_cells(result.found, capture),
        )
        for result in results
    ]
    return f"{_about(settings)}\n\n{page.table(heads, rows)}"


def _about(settings: Settings) -> str:
    """Return where this was measured."""
    return (
        f"The capture of {settings.sizes[-1]} MB, Python {platform.python_version()} on {platform.system()} "
        f"{platform.machine()} with {processors()} processors, nothing else at work; seconds from start to "
        f"end, medians of {settings.rounds} rounds."
    )
