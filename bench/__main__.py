"""Runs the measurements and writes `docs/performance.md`: `make bench ARGS="captures --sizes 50"`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from bench import page
from bench.settings import FOLDER, SIZES, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence


class Section(NamedTuple):
    """One part of the measurements, and of the document.

    Attributes:
        module: has `measure(settings: Settings) -> str`, which returns Markdown.
        about: what it measures, for the help.
    """

    module: str
    about: str


SECTIONS = {
    "captures": Section("bench.race", "capture files: Mailtap and what a user would pick instead"),
    "jobs": Section("bench.jobs", "a capture file: one process, several, and tshark"),
    "shares": Section("bench.shares", "the same, each process by itself: as with a processor for each"),
    "live": Section("bench.live", "live: each engine under load, with tcpdump beside them (Linux)"),
    "servers": Section("bench.servers", "the toy servers: a crowd at once"),
    "lessons": Section("bench.lessons", "the lessons as whole processes"),
}
"""What can be measured, in the order in which it is; the name is also the document's mark."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for, and return the exit code."""
    options = _parser().parse_args(arguments)
    unknown = [name for name in options.sections if name not in SECTIONS]
    if unknown:
        print(f"There is no section {unknown[0]!r}. There are: {', '.join(SECTIONS)}.", file=sys.stderr)
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    settings = Settings(sizes=tuple(sorted(options.sizes)), rounds=options.rounds, seed=options.seed)
    if not options.dry_run:
        settings = replace(settings, plot=page.PAGE.with_suffix(".svg"))
    for name in options.sections or SECTIONS:
        text = import_module(SECTIONS[name].module).measure(settings)
        print(text)
        if not options.dry_run:
            page.put(name, text)
    return 0


def _parser() -> argparse.ArgumentParser:
    sections = "\n".join(f"  {name:12} {section.about}" for name, section in SECTIONS.items())
    parser = argparse.ArgumentParser(
        prog="make bench",
        description=f"Measure, and write docs/performance.md.\n\nsections:\n{sections}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help="what to measure (default: all)")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="MB", help="sizes of captures")
    parser.add_argument("--rounds", type=int, default=3, help="how often each measurement is repeated")
    parser.add_argument("--seed", type=int, default=1, help="seed of the generated captures")
    parser.add_argument("--dry-run", action="store_true", help="leave the document as it is")
    return parser


if __name__ == "__main__":
    sys.exit(main())
