"""The three parts of `mailtap`: says what there is, and hands over to the one that is named."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from mailtap.capture.language import N_, explained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailtap.capture.language import Say

PARTS: Final = {
    "demo": "mailtap.demo.__main__",
    "capture": "mailtap.capture.__main__",
    "servers": "mailtap.demo.serve",
}

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


def run(arguments: list[str]) -> int:
    """Run the part that a command line begins with, and return its exit code."""
    first, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if first in PARTS:
        part = import_module(PARTS[first])
        code: int = part.main(rest)
        return code
    if first == "--version":
        from importlib.metadata import version  # noqa: PLC0415  # rarely asked for

        print(f"mailtap {version('mailtap')}")  # noqa: T201
        return 0
    say = _speak(arguments)
    if "-h" in arguments or "--help" in arguments:
        print(say(HELP))  # noqa: T201
        return 0
    problem = say("mailtap: there is no {name!r}.", name=first) + "\n\n" if first else ""
    print(problem + say(HELP), file=sys.stderr)  # noqa: T201
    return USAGE


def complain(error: OSError, arguments: Sequence[str]) -> None:
    """Say in the reader's language what the system refused."""
    from mailtap.capture.report import printable  # noqa: PLC0415  # only when something is wrong

    print(f"mailtap: {printable(explained(error, _speak(arguments)))}", file=sys.stderr)  # noqa: T201


def _speak(arguments: Sequence[str]) -> Say:
    from mailtap.demo.shell import speak  # noqa: PLC0415  # heavy, and each part brings its own

    return speak(arguments)
