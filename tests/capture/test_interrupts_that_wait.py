"""An interrupt waits where it must, comes at the end, and a second one does not wait."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from mailtap.capture.interrupts import interruptible, undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPT = signal.SIGINT


def held(done: list[str], times: int) -> None:
    """Be interrupted so often where interrupts wait, and do something after."""
    with undisturbed():
        for _ in range(times):
            signal.raise_signal(INTERRUPT)
        done.append("all")
    done.append("never")


def told(done: list[str], times: int) -> None:
    """The same where the first interrupt is told, and waits."""
    with interruptible() as interrupted:
        assert not interrupted()
        for _ in range(times):
            signal.raise_signal(INTERRUPT)
            assert interrupted()
        done.append("all")
    done.append("never")


@pytest.mark.parametrize(
    ("block", "times", "done"),
    [
        pytest.param(held, 1, ["all"], id="undisturbed"),
        pytest.param(held, 2, ["all"], id="undisturbed, twice"),
        pytest.param(told, 1, ["all"], id="interruptible"),
        pytest.param(told, 2, [], id="interruptible, by one who cannot wait"),
    ],
)
def test_an_interrupt_waits(block: Callable[[list[str], int], None], times: int, done: list[str]) -> None:
    did: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        block(did, times)
    assert did == done


def test_handlers_are_put_back_without_an_interrupt() -> None:
    before = signal.getsignal(INTERRUPT)
    with interruptible() as interrupted:
        assert signal.getsignal(INTERRUPT) is not before
    assert signal.getsignal(INTERRUPT) is before
    assert not interrupted()
