"""The command `mailtap`: says what there is, and hands over to one of its three parts."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from mailtap.capture import streams
from mailtap.capture.language import N_, explained
from mailtap.capture.report import printable
from mailtap.demo.interrupts import end_like_interrupt

if TYPE_CHECKING:
    from collections.abc import Sequence

PARTS: Final = {
    "demo": "mailtap.demo.__main__",
    "capture": "mailtap.capture.__main__",
    "servers": "mailtap.demo.serve",
}

INTERRUPTED: Final = 130  # what a shell reports for a program ended by Ctrl-C
FAILED: Final = 1
USAGE: Final = 2

HELP: Final = N_("""\
mailtap: see what an eavesdropper sees when mail crosses a network.

  mailtap demo SCENARIO     send and fetch a mail, and tell what leaked
  mailtap demo list         the scenarios; matrix: all of them in one table;
                            compare ONE OTHER: two of them side by side;
                            doctor: what this machine can do
  mailtap capture FILE...   what leaks in capture files (- is standard input)
  mailtap servers           toy mail servers for a mail program of your own

Each has --help. Start with: mailtap demo plain, then: mailtap demo tls
Everything happens on this machine's own loopback or in a private network;
no other interface is ever listened to.""")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one part and return its exit code.

    Args:
        arguments: the command line without the program's name; by default the process's own.
    """
    end_like_interrupt()
    streams.prepare()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            code = _run(given)
        finally:  # --help ends by SystemExit
            sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough. Nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        from mailtap.demo.shell import speak  # noqa: PLC0415  # heavy, and each part brings its own

        print(f"mailtap: {printable(explained(error, speak(given)))}", file=sys.stderr)  # noqa: T201
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


def _run(arguments: list[str]) -> int:
    first, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if first in PARTS:
        part = import_module(PARTS[first])
        code: int = part.main(rest)
        return code
    if first == "--version":
        from importlib.metadata import version  # noqa: PLC0415  # rarely asked for

        print(f"mailtap {version('mailtap')}")  # noqa: T201
        return 0
    from mailtap.demo.shell import speak  # noqa: PLC0415  # heavy, and each part brings its own

    say = speak(arguments)
    if "-h" in arguments or "--help" in arguments:
        print(say(HELP))  # noqa: T201
        return 0
    problem = say("mailtap: there is no {name!r}.", name=first) + "\n\n" if first else ""
    print(problem + say(HELP), file=sys.stderr)  # noqa: T201
    return USAGE
