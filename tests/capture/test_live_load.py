"""Thousands of sessions as fast as they come: every login is found, or the missing packets are told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import denial
import pytest

ROOT = Path(__file__).parents[2]
SESSIONS = 3000
FEWEST_PACKETS = 10  # of a session: to lose all trace of it, the kernel must have dropped as many


@pytest.mark.skipif(bool(denial.refusal("private-network")), reason="only where private networks work")
@pytest.mark.parametrize("engine", ["ring", "scapy"])
def test_no_login_is_lost_in_silence(engine: str) -> None:
    command = [sys.executable, "-m", "bench.arena", engine, "--sessions", str(SESSIONS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    heard = json.loads(done.stdout)
    assert heard["invented"] == 0
    known = heard["found"] + heard["nameless"] + heard["explained"]
    assert SESSIONS - known <= heard["dropped"] // FEWEST_PACKETS
    assert heard["found"] == SESSIONS or heard["dropped"]
    assert heard["found"] > SESSIONS // 10
