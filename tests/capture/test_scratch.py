"""No interrupt leaves a scratch folder behind, whenever it comes."""

from __future__ import annotations

import gc
import signal
import sys
import tempfile
import threading
from itertools import count
from typing import TYPE_CHECKING

import pytest

from mailtap.capture import scratch

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

    from _typeshed import TraceFunction


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_is_there_and_then_gone(home: Path) -> None:
    with scratch.scratch_folder() as folder:
        (folder / "file").write_text("x")
        assert list(home.iterdir()) == [folder]
    assert list(home.iterdir()) == []


def test_an_interrupt_in_its_time_removes_it(home: Path) -> None:
    with pytest.raises(KeyboardInterrupt), scratch.scratch_folder() as folder:
        signal.raise_signal(signal.SIGINT if (folder / "file").write_text("x") else signal.SIGTERM)
    assert list(home.iterdir()) == []


def test_an_interrupt_while_it_is_removed_waits_until_it_is(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    cleanup = tempfile.TemporaryDirectory.cleanup

    def interrupted(self: tempfile.TemporaryDirectory[str]) -> None:
        signal.raise_signal(signal.SIGINT)
        cleanup(self)

    monkeypatch.setattr(tempfile.TemporaryDirectory, "cleanup", interrupted)
    with pytest.raises(KeyboardInterrupt), scratch.scratch_folder() as folder:
        (folder / "file").write_text("x")
    assert list(home.iterdir()) == []
    assert signal.getsignal(signal.SIGINT) is handler


def test_another_thread_may_use_it(home: Path) -> None:
    seen: list[bool] = []

    def use() -> None:
        with scratch.scratch_folder() as folder:
            seen.append(folder.is_dir())

    thread = threading.Thread(target=use)
    thread.start()
    thread.join(10)
    assert seen == [True]
    assert list(home.iterdir()) == []


def steps_until(last: int) -> int:
    """Make a folder and remove it, interrupted at that step of Python; return how many steps there were."""
    steps = 0

    def step(frame: FrameType, event: str, _: object) -> TraceFunction | None:
        nonlocal steps
        frame.f_trace_opcodes = True
        if event == "opcode":
            steps += 1
            if steps == last:
                sys.settrace(None)
                signal.raise_signal(signal.SIGTERM)
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        with scratch.scratch_folder() as folder:
            (folder / "file").touch()
    finally:
        sys.settrace(before)
    return steps


def interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupt_at_any_step_of_its_life_leaves_nothing(home: Path) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    term = signal.signal(signal.SIGTERM, interrupt)
    gc.disable()  # what only the collector would clear away is left behind
    try:
        for last in count(1):
            try:
                steps = steps_until(last)
            except KeyboardInterrupt:
                pass
            else:
                assert steps < last, "the interrupt was lost"
                break  # its life had fewer steps
            assert list(home.iterdir()) == [], last
            # Whichever handlers are in place, no later interrupt is lost.
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
    finally:
        gc.enable()
        signal.signal(signal.SIGTERM, term)
        for number, handler in handlers.items():
            signal.signal(number, handler)
