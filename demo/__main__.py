"""The command `mailtap demo`: runs scenarios and tells what was heard."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from mailtap.capture import streams
from mailtap.capture.language import N_
from mailtap.capture.options import Parser
from mailtap.capture.wrapping import joined
from mailtap.demo import shell
from mailtap.demo.scenarios import BY_NAME, SCENARIOS
from mailtap.demo.shell import Exit
from mailtap.demo.telling.reader import Reader
from mailtap.demo.telling.words import listed

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from mailtap.capture.language import Say

FILES: Final = {
    "--pcap": N_("keep the capture, for Wireshark"),
    "--keys": N_("keep it readable: with the TLS keys inside (pcapng)"),
    "--wordlist": N_("words to guess passwords with, one a line"),
}
FORMATS: Final = ("text", "github", "html", "json")
_PAIR: Final = 2
STORY: Final = ("text", "json")
SHAPES: Final = {"matrix": FORMATS, "list": ("text", "github", "json")}  # all else is a story
EXAMPLES: Final = N_("""\
what to run:
  SCENARIO                 one scenario, told as a story (named by list)
  list                     the scenarios
  matrix                   every scenario, and a table of what each still leaks
  compare ONE OTHER        two scenarios side by side
  doctor                   what this machine can do, and what is missing

examples:
  mailtap demo plain       a password and a mail fall off the wire
  mailtap demo compare plain tls
                           the screen to leave up
  mailtap demo matrix --format html > matrix.html
                           the table as a page
  mailtap demo tls --pcap closed.pcap --keys open.pcapng
                           the same capture twice, opaque and readable
  mailtap demo apop --wordlist words.txt
                           guess the password with words of your own

exit codes:
  0 as expected   1 the wire did not show what the scenario says   2 usage
  3 this machine cannot listen (mailtap demo doctor says why)   130 interrupted""")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `mailtap demo` and return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    say = shell.speak(given)
    parser = _parser(say)
    options = parser.parse_in_any_order(given)
    options.format = options.format or ("json" if options.json else "text")
    options.json = options.format == "json"
    if options.json:
        streams.speak_utf8()
    problem = _problem(options, say)
    if problem:
        parser.error(problem)
    match options.what:
        case "list":
            return _list(options, say)
        case "doctor":
            from mailtap.demo import checkup  # noqa: PLC0415  # each door opens only its own room

            return checkup.main(options, say)
        case "matrix" | "compare":
            return _together(options, say)
        case name if name in BY_NAME:
            from mailtap.demo import lesson  # noqa: PLC0415

            return lesson.teach(BY_NAME[name], options, say)
        case name:
            return _unknown(name, say)


def _parser(say: Say) -> Parser:
    parser = Parser(
        say,
        prog="mailtap demo",
        description=say("Send and fetch a mail on this machine, listen on the wire, and tell what leaked."),
        epilog=say(EXAMPLES),
        nothing=say("name what to run, as in: mailtap demo plain (mailtap demo list shows what there is)"),
    )
    parser.add_argument("what", metavar="SCENARIO", help=say("a scenario, or list, matrix, compare, doctor"))
    parser.add_argument("rows", metavar="ROW", nargs="*", help=say("for compare: the two scenarios"))
    shell.add_reading_options(parser, say)
    for option, text in FILES.items():
        parser.add_argument(option, metavar="FILE", help=say(text))
    parser.add_argument(
        "--rung",
        choices=("private-network", "root-network", "host-loopback", "relay"),
        help=say("where to run (default: the best that works here)"),
    )
    parser.add_argument(
        "--step", action="store_true", help=say("wait for Enter between the parts of the story")
    )
    parser.add_argument(
        "--no-witness", action="store_true", help=say("do not ask tshark for a second opinion")
    )
    parser.add_argument(
        "--format", choices=FORMATS, help=say("how matrix and list are shown (default: text)")
    )
    return parser


def _problem(options: Namespace, say: Say) -> str | None:
    """Return what is wrong with a command line, in the reader's language; None where nothing is."""
    if options.what == "compare" and not len(set(options.rows)) == len(options.rows) == _PAIR:
        return say("compare takes two different scenarios, as in: mailtap demo compare plain tls")
    if options.what != "compare" and options.rows:
        return say("only compare takes more than one scenario")
    if options.format not in SHAPES.get(options.what, STORY):
        return say(
            "{what} cannot be shown as {format}, but as {formats}",
            what=options.what,
            format=options.format,
            formats=listed(SHAPES.get(options.what, STORY), say),
        )
    return None


def _list(options: Namespace, say: Say) -> int:
    from mailtap.demo.telling import handbook  # noqa: PLC0415

    if options.format == "text":
        sys.stdout.write(handbook.contents(SCENARIOS, Reader(say, shell.console().width)))
        return Exit.DONE
    # Files are UTF-8 everywhere, a terminal has its own encoding.
    shapes = {"github": handbook.handbook, "json": handbook.objects}
    sys.stdout.buffer.write(shapes[options.format](SCENARIOS, say).encode())
    return Exit.DONE


def _together(options: Namespace, say: Say) -> int:
    """Run several rows: those named, or all."""
    names = options.rows or list(BY_NAME)
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        return _unknown(unknown[0], say)
    from mailtap.demo import overview  # noqa: PLC0415

    return overview.show([BY_NAME[name] for name in names], options, say)


def _unknown(name: str, say: Say) -> int:
    """Say that there is no such scenario: at the end, where it is still on the screen; or the likely one."""
    from difflib import get_close_matches  # noqa: PLC0415

    from mailtap.demo.telling import handbook  # noqa: PLC0415

    console = shell.console(stderr=True)
    reader = Reader(say, console.width)
    typed = name.lower()
    begun = [known for known in BY_NAME if typed and known.startswith(typed)]
    likely = begun or get_close_matches(typed, BY_NAME)
    if likely:
        question = say("Did you mean {names}?", names=listed(likely, say))
        text = joined([say("There is no scenario {name!r}.", name=name), question])
    else:
        console.out(handbook.contents(SCENARIOS, reader))
        text = say("There is no scenario {name!r}. Those above are all there are.", name=name)
    for line in reader.wrapped(text):
        console.print(line, soft_wrap=True)
    return Exit.USAGE


if __name__ == "__main__":
    from mailtap.demo import command

    sys.exit(command.main(["demo", *sys.argv[1:]]))
