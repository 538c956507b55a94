"""Lets Ctrl-C, SIGTERM and SIGHUP end a command alike, wherever in the program they arrive."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

# Seconds until an interrupt that could not be raised comes again; long enough to be out of where it was.
AGAIN: Final = 0.01


def end_like_interrupt() -> None:
    """Let SIGTERM and SIGHUP end the program the way Ctrl-C does: with everything cleaned up."""
    for name in ("SIGTERM", "SIGHUP"):
        # Whoever started this with nohup wants it to outlive the terminal.
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN:
            signal.signal(getattr(signal, name), _end)
    if not isinstance(sys.unraisablehook, _Again):
        sys.unraisablehook = _Again(sys.unraisablehook)


def _end(number: int, frame: FrameType | None) -> None:
    """End the program, or as soon as possible: compiling a module, Python drops all but a KeyboardInterrupt.

    It does so where it works out what is constant; importlib calls the compiler from a function of this name.
    """
    if frame is not None and frame.f_code.co_name == "_call_with_frames_removed":
        _send_again(number)
    else:
        sys.exit(128 + number)


class _Again:
    """Sends an interrupt once more that arrived where Python can raise nothing.

    Such places are the callbacks of weak references (importing a module runs some) and finalizers: Python
    prints the exception there, and the program would go on as if nobody had interrupted it.
    """

    def __init__(self, hook: Callable[[sys.UnraisableHookArgs], object]) -> None:
        self._hook = hook

    def __call__(self, unraisable: sys.UnraisableHookArgs) -> None:
        match unraisable.exc_value:
            case KeyboardInterrupt():
                number = int(signal.SIGINT)
            case SystemExit(code=int(code)) if code > 128:  # noqa: PLR2004  # of _end()
                number = code - 128
            case _:
                self._hook(unraisable)
                return
        _send_again(number)


def _send_again(number: int) -> None:
    """Send an interrupt once more, when the program is out of where it was."""
    timer = threading.Timer(AGAIN, _send, [number])
    timer.daemon = True
    timer.start()


def _send(number: int) -> None:
    if hasattr(signal, "pthread_kill"):  # it wakes a main thread that waits
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        _thread.interrupt_main(signal.Signals(number))
