"""Reads each share of the largest capture by itself: how long would one wait with a processor for each?

The machine that measures may have fewer processors than the laptops that this speaks of.
"""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

from bench import captures, page, processes
from bench.rivals import DECODED, LOGINS
from mailtap.capture import shares
from mailtap.capture.share import Work

if TYPE_CHECKING:
    from pathlib import Path

    from bench.captures import Capture
    from bench.processes import Cost
    from bench.settings import Settings

_COUNTS = (2, 4, 8)
_HEADS = ("told, shares", "the whole", "the busiest", "times the whole", "all shares", "largest process")


def measure(settings: Settings) -> str:
    """Return the table as Markdown."""
    capture = captures.generate(settings.folder, settings.sizes[-1], settings.seed)
    answer = settings.folder.resolve() / "answer"
    rows = []
    for name in (LOGINS, DECODED):
        for count in _COUNTS:
            work = Work(str(capture.path.resolve()), 0, count, logins=name == LOGINS, lines=True)
            # The machine is not always as fast: the whole is heard before and after its shares.
            before, costs, after = _whole(work, answer), _costs(work, answer), _whole(work, answer)
            whole = mean((before, after))
            busiest = max(cost.processor for cost in costs)
            rows.append(
                (
                    f"{name.partition(', ')[2]}, {count}",
                    f"{whole:.2f} s",
                    f"{busiest:.2f} s",
                    f"{busiest / whole:.2f}",
                    f"{sum(cost.processor for cost in costs):.2f} s",
                    page.megabytes(max(cost.memory for cost in costs)),
                )
            )
    answer.unlink()
    return f"{_about(capture)}\n\n{page.table(_HEADS, rows)}"


def _whole(work: Work, answer: Path) -> float:
    """Hear all of a file as one share; return the processor time in seconds."""
    return _costs(work._replace(shares=1), answer)[0].processor


def _costs(work: Work, answer: Path) -> list[Cost]:
    """Hear each share of a file by itself, one after another; return what each cost."""
    costs = []
    for number in range(work.shares):
        costs.append(processes.run(shares.command(work._replace(number=number)), answer))
        if costs[-1].status:
            raise RuntimeError(f"Share {number} of {work.shares} ended with status {costs[-1].status}.")
    return costs


def _about(capture: Capture) -> str:
    """Return how this was measured."""
    return (
        f"The capture of {capture.megabytes} MB in shares, each by itself, one after another, and before and "
        "after them the whole as one share, in seconds of processor time, once each. With a processor for "
        "each, one waits for the busiest."
    )
