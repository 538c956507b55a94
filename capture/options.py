"""A command line whose help is in the reader's language (argparse)."""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from mailtap.capture import language
from mailtap.capture.language import N_

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import NoReturn

    from mailtap.capture.language import Say


USAGE: Final = 2
_WRONG: Final = N_("{program}: error: {problem}")
_REQUIRED: Final = "the following arguments are required: "
# What argparse finds wrong with a command line, by its own English words.
_PROBLEMS: Final = (
    (r"unrecognized arguments: (?P<names>.*)", N_("there is no such option or name here: {names}")),
    (rf"{_REQUIRED}(?P<names>.*)", N_("this is still to be named: {names}")),
    (r"argument (?P<option>.*?): expected one argument", N_("{option} needs a value")),
    (r"argument (?P<option>.*?): ignored explicit argument (?P<value>.*)", N_("{option} takes no value")),
    (
        r"argument (?P<option>.*?): invalid choice: (?P<value>.*) \(choose from (?P<choices>.*)\)",
        N_("{option} is one of {choices}, not {value}"),
    ),
    (r"argument (?P<option>.*?): invalid int value: (?P<value>.*)", N_("{option} is a number, not {value}")),
    (
        r"argument (?P<option>.*?): not allowed with argument (?P<other>.*)",
        N_("{option} and {other} cannot be given together"),
    ),
)


def reader_language(arguments: Sequence[str], *folders: Path) -> Say:
    """Return the `say` of the language that `--lang` asks for, else of the environment's.

    It has to be known before the command line is read, because the help is in it, too.

    Args:
        arguments: the command line without the program's name.
        folders: the `locale/` folders of the packages that will speak.
    """
    only = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    only.add_argument("--lang", choices=language.LANGUAGES)
    try:
        asked = only.parse_known_args(arguments)[0].lang
    except argparse.ArgumentError:  # the whole parser will say so, better
        asked = None
    return language.load(asked or language.from_environment(os.environ), *folders)


class Parser(argparse.ArgumentParser):
    """An argument parser that speaks the reader's language, and takes `--lang`."""

    def __init__(self, say: Say, *, nothing: str = "", **settings: Any) -> None:  # noqa: ANN401
        """Prepare.

        Args:
            say: speaks the reader's language.
            nothing: what to say where something has to be named and nothing is.
            settings: argparse's own.
        """

        def formatter(prog: str) -> argparse.HelpFormatter:
            return _Formatter(prog, say("usage: "))

        super().__init__(add_help=False, allow_abbrev=False, formatter_class=formatter, **settings)
        self._say, self._nothing = say, nothing
        self._prefix = say("usage: ")
        self._positionals.title = say("to name")
        self._optionals.title = say("options")
        self.add_argument("-h", "--help", action="help", help=say("show this help and exit"))
        self.add_argument(
            "--lang",
            choices=language.LANGUAGES,
            help=say("language of everything people read (default: from LANG)"),
        )

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and end the program."""
        self.print_usage(sys.stderr)
        said = self._say(_WRONG, program=self.prog, problem=self._told(message))
        from mailtap.capture.wrapping import fitted  # noqa: PLC0415  # only when something is wrong

        self.exit(USAGE, f"{fitted(said, sys.stderr)}\n")

    def _told(self, message: str) -> str:
        """Return what argparse says is wrong in the reader's language; what it does not know, as it is."""
        if self._nothing and message.startswith(_REQUIRED):
            return self._nothing
        for pattern, text in _PROBLEMS:
            if found := re.fullmatch(pattern, message, re.DOTALL):
                return self._say(text, **found.groupdict())
        return message

    def parse_in_any_order(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse a command line in which names and options may be mixed."""
        # Before Python 3.13, argparse cuts the usage after its own, English prefix.
        self.usage = self.format_usage().removeprefix(self._prefix).rstrip("\n")
        return self.parse_intermixed_args(arguments)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Lays the help out as it is written, with the word for "usage" given."""

    def __init__(self, prog: str, prefix: str) -> None:
        super().__init__(
            prog, max_help_position=28, width=76
        )  # a Japanese prefix is wider than argparse thinks
        self._prefix = prefix

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:  # noqa: ANN401
        """Add the usage line, which argparse would begin in English."""
        super().add_usage(usage, actions, groups, self._prefix if prefix is None else prefix)
