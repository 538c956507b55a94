"""The one look of all tables: boxes drawn by tabulate, Japanese aligned (through wcwidth)."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST = 8  # columns below which nothing is shortened


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None = None, flexible: int = 0
) -> str:
    """Return a table as text.

    Args:
        heads: the heads of the columns; a line break in one makes the head two lines high.
        rows: the cells, safe to print.
        width: columns of the terminal that the table has to fit into; None for any width.
        flexible: the column whose cells are cut where they do not fit.
    """
    from tabulate import SEPARATING_LINE, tabulate  # noqa: PLC0415  # who reads JSON needs none of this

    if width is not None:
        rows = _fitted(heads, rows, width, flexible)
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


def _fitted(
    heads: Sequence[str], rows: Sequence[Sequence[str]], width: int, flexible: int
) -> list[list[str]]:
    """Return the rows with one column cut so that the whole fits; a cut cell ends in an ellipsis."""
    from wcwidth import clip, wcswidth  # noqa: PLC0415

    def cells(text: str) -> int:
        return max(wcswidth(line) for line in text.split("\n"))

    frame = 3 * len(heads) + 1
    others = [
        max(cells(row[column]) for row in [heads, *rows])
        for column in range(len(heads))
        if column != flexible
    ]
    room = max(_LEAST, width - frame - sum(others))
    fitted = [list(row) for row in rows]
    for row in fitted:
        if cells(row[flexible]) > room:
            row[flexible] = clip(row[flexible], 0, room - 1) + "…"
    return fitted
