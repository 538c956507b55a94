"""Lessons that several tests look at: each is run once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import lessons
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Lesson:
    """A lesson as JSON, and the capture it kept."""

    told: lessons.Told
    pcap: Path
    keys: Path


@pytest.fixture(scope="session")
def working_rungs() -> dict[str, str]:
    """Each rung that works here, with an empty text, and each that does not, with the reason."""
    (diagnosis,) = lessons.tell("doctor", "--json").objects
    return {probe["rung"]: "" if probe["works"] else probe["reason"] for probe in diagnosis["probes"]}


@pytest.fixture(scope="session")
def lesson(
    tmp_path_factory: pytest.TempPathFactory, working_rungs: dict[str, str]
) -> Callable[[str, str], Lesson]:
    """Run a scenario on a rung, once in all the tests."""

    @cache
    def run(scenario: str, rung: str) -> Lesson:
        if working_rungs[rung]:
            pytest.skip(f"{rung} does not work here: {working_rungs[rung]}")
        folder = tmp_path_factory.mktemp(f"{scenario}-{rung}")
        pcap, keys = folder / "closed.pcap", folder / "open.pcapng"
        told = lessons.tell(
            scenario, "--json", "--rung", rung, "--no-witness", "--pcap", pcap, "--keys", keys
        )
        return Lesson(told, pcap, keys)

    return run
