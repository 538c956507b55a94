"""The commands `mailtap demo matrix` and `compare`: run several rows, and show them in one view."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from mailtap.capture.report import json_line
from mailtap.demo import lab as ladder
from mailtap.demo import lesson, shell
from mailtap.demo.captures import Captures
from mailtap.demo.shell import Aside
from mailtap.demo.survey import Survey
from mailtap.demo.telling.reader import Reader

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Iterator, Sequence

    from mailtap.capture.language import Say
    from mailtap.demo.scenarios import Scenario
    from mailtap.demo.survey import Surveyed


def show(scenarios: Sequence[Scenario], options: Namespace, say: Say) -> int:
    """Run the rows, show them together, and return the exit code.

    Args:
        scenarios: the rows.
        options: the command line of `mailtap demo`.
        say: the reader's language.
    """
    aside = Aside(say)
    return lesson.exit_code(lambda: _show(scenarios, options, say, aside), aside)


def _show(scenarios: Sequence[Scenario], options: Namespace, say: Say, aside: Aside) -> bool:
    captures = Captures(closed=options.pcap, opened=options.keys, several=True)
    captures.require_writable()
    words = lesson.words(options.wordlist)
    rung = lesson.choose(options.rung)
    survey = Survey(
        rung=rung,
        enter=partial(ladder.enter, rung),
        words=words,
        opinion=partial(lesson.opinion, wanted=not options.no_witness),
        say=say,
    )
    surveyed = []
    for each in _progress(survey.run(scenarios), len(scenarios), say):
        surveyed.append(each)
        captures.keep(each.outcome)
        if options.format == "json":
            _print_summary(each)
    for note in dict.fromkeys(note for each in surveyed for note in (*each.notes, *each.outcome.remarks)):
        aside.say(note)
    if options.format != "json":
        _print(surveyed, options, say)
    return all(lesson.sound(each.outcome, each.verdict) for each in surveyed)


def _progress(results: Iterable[Surveyed], count: int, say: Say) -> Iterator[Surveyed]:
    """Pass results on, and show on a terminal how many there are yet to come."""
    console = shell.console(stderr=True)
    if not console.is_terminal:
        yield from results
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (
        TextColumn(say("listening")),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
    )
    # Without a thread of its own: processes are forked while it is shown.
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        task = progress.add_task("", total=count)
        progress.refresh()
        for each in results:
            progress.update(task, advance=1, description=each.outcome.scenario.name, refresh=True)
            yield each


def _print_summary(each: Surveyed) -> None:
    from mailtap.demo.telling.objects import summary_object  # noqa: PLC0415

    line = json_line(summary_object(each.outcome, each.verdict))
    sys.stdout.buffer.write(line.encode() + b"\n")
    sys.stdout.buffer.flush()


def _print(surveyed: Sequence[Surveyed], options: Namespace, say: Say) -> None:
    from mailtap.demo.telling import comparison, sheets  # noqa: PLC0415  # rich and tabulate
    from mailtap.demo.telling.tellers import Narrator  # noqa: PLC0415

    # Lines of text are hard to read where they are long; columns are not.
    console = shell.console(widest=shell.WIDEST_TABLE)
    reader = Reader(say, console.width, options.mask)
    runs = [(each.outcome, each.verdict) for each in surveyed]
    if options.format == "text":
        parts = {"matrix": sheets.text, "compare": comparison.comparison}
        Narrator(console, reader, step=options.step).tell(parts[options.what](runs, reader))
        return
    pages = {"github": sheets.github, "html": sheets.html}
    sys.stdout.buffer.write(pages[options.format](runs, reader).encode())
    sys.stdout.buffer.flush()
