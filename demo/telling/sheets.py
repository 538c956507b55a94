"""The matrix as text for a terminal, as a GitHub table, and as a page."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.text import Text

from mailtap.capture.table import aligned
from mailtap.capture.witness import Agreement
from mailtap.demo.telling import ending, matrix, story
from mailtap.demo.telling.matrix import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailtap.capture.witness import Verdict
    from mailtap.demo.outcome import Outcome
    from mailtap.demo.scenarios import Group
    from mailtap.demo.telling.matrix import Line
    from mailtap.demo.telling.reader import Reader

    Runs = Sequence[tuple[Outcome, Verdict]]

STYLES: Final = {
    State.QUIET: "bright_black",
    State.LEAK: "bold red",
    State.METADATA: "yellow",  # TLS tells the server's name too, and is none the worse for it
    State.STOLEN: "bold magenta",
    State.GUESSED: "bold yellow",
    State.WRONG: "bold white on red",
}


def text(runs: Runs, reader: Reader) -> list[list[Text]]:
    """Return the matrix in parts, one for each group and one for what remains to be said.

    Each part has the heads of the columns, so that it can be read by itself.
    """
    grouped = list(matrix.groups([outcome for outcome, _ in runs], reader.say))
    parts = _tabled(grouped, reader) or _spelled(grouped, reader)
    title = reader.wrapped(reader.say("What leaked where, heard on the wire just now:"), style="bold")
    parts[0] = [*title, Text(), *parts[0]]
    return [*parts, [*reader.wrapped(matrix.legend(reader.say)), *wrong(runs, reader)]]


def _tabled(grouped: Sequence[tuple[Group, Sequence[Line]]], reader: Reader) -> list[list[Text]]:
    """Return the groups as parts of one table; nothing where it does not fit."""
    table = _fitting(grouped, reader)
    parts: list[list[Text]] = []
    for _, lines in grouped if table else ():
        head, table = table[0], table[1:]
        body, table = table[: len(lines)], table[len(lines) :]
        styled = [text for row, line in zip(body, lines, strict=True) for text in _styled(row, line)]
        parts.append([*(Text(each, "bold") for each in head), *styled])
    return parts


def _spelled(grouped: Sequence[tuple[Group, Sequence[Line]]], reader: Reader) -> list[list[Text]]:
    """Return the groups with each row's cells as text that names them; of those that are quiet, none."""
    heads = _in_one_line(matrix.heads(reader.say))
    parts = []
    for group, lines in grouped:
        part = reader.wrapped(reader.say(group), "bold")
        for line in lines:
            told = [
                Text(f"{head} {cell.text}", STYLES[cell.state])
                for head, cell in zip(heads, line.cells, strict=True)
                if cell.text != matrix.NOTHING
            ]
            part += [Text(line.outcome.scenario.name), *_filled(told or [Text(matrix.NOTHING)], reader)]
        parts.append(part)
    return parts


def _filled(items: Sequence[Text], reader: Reader) -> list[Text]:
    """Return items one after the other, as many in a line as fit."""
    comma, indent = Text(reader.say(", ")), Text("  ")
    lines = [indent + items[0]]
    for item in items[1:]:
        longer = lines[-1] + comma + item
        if longer.cell_len < reader.width:
            lines[-1] = longer
        else:
            lines[-1] = lines[-1] + Text(comma.plain.rstrip())
            lines.append(indent + item)
    return lines


def github(runs: Runs, reader: Reader) -> str:
    """Return the matrix as a table in GitHub's Markdown."""
    from tabulate import tabulate  # noqa: PLC0415

    grouped = matrix.groups([outcome for outcome, _ in runs], reader.say)
    rows = [
        [reader.say(group), line.outcome.scenario.name, *(cell.text for cell in line.cells)]
        for group, lines in grouped
        for line in lines
    ]
    heads = [reader.say("group"), reader.say("scenario"), *_in_one_line(matrix.heads(reader.say))]
    table = tabulate(rows, heads, tablefmt="github", disable_numparse=True)
    said = "".join(f"\n{line.plain}" for line in wrong(runs, reader))
    return f"{table}\n\n{matrix.legend(reader.say)}\n{said}".rstrip("\n") + "\n"


def html(runs: Runs, reader: Reader) -> str:
    """Return the matrix as a page of its own."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415

    template = files("mailtap.demo.telling").joinpath("matrix.html").read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(template).render(
        say=reader.say,
        language=reader.say("en"),
        title=reader.say("What leaked where"),
        first=reader.say("scenario"),
        heads=_in_one_line(matrix.heads(reader.say)),
        groups=list(matrix.groups([outcome for outcome, _ in runs], reader.say)),
        legend=matrix.legend(reader.say),
        wrong=[line.plain for line in wrong(runs, reader)],
    )
    return f"{page}\n"


def wrong(runs: Runs, reader: Reader) -> list[Text]:
    """Return all that is known about the runs that went wrong."""
    lines: list[Text] = []
    for outcome, verdict in runs:
        disagrees = verdict.agreement is Agreement.DISAGREES
        if not outcome.ok or disagrees:
            lines += story.heading(outcome, reader)
        if not outcome.ok:
            lines += ending.verdict(outcome, reader)
        if disagrees:
            lines += ending.witness(outcome, verdict, reader)
    return lines


def _fitting(grouped: Sequence[tuple[Group, Sequence[Line]]], reader: Reader) -> list[list[str]]:
    """Return the lines of every row, the heads before each group among them, in the first form that fits.

    Nothing where none does.
    """
    whole, short = (_rows(grouped, reader, short=short) for short in (False, True))
    for rows in (whole, short):
        table = aligned(rows)
        if _fits(table, reader.width):
            return table
    # Each name on a line of its own, above its cells.
    above = [
        [name, *lines]
        for (name, *_), lines in zip(short, aligned([["", *row[1:]] for row in short]), strict=True)
    ]
    return above if _fits(above, reader.width) else []


def _rows(grouped: Sequence[tuple[Group, Sequence[Line]]], reader: Reader, *, short: bool) -> list[list[str]]:
    """Return the cells of every row, the heads before each group among them."""
    rows: list[list[str]] = []
    for group, lines in grouped:
        rows.append([reader.say(group), *matrix.heads(reader.say, short=short)])
        rows += [[line.outcome.scenario.name, *(cell.text for cell in line.cells)] for line in lines]
    return rows


def _fits(rows: Sequence[Sequence[str]], width: int) -> bool:
    return all(cell_len(line) <= width for row in rows for line in row)


def _in_one_line(heads: Sequence[str]) -> list[str]:
    """Return heads without line breaks; a word of another language than English is not parted by a blank."""
    return [head.replace("\n", " " if head.isascii() else "") for head in heads]


def _styled(lines: Sequence[str], line: Line) -> list[Text]:
    """Return a row's lines as text with each cell in its colour; the cells stand in the last."""
    *above, row = lines
    styled = Text(row)
    at = 0 if above else len(line.outcome.scenario.name)
    for cell in line.cells:
        at = row.index(cell.text, at)
        styled.stylize(STYLES[cell.state], at, at + len(cell.text))
        at += len(cell.text)
    return [*map(Text, above), styled]
