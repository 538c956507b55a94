"""Runs a program as a user would, and says how long it took and how much memory it held."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_KIB = 1024
_LAUNCH = Path(__file__).with_name("launch.py")


class Cost(NamedTuple):
    """What a run cost.

    Attributes:
        seconds: from start to end.
        processor: seconds of processor time, which a busy machine does not change much.
        memory: the most bytes that the process, or one of its own children, held at once.
        status: its exit status; negative where a signal ended it.
    """

    seconds: float
    processor: float
    memory: int
    status: int


def run(command: Sequence[str], answer: Path, folder: Path | None = None) -> Cost:
    """Run a program to its end, its standard output going to a file.

    Args:
        command: the program and its arguments.
        answer: where its output goes, as an absolute path.
        folder: where it runs; here by default.
    """
    launch = [sys.executable, "-I", "-S", str(_LAUNCH), str(answer), *command]
    told = subprocess.run(launch, cwd=folder, capture_output=True, text=True, check=True)
    seconds, processor, memory, status = told.stdout.split()
    return Cost(float(seconds), float(processor), int(memory) * _KIB, int(status))
