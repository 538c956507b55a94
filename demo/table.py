"""The one look of all tables: boxes drawn by tabulate, Japanese aligned (through wcwidth)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabulate import SEPARATING_LINE, tabulate

if TYPE_CHECKING:
    from collections.abc import Sequence


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as text.

    The heads go in as a row of their own: as heads, tabulate would make their columns wider than need be.
    """
    return tabulate([heads, SEPARATING_LINE, *rows], tablefmt="rounded_outline", disable_numparse=True)


def frame(columns: int) -> int:
    """Return how many terminal columns the lines and blanks of a table take, its contents apart."""
    return 3 * columns + 1
