"""Try in a forked child what cannot be undone in this process."""

from __future__ import annotations

import os
import select
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from mailtap.demo.network.namespace import NamespaceError, Step, threads

if TYPE_CHECKING:
    from collections.abc import Callable


def attempt(step: Callable[[], object], patience: float) -> None:
    """Call it in a forked child, which is gone when this returns.

    Args:
        step: what to call; it raises NamespaceError where it fails.
        patience: how many seconds the child has.

    Raises:
        NamespaceError: what the child raised; with `Step.TIME` where it did not answer.
    """
    if not hasattr(os, "fork"):
        raise NamespaceError(Step.SYSTEM, sys.platform)
    if (count := threads()) > 1:
        raise NamespaceError(Step.THREADS, f"{count} threads")
    # An interrupt now would unwind the child into the parent's code, or have the parent forget the child.
    # It comes when this is over: within milliseconds, or in the worst case when patience ends.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        _fork(step, patience)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _fork(step: Callable[[], object], patience: float) -> None:
    """Fork, hear the child's answer, and see it end."""
    answer, answering = os.pipe()
    try:
        child = os.fork()
    except OSError as error:  # no room for one more process
        os.close(answer)
        os.close(answering)
        raise NamespaceError(Step.ATTEMPT, error) from error
    if child == 0:
        _answer(step, answering)
    os.close(answering)
    try:
        _raise_answer(answer, patience)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(answer)


def _answer(step: Callable[[], object], pipe: int) -> NoReturn:
    """Be the child: try, write what went wrong, and end without running anything of the parent's."""
    try:
        step()
        os.write(pipe, b"works")
    except NamespaceError as error:
        _write(pipe, error)
    except Exception as error:  # noqa: BLE001  # the parent is told, and goes on with the next rung
        _write(pipe, NamespaceError(Step.ATTEMPT, f"{type(error).__name__}: {error}"))
    finally:
        os._exit(0)  # nothing of the parent's: no buffers flushed, no clean-up handlers


def _write(pipe: int, error: NamespaceError) -> None:
    text = f"{error.step} {error.errno or 0} {error.error}"
    os.write(pipe, text.encode(errors="replace")[: select.PIPE_BUF])


def _raise_answer(pipe: int, patience: float) -> None:
    """Read the child's answer, and raise what it raised."""
    if not select.select([pipe], [], [], patience)[0]:
        raise NamespaceError(Step.TIME, f"no answer in {patience} s")
    answer = os.read(pipe, select.PIPE_BUF).decode(errors="replace")
    if answer == "works":
        return
    if not answer:
        raise NamespaceError(Step.TIME, "the attempt died")
    failed, number, text = answer.split(" ", 2)
    raise NamespaceError(Step(failed), text, int(number) or None)
