"""The command line of `mailtap capture`: its options, their help, and what is wrong with how it was given."""

from __future__ import annotations

from argparse import SUPPRESS, BooleanOptionalAction
from typing import TYPE_CHECKING, Final

from mailtap.capture.engine import Engine
from mailtap.capture.language import N_
from mailtap.capture.options import Parser

if TYPE_CHECKING:
    from argparse import Namespace

    from mailtap.capture.language import Say

STDIN: Final = "-"
_PORTS: Final = range(1, 65_536)

_DESCRIPTION = N_("""\
Tell what an eavesdropper learns from a capture of mail traffic (SMTP, POP3,
IMAP, webmail over HTTP): user names, passwords, digests, addresses, subjects,
bodies, attachments, and what TLS hides. Reads pcap and pcapng, packed with gzip
or not, and knows them by content.""")

_EPILOG = N_("""\
examples:
  mailtap capture session.pcapng          a table of what leaked
  mailtap capture --json *.pcap           one JSON object a line, for programs
  tcpdump -i lo -w - | mailtap capture -  leaks as they happen
  mailtap capture --live                  the same, from this machine's loopback
  mailtap capture --mask session.pcap     passwords and digests as stars
  mailtap capture --logins *.pcap         logins only, faster
  mailtap capture --jobs 4 large.pcap     with four processes, faster
  mailtap capture --save mail x.pcap      messages and attachments as files

exit codes:
  0 done   1 the input was damaged   2 usage, or a file could not be read
  3 this machine cannot listen   130 interrupted

Only the loopback interface is ever listened to; any other is refused.""")


def parser(say: Say) -> Parser:
    """Return what reads the command line, with help in the reader's language."""
    made = Parser(say, prog="mailtap capture", description=say(_DESCRIPTION), epilog=say(_EPILOG))
    made.add_argument("files", nargs="*", metavar="FILE", help=say("capture files; - is standard input"))
    made.add_argument(
        "--live", action="store_true", help=say("listen to the loopback interface until Ctrl-C")
    )
    made.add_argument(
        "--interface",
        metavar="NAME",
        help=say("with --live: another loopback interface than the usual one"),
    )
    made.add_argument(
        "--port",
        metavar="N",
        type=int,
        action="append",
        help=say(
            "with --live: listen to this port; may be repeated (default: the mail ports, and 10000"
            " higher, and 80, 8080, 18080, of which only webmail is told)"
        ),
    )
    made.add_argument(
        "--engine",
        choices=[str(engine) for engine in Engine],
        default=str(Engine.AUTO),
        help=say("with --live: what listens; ring is for load, on Linux (default: ring, else scapy)"),
    )
    made.add_argument("--json", action="store_true", help=say("one JSON object a line, for programs"))
    made.add_argument(
        "--logins", action="store_true", help=say("logins only: messages are passed over, which is faster")
    )
    made.add_argument(
        "--jobs",
        metavar="N",
        type=int,
        default=1,
        help=say("listen with so many processes at once; what is told stays the same"),
    )
    # Of how many processes that listen at once this is one: they share the processors when they guess.
    made.add_argument("--beside", type=int, default=1, help=SUPPRESS)
    made.add_argument("--mask", action="store_true", help=say("passwords, tokens and digests as stars"))
    made.add_argument(
        "--save",
        metavar="DIR",
        help=say("write messages (.eml) and attachments into this folder; nothing is overwritten"),
    )
    made.add_argument(
        "--guess",
        action=BooleanOptionalAction,
        default=True,
        help=say("guess passwords from APOP and CRAM-MD5 digests by a word list (default: yes)"),
    )
    made.add_argument("--wordlist", metavar="FILE", help=say("guess with these words, one a line"))
    return made


def problem(options: Namespace) -> str:
    """Return what is wrong with the arguments; empty where nothing is."""
    ports = options.port or ()
    wrong = (
        (options.live and options.files, N_("Give either files or --live, not both.")),
        (
            not (options.live or options.files),
            N_("Give capture files to read, - for standard input, or --live. See --help."),
        ),
        (
            options.logins and options.save is not None,
            N_("--save keeps messages, which --logins passes over. Give one of the two."),
        ),
        (options.jobs < 1, N_("--jobs is how many processes listen at once: 1 or more.")),
        (any(port not in _PORTS for port in ports), N_("--port is a TCP port: a number from 1 to 65535.")),
        (options.files.count(STDIN) > 1, N_("Standard input can be read once only.")),
    )
    return next((text for is_so, text in wrong if is_so), "")
