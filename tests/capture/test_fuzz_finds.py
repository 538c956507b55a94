"""What the fuzzer once found stays found: its targets run on every kept input, and on what they begin with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).resolve().parents[1] / "fuzz"
sys.path.insert(0, str(FUZZ))

from run import seeds  # noqa: E402  # the fuzzer's own modules, importable once its folder is
from targets import TARGETS  # noqa: E402

FINDS = [(path.parent.name, path) for path in sorted((FUZZ / "finds").glob("*/*"))]


@pytest.mark.parametrize(
    ("name", "path"), [pytest.param(*each, id=f"{each[0]}-{each[1].name[:20]}") for each in FINDS]
)
def test_what_was_found_is_mended(name: str, path: Path) -> None:
    TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_targets_hold_on_their_seeds(name: str) -> None:
    inputs = seeds(name)
    assert inputs
    for data in inputs:
        TARGETS[name](data)
        TARGETS[name](data[: len(data) // 2])


def test_every_folder_of_finds_has_its_target() -> None:
    assert {name for name, _ in FINDS} <= set(TARGETS)
