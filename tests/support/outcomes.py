"""Runs rows of the table, several in one process of their own, and gives their outcomes to look at."""

from __future__ import annotations

import pickle
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

import lessons
import pytest

from mailtap.demo.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailtap.demo.outcome import Outcome

PROGRAM = """
import pickle, sys
from mailtap.capture.guess import bundled_words
from mailtap.demo import lab as ladder
from mailtap.demo.scenarios import BY_NAME
probe = ladder.probe(ladder.Rung(sys.argv[1]))
outcomes = {}
if probe.works:
    lab = ladder.enter(probe.rung)
    from mailtap.demo import stage
    outcomes = {name: stage.run(BY_NAME[name], lab, bundled_words) for name in sys.argv[2:]}
sys.stdout.buffer.write(pickle.dumps((probe.reason, outcomes)))
"""


@cache
def outcomes(rung: str) -> Mapping[str, Outcome]:
    """Return the outcome of every row on a rung, run once; skip the test where the rung does not work."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, rung, *(scenario.name for scenario in SCENARIOS)],
        capture_output=True,
        env=lessons.environment(),
        timeout=lessons.TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    reason, found = pickle.loads(done.stdout)
    if not found:
        pytest.skip(f"{rung} does not work here: {reason}")
    return found
