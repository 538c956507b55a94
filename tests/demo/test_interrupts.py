"""Ctrl-C at any moment ends every command quickly and quietly, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import lessons
import psutil
import pytest

if TYPE_CHECKING:
    from pathlib import Path

# Says so once it can be interrupted: what Python prints before that is not ours.
PROGRAM = """
import sys
from mailtap.demo.command import main
try:
    print("ready", flush=True)
    sys.exit(main())
except KeyboardInterrupt:  # before main() could begin
    sys.exit(130)
"""
MOMENTS = [0.0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8]  # seconds after the start
COMMANDS = {
    "a lesson": ["demo", "plain"],
    "a lesson over TLS": ["demo", "tls", "--json"],
    "a lesson on the relay": ["demo", "tls", "--rung", "relay"],
    "all lessons": ["demo", "matrix"],
    "the doctor": ["demo", "doctor"],
    "the servers": ["servers"],
    "the servers with a tap": ["servers", "--tap"],
    "a live capture": ["capture", "--live"],
}


def processes_of_session(session: int) -> list[psutil.Process]:
    """Return the processes, dead ones waiting for their parents aside, that still belong to a session."""
    left = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue
    return left


def end(program: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Return what an interrupted program still says; one that does not end is killed, and fails the test."""
    try:
        return program.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGKILL)
        raise


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("name", COMMANDS)
def test_leaves_nothing_behind(name: str, number: signal.Signals, tmp_path: Path) -> None:
    arguments = COMMANDS[name]
    # No moment is better than another: every command is tried at half of them, its neighbour at the others.
    moments = MOMENTS[list(COMMANDS).index(name) % 2 :: 2]
    for moment in moments if number is signal.SIGINT else moments[::2]:
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=lessons.environment(TMPDIR=str(tmp_path)),
            start_new_session=True,
        ) as program:
            assert program.stdout is not None
            assert program.stdout.readline() == b"ready\n"
            try:
                out, err = program.communicate(timeout=moment)
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, number)  # a terminal's Ctrl-C goes to all of the program's processes
                out, err = end(program)
        where = f"{' '.join(arguments)}, interrupted after {moment} s"
        assert b"Traceback" not in out + err, f"{where}\n{err.decode()}"
        # Python itself ends by the signal when that comes before the program's first step or after its last.
        # And a user who may not capture is told so, by 3.
        assert program.returncode in (0, 128 + number, -number, 3 if "--live" in arguments else 0), (
            f"{where}\n{err.decode()}"
        )
        assert processes_of_session(program.pid) == [], where
        assert list(tmp_path.iterdir()) == [], where


# Imports what is to be imported, and interrupts where the given one of the modules is looked for.
IMPORTS = """
import signal, sys
turn = int(sys.argv.pop(1))
sought = []
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name not in ("mailtap", "mailtap.demo", "mailtap.demo.command"):
            sought.append(name)
            if len(sought) == turn:
                signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from mailtap.demo.command import main
code = main()
print(len(sought))
sys.exit(code)
"""


def test_an_interrupt_during_the_imports_leaves_no_traceback() -> None:
    def interrupted(turn: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", IMPORTS, str(turn), "--version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    modules = int(interrupted(0).stdout.splitlines()[-1])
    assert modules > 10
    for turn in {1, 2, 3, modules // 2, modules}:
        done = interrupted(turn)
        assert (done.returncode, done.stderr) == (130, ""), f"{turn} of {modules}"


def test_the_command_watches_for_interrupts_before_it_imports_anything() -> None:
    program = (
        "import sys; before = set(sys.modules); import mailtap.demo.command; print(*{*sys.modules} - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {*done.stdout.split()} <= {"mailtap", "mailtap.demo", "mailtap.demo.command"}


# An interrupt that arrives in the callback of a weak reference, where Python can only print it.
UNRAISABLE = """
import signal, sys, threading, weakref
from mailtap.demo.interrupts import end_like_interrupt

class Referent: pass

end_like_interrupt()
referent = Referent()
reference = weakref.ref(referent, lambda _: signal.raise_signal(int(sys.argv[1])))
try:
    del referent
    threading.Event().wait(20)
    print("lost")
except KeyboardInterrupt:
    sys.exit(130)
"""


# An interrupt that arrives where importlib calls the compiler, which may drop what a handler raises.
COMPILING = """
import signal, threading
from importlib import _bootstrap
from mailtap.demo.interrupts import end_like_interrupt

end_like_interrupt()
try:
    _bootstrap._call_with_frames_removed(signal.raise_signal, signal.SIGTERM)
except SystemExit:
    print("raised where it may be dropped")
threading.Event().wait(20)
print("lost")
"""


def test_is_not_lost_where_a_module_is_compiled() -> None:
    program = subprocess.run([sys.executable, "-c", COMPILING], capture_output=True, timeout=30, check=False)
    assert (program.returncode, program.stdout, program.stderr) == (128 + signal.SIGTERM, b"", b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_is_not_lost_where_nothing_can_be_raised(number: signal.Signals) -> None:
    program = subprocess.run(
        [sys.executable, "-c", UNRAISABLE, str(int(number))], capture_output=True, timeout=30, check=False
    )
    assert (program.returncode, program.stdout, program.stderr) == (128 + number, b"", b"")
