"""The generated captures: the same bytes every time, and the listener finds all that is said to be in them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from bench import captures, page, rivals, wire
from bench.__main__ import SECTIONS
from mailtap.capture.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path


def test_a_seed_gives_the_same_capture(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        capture = captures.generate(tmp_path / name, 1, 7)
        digests.add(hashlib.sha256(capture.path.read_bytes()).hexdigest())
    other = captures.generate(tmp_path, 1, 8)
    assert len(digests) == 1
    assert hashlib.sha256(other.path.read_bytes()).hexdigest() not in digests


@pytest.mark.parametrize("mss", [wire.MSS, wire.LOOPBACK_MSS], ids=["ethernet", "loopback"])
def test_the_listener_finds_exactly_what_is_there(
    mss: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture = captures.generate(tmp_path, 2, 3, mss=mss)
    assert main(["--json", "--no-guess", str(capture.path)]) == 0
    answer = tmp_path / "answer"
    answer.write_text(capsys.readouterr().out, encoding="utf-8")
    found = rivals.exactly([answer], capture.truth)
    assert found == (len(capture.truth.logins), len(capture.truth.messages), 0)
    assert found.logins
    assert found.messages


def test_a_section_is_put_between_its_marks(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("a\n<!-- one: begin -->\nold\n<!-- one: end -->\nb\n")
    page.put("one", "new", document)
    assert document.read_text() == "a\n<!-- one: begin -->\nnew\n<!-- one: end -->\nb\n"
    with pytest.raises(LookupError, match="no section two"):
        page.put("two", "new", document)


def test_the_page_has_no_part_twice_and_nothing_of_a_terminal() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    parts = [part for part in text.split("\n\n") if part.startswith(("#", "!["))]
    assert len(parts) == len(set(parts))
    assert not [line for line in text.splitlines() if line.strip().isdigit()]
    for name in SECTIONS:
        assert text.count(f"<!-- {name}: begin -->") == text.count(f"<!-- {name}: end -->") == 1
