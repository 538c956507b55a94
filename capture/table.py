"""The one look of all tables: boxes drawn by tabulate, Japanese aligned (through wcwidth).

Where a terminal is too narrow for the box, the rows are records, one cell a line.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from mailtap.capture.wrapping import broken

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST = 8  # columns below which nothing is shortened
_INDENT = "  "


def table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int | None = None,
    flexible: int | None = None,
) -> str:
    """Return a table as text: in a box, or where that does not fit, record by record.

    Args:
        heads: the heads of the columns; a line break in one makes the head two lines high.
        rows: the cells, safe to print.
        width: columns of the terminal that the table has to fit into; None for any width.
        flexible: the column whose cells are cut where they do not fit; None cuts none.
    """
    from tabulate import SEPARATING_LINE, tabulate  # noqa: PLC0415  # who reads JSON needs none of this

    if width is not None:
        room = _room(heads, rows, width, flexible)
        if room is None:
            return _records(heads, rows, width)
        if flexible is not None:
            rows = _cut(rows, flexible, room)
    # The heads go in as a row: as heads, tabulate would make their columns wider than need be. Numbers
    # are text: a password of digits must not lose its zeros.
    return tabulate([heads, SEPARATING_LINE, *rows], tablefmt="rounded_outline", disable_numparse=True)


def aligned(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return rows without a frame, a space between the columns: for each row its lines of text.

    Args:
        rows: the cells, safe to print; a line break in one makes its row two lines high.
    """
    from tabulate import DataRow, TableFormat, tabulate  # noqa: PLC0415

    split = [list(zip_longest(*(cell.split("\n") for cell in row), fillvalue="")) for row in rows]
    # Without padding and frame, all that tabulate adds is the width.
    bare = TableFormat(None, None, None, None, DataRow("", " ", ""), DataRow("", " ", ""), 0, None)
    every = [line for row in split for line in row]
    lines = iter(tabulate(every, tablefmt=bare, disable_numparse=True).split("\n"))
    return [[next(lines).rstrip() for _ in row] for row in split]


def _room(
    heads: Sequence[str], rows: Sequence[Sequence[str]], width: int, flexible: int | None
) -> int | None:
    """Return how many columns there are for the flexible one; None where the table does not fit at all."""
    widths = [max(map(_cells, column)) for column in zip(heads, *rows, strict=True)]
    least = 0 if flexible is None else min(max(_LEAST, _cells(heads[flexible])), widths[flexible])
    others = sum(widths) - (0 if flexible is None else widths[flexible])
    room = width - (3 * len(heads) + 1) - others  # what remains within the frame
    return room if room >= least else None


def _cut(rows: Sequence[Sequence[str]], flexible: int, room: int) -> list[list[str]]:
    """Return the rows with the cells of one column cut; a cut one ends in an ellipsis."""
    cut = [list(row) for row in rows]
    for row in cut:
        row[flexible] = _clipped(row[flexible], room)
    return cut


def _records(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Return each row as a record: a line for each cell that says something, and a blank one at its end."""
    lines: list[str] = []
    for row in rows:
        for head, cell in zip(heads, row, strict=True):
            if cell:
                lines += _told(head, cell, width)
        lines.append("")
    return "\n".join(lines)


def _told(head: str, cell: str, width: int) -> list[str]:
    """Return a cell after its head, in lines that fit, all but the first indented."""
    first, *more = cell.split("\n")
    pieces = [f"{head}: {_clipped(first, 2 * width)}", *more]
    lines = [line for piece in pieces for line in broken(piece, width - len(_INDENT))]
    return [lines[0], *(_INDENT + line for line in lines[1:])]


def _cells(text: str) -> int:
    """Return how many columns a text takes."""
    from wcwidth import wcswidth  # noqa: PLC0415  # who reads JSON needs none of this

    return max(wcswidth(line) for line in text.split("\n"))


def _clipped(text: str, room: int) -> str:
    from wcwidth import clip  # noqa: PLC0415

    return clip(text, 0, room - 1) + "…" if _cells(text) > room else text
