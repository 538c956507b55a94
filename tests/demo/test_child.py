"""What goes wrong in a forked attempt is told as what it was."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from mailtap.demo.network import rungs
from mailtap.demo.network.namespace import NamespaceError, Step

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="only where a process can fork")

# In a process of its own: only one with a single thread may fork here.
PROGRAM = """
import errno, os
from mailtap.demo.network import child
from mailtap.demo.network.namespace import NamespaceError
def step(): {step}
try:
    child.attempt(step, 10)
except NamespaceError as error:
    print(error.step, error.errno, error.error)
"""


@pytest.mark.parametrize(
    ("before", "step", "told"),
    [
        pytest.param("", "raise KeyError('odd')", "attempt None KeyError: 'odd'", id="an unforeseen error"),
        pytest.param("", "raise KeyError('x' * 9999)", "attempt None KeyError: 'xxx", id="a long one"),
        pytest.param("", "os._exit(1)", "time None the attempt died", id="a death"),
        pytest.param(
            "def no():\n  raise BlockingIOError(errno.EAGAIN, 'no more')\nos.fork = no",
            "pass",
            f"attempt {errno.EAGAIN} [Errno {errno.EAGAIN}] no more",
            id="no process left",
        ),
    ],
)
def test_an_attempt_that_fails_says_how(before: str, step: str, told: str) -> None:
    program = PROGRAM.format(step=step).replace("def step", f"{before}\ndef step", 1)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.startswith(told), done.stderr


@pytest.mark.parametrize("number", [None, errno.EAGAIN])
def test_the_reader_is_told_in_plain_words(number: int | None) -> None:
    probe = rungs.failed(rungs.Rung.PRIVATE_NETWORK, NamespaceError(Step.ATTEMPT, "no", number))
    assert not probe.works
    assert probe.reason.endswith(".")
