"""Reads the same capture files with Mailtap and with other tools, in turn, and compares."""

from __future__ import annotations

import platform
import shutil
import sys
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench import captures, chart, page, processes, wire
from bench.rivals import RIVALS, Found, Rival

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.captures import Capture
    from bench.processes import Cost
    from bench.settings import Settings

_LOOPBACK_SIZE = 50
_MEGABYTE = 1_000_000
_SLOW = 30.0  # seconds; what takes longer runs once


class Result(NamedTuple):
    """How one program did on one capture.

    Attributes:
        rival: the program.
        costs: what each run cost.
        ratio: its time as a multiple of the first program's, the median of runs side by side.
        found: what it found.
    """

    rival: Rival
    costs: list[Cost]
    ratio: float
    found: Found

    @property
    def seconds(self) -> float:
        """The median processor time."""
        return median(cost.processor for cost in self.costs)

    @property
    def memory(self) -> int:
        """The most memory of all runs, in bytes."""
        return max(cost.memory for cost in self.costs)


def measure(settings: Settings) -> str:
    """Return the tables of all captures as Markdown, and draw the plot beside the document."""
    parts, points = [_machine(settings.rounds)], []
    for megabytes in settings.sizes:
        capture = captures.generate(settings.folder, megabytes, settings.seed)
        results = race(capture, settings)
        points += [(megabytes, result) for result in results]
        parts.append(_report(f"{megabytes} MB", capture, results))
        print(parts[-1], file=sys.stderr)  # so that a run that is broken off has told something
    loopback = captures.generate(settings.folder, _LOOPBACK_SIZE, settings.seed, mss=wire.LOOPBACK_MSS)
    parts.append(
        _report(f"{_LOOPBACK_SIZE} MB of loopback, segments of 64 KB", loopback, race(loopback, settings))
    )
    chart.draw(
        settings.plot,
        [(result.rival.name, size, result.seconds, result.memory) for size, result in points],
    )
    parts.append("![Time and memory against size](performance.svg)")
    return "\n\n".join(parts)


def race(capture: Capture, settings: Settings, rivals: Sequence[Rival] = RIVALS) -> list[Result]:
    """Let all programs read a capture, in turn, as often as there are rounds."""
    runners = [
        rival
        for rival in rivals
        if rival.installed and (rival.largest is None or capture.megabytes <= rival.largest)
    ]
    costs: dict[str, list[Cost]] = {rival.name: [] for rival in runners}
    found: dict[str, Found] = {}
    for turn in range(settings.rounds):
        for rival in runners:
            done = costs[rival.name]
            if done and done[0].seconds > _SLOW:
                continue
            cost, heard = _once(rival, capture, settings.folder / "answers", count=not turn)
            done.append(cost)
            found.setdefault(rival.name, heard)
            _say(capture, rival, cost)
    first = costs[runners[0].name]
    return [
        Result(
            rival,
            costs[rival.name],
            ratio(costs[rival.name], first, lambda cost: cost.processor),
            found[rival.name],
        )
        for rival in runners
    ]


def ratio(own: Sequence[Cost], first: Sequence[Cost], of: Callable[[Cost], float]) -> float:
    """Return what runs cost as a multiple of others, the median of those side by side."""
    return median(of(one) / of(other) for one, other in zip(own, first, strict=False))


def _once(rival: Rival, capture: Capture, folder: Path, *, count: bool) -> tuple[Cost, Found]:
    """Run a program in an empty folder, and count what it found."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    answer = folder / "answer"
    cost = processes.run(
        rival.arguments(capture), answer.resolve(), folder if rival.name == "tcpflow" else None
    )
    others = [path for path in folder.iterdir() if path != answer]
    found = rival.count([answer, *others], capture.truth) if count else Found(None, None)
    shutil.rmtree(folder)
    return cost, found


def _say(capture: Capture, rival: Rival, cost: Cost) -> None:
    """Show that something goes on."""
    print(f"{capture.path.name} {rival.name}: {cost.seconds:.2f} s, exit {cost.status}", file=sys.stderr)


def _report(title: str, capture: Capture, results: list[Result]) -> str:
    """Return the table of one capture."""
    size = capture.path.stat().st_size
    heads = (
        "tool", "processor time", "times Mailtap's", "MB/s", "peak memory",
        *found_heads(capture), "remark",
    )  # fmt: skip
    rows = [
        (
            result.rival.name,
            f"{result.seconds:.2f} s",
            f"{result.ratio:.2f}",
            f"{size / _MEGABYTE / result.seconds:,.0f}",
            page.megabytes(result.memory),
            *found_cells(result.found, capture),
            result.rival.remark,
        )
        for result in results
    ]
    return f"### {title}\n\n{page.table(heads, rows)}"


def found_heads(capture: Capture) -> tuple[str, ...]:
    """Return the heads of the columns that tell what was found."""
    logins, messages = len(capture.truth.logins), len(capture.truth.messages)
    return f"logins of {logins:,}", f"messages of {messages:,}", "wrong"


def found_cells(found: Found, capture: Capture) -> tuple[str, ...]:
    """Return what stands in these columns."""
    truth = capture.truth
    return (
        _share(found.logins, len(truth.logins)),
        _share(found.messages, len(truth.messages)),
        str(found.wrong),
    )


def _share(found: int | None, there: int) -> str:
    return "" if found is None else f"{found:,} ({100 * found // max(there, 1)} %)"


def _machine(rounds: int) -> str:
    """Return where this was measured."""
    return (
        f"Measured by `make bench` with Python {platform.python_version()} on {platform.system()} "
        f"{platform.machine()}; processor times, medians of {rounds} rounds; "
        "ratios are medians of runs side by side."
    )
