"""Puts what was measured into `docs/performance.md`, each section between marks of its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def put(name: str, text: str, page: Path = PAGE) -> None:
    """Replace what stands between the marks of a section.

    Args:
        name: the section: the marks are `<!-- NAME: begin -->` and `<!-- NAME: end -->`.
        text: Markdown.
        page: the document.

    Raises:
        LookupError: the document has no such marks.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    old = page.read_text(encoding="utf-8")
    marks = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    new, count = marks.subn(lambda _: f"{begin}\n{text.strip()}\n{end}", old)
    if not count:
        raise LookupError(f"{page} has no section {name}: add the lines {begin} and {end} where it belongs.")
    page.write_text(new, encoding="utf-8")


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a Markdown table; the first column is text, the others are numbers."""
    rule = ("---", *("--:" for _ in heads[1:]))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows))


def megabytes(octets: int) -> str:
    """Return an amount of memory as a cell of a table."""
    return f"{octets / 1_000_000:,.0f} MB"
