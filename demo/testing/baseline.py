"""Keeps, in a file beside the tests, which fields are visible on the wire; not their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailtap.demo.testing.errors import BadMark, NewFieldVisible, NoBaseline

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mailtap.capture.model import Leak

FOLDER: Final = "mail_tap_baselines"
UPDATE: Final = "--mail-tap-update"
_HEAD: Final = f"# Fields visible on the wire. Renew with: pytest {UPDATE}\n"


def visible(leaks: Iterable[Leak]) -> frozenset[str]:
    """Return which fields leaked, each as `protocol field`."""
    return frozenset(f"{leak.protocol} {leak.field}" for leak in leaks)


def compare(
    name: str, seen: frozenset[str], folder: Path, renewed: dict[Path, frozenset[str]] | None = None
) -> None:
    """Compare what is visible with what was when the baseline was kept.

    Args:
        name: of the baseline; a plain file name.
        seen: what is visible now.
        folder: where baselines are kept.
        renewed: where baselines are to be kept anew: what was kept so far, by file. Several tests may share
            one; it then holds what any of them showed.

    Raises:
        NewFieldVisible: something is visible that was not.
        NoBaseline: nothing was kept under this name.
        BadMark: the name is no plain file name.
    """
    file = folder / f"{name}.txt"
    if file.parent != folder or not name or name.startswith("."):
        raise BadMark(f"A baseline's name is a plain file name; {name!r} is not.")
    if renewed is not None:
        seen = renewed[file] = seen | renewed.get(file, frozenset())
        folder.mkdir(exist_ok=True)
        file.write_text(_HEAD + "".join(f"{field}\n" for field in sorted(seen)), encoding="utf-8")
        return
    if not file.exists():
        raise NoBaseline(f"There is no baseline {file}: run pytest {UPDATE} once, look at it, and commit it.")
    lines = file.read_text(encoding="utf-8").splitlines()
    known = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    if new := sorted(seen - known):
        raise NewFieldVisible(
            f"Newly visible on the wire: {', '.join(new)}. The baseline {file} does not have it. If it is "
            f"meant to be seen, run pytest {UPDATE}; else the client leaks more than it did."
        )
