"""Jobs done side by side: every one has a result, whatever becomes of the process that did it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import lessons
import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

# In a process of its own: pytest's has threads, and forking one that has is asking for trouble.
PROGRAM = """
import json, os, signal, sys
from mailtap.demo.crew import Crew, Fell
def prepare():
    {prepare}
    def do(job):
        if job == "raise":
            raise ValueError("no good")
        if job == "die":
            os._exit(9)
        return [job, os.getpid()]
    return do
found = dict(Crew({jobs!r}, prepare, {size}).results())
shown = {{number: each.reason if isinstance(each, Fell) else each for number, each in found.items()}}
print(json.dumps([shown, os.getpid()]))
"""


def done(jobs: list[str], size: int, prepare: str = "pass") -> tuple[dict[int, object], int]:
    """Return what came of each job, by its number, and the process that gave them out."""
    code = PROGRAM.format(jobs=jobs, size=size, prepare=prepare)
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        timeout=lessons.TIMEOUT,
        check=False,
        env=lessons.environment(),
    )
    assert (ran.returncode, ran.stderr.decode()) == (0, "")
    found, parent = json.loads(ran.stdout)
    return {int(number): result for number, result in found.items()}, parent


@pytest.mark.parametrize("size", [1, 2, 9])
def test_every_job_is_done_and_none_in_this_process(size: int) -> None:
    jobs = [f"job {number}" for number in range(5)]
    found, parent = done(jobs, size)
    assert [found[number][0] for number in range(5)] == jobs
    workers = {found[number][1] for number in range(5)}
    assert parent not in workers
    assert 1 <= len(workers) <= size


@pytest.mark.parametrize(
    ("jobs", "reasons"),
    [
        pytest.param(["a", "raise", "b"], {1: "ValueError: no good"}, id="a job that fails"),
        pytest.param(["a", "die", "b"], {1: "has died"}, id="a job that takes its process with it"),
        pytest.param(["die"] * 4, dict.fromkeys(range(4), "died"), id="nobody is left"),
        pytest.param([], {}, id="nothing to do"),
    ],
)
def test_what_fails_does_not_stop_the_others(jobs: list[str], reasons: dict[int, str]) -> None:
    found, _ = done(jobs, 2)
    assert set(found) == set(range(len(jobs)))
    for number, job in enumerate(jobs):
        if number in reasons:
            assert reasons[number] in str(found[number])
        else:
            assert found[number][0] == job


LEFT = """
import os, signal, sys, time
from mailtap.demo.crew import Crew
def prepare():
    def leave(*_):
        pass  # as a process does that is in the middle of what must not be interrupted
    signal.signal(signal.SIGTERM, leave)
    def do(job):
        if job:
            time.sleep(job)
        return job
    return do
results = Crew([0, 0.5, 0.5], prepare, 3).results()
print(next(results))
results.close()
"""


def test_who_is_left_in_the_middle_of_a_job_ends_without_a_word() -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", LEFT],
        capture_output=True,
        timeout=lessons.TIMEOUT,
        check=False,
        env=lessons.environment(),
    )
    assert (ran.returncode, ran.stdout.decode(), ran.stderr.decode()) == (0, "(0, 0)\n", "")


def test_a_process_that_cannot_be_prepared_says_so_for_each_job() -> None:
    found, _ = done(["a", "b"], 1, prepare="raise OSError('no network')")
    assert set(found.values()) == {"OSError: no network"}
