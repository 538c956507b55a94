"""No interrupt leaves a scratch folder behind, whenever it comes."""

from __future__ import annotations

import signal
import tempfile
import threading
from typing import TYPE_CHECKING

import pytest

from mailtap.capture import scratch

if TYPE_CHECKING:
    from pathlib import Path


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
