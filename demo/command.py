"""The command `mailtap`: whatever ends it early, it ends without a traceback.

An interrupt while modules are imported must find `main` watching, so nothing that takes time is imported
before: only what Python itself has loaded by then.
"""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C
FAILED = 1


def main(arguments: list[str] | None = None) -> int:
    """Run one part and return its exit code.

    Args:
        arguments: the command line without the program's name; by default the process's own.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(given)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough. Nothing may be written at exit either.
        _silence()
        return 0
    except OSError as error:
        from mailtap.demo import parts  # noqa: PLC0415  # see above

        parts.complain(error, given)
        _silence()
        return FAILED


def _run(given: list[str]) -> int:
    from mailtap.demo.interrupts import end_like_interrupt  # noqa: PLC0415  # see above, and so the others

    end_like_interrupt()
    from mailtap.capture import streams  # noqa: PLC0415

    streams.prepare()
    from mailtap.demo import parts  # noqa: PLC0415

    try:
        return parts.run(given)
    finally:  # --help ends by SystemExit
        sys.stdout.flush()


def _silence() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
