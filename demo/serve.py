"""The command `mailtap servers`: the toy servers, for a mail program of your own, until Ctrl-C."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mailtap.capture import streams
from mailtap.capture.backlog import Backlog
from mailtap.capture.interrupts import interruptible
from mailtap.capture.language import N_, system_reason
from mailtap.capture.live import CaptureUnavailable
from mailtap.capture.model import Note
from mailtap.capture.options import Parser
from mailtap.capture.pipeline import Listener
from mailtap.capture.scratch import scratch_folder
from mailtap.capture.silence import NOTHING_THERE
from mailtap.demo import cast, shell
from mailtap.demo.lab import LabUnavailable, Rung, enter, enter_unheard, probe
from mailtap.demo.offices import open_servers
from mailtap.demo.overheard import Overheard
from mailtap.demo.settings import Settings
from mailtap.demo.shell import Aside, Exit
from mailtap.servers import LabCertificates, Security, ServerProtocol, ServersError, Service

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping, Sequence

    from mailtap.capture.language import Say
    from mailtap.capture.model import Leak
    from mailtap.demo.lab import Lab
    from mailtap.demo.network.tap import Tap
    from mailtap.servers import ToyServers

SMTP, POP3, IMAP = ServerProtocol.SMTP, ServerProtocol.POP3, ServerProtocol.IMAP
HTTP = ServerProtocol.HTTP
CLEAR: Final = ("PLAIN", "LOGIN")
EVERYTHING: Final = (*CLEAR, "CRAM-MD5")

# What each option starts; without any, `all`.
# Browsers refuse port 10080, so the webmail is not on port 80 before it is moved up.
OFFERS: Final[Mapping[str, tuple[Service, ...]]] = {
    "all": (
        Service(protocol=SMTP, security=Security.STARTTLS, port=25, mechanisms=EVERYTHING),
        Service(protocol=SMTP, security=Security.TLS, port=465, mechanisms=EVERYTHING),
        Service(protocol=POP3, security=Security.STARTTLS, port=110, mechanisms=EVERYTHING, apop=True),
        Service(protocol=POP3, security=Security.TLS, port=995, mechanisms=EVERYTHING, apop=True),
        Service(protocol=IMAP, security=Security.STARTTLS, port=143, mechanisms=EVERYTHING),
        Service(protocol=IMAP, security=Security.TLS, port=993, mechanisms=EVERYTHING),
        Service(protocol=HTTP, security=Security.PLAIN, port=8080),
        Service(protocol=HTTP, security=Security.TLS, port=8443),
    ),
    "plain": (
        Service(protocol=SMTP, security=Security.PLAIN, port=25, mechanisms=CLEAR),
        Service(protocol=POP3, security=Security.PLAIN, port=110, mechanisms=CLEAR),
        Service(protocol=IMAP, security=Security.PLAIN, port=143, mechanisms=CLEAR),
        Service(protocol=HTTP, security=Security.PLAIN, port=8080),
    ),
    "apop": (
        Service(protocol=SMTP, security=Security.PLAIN, port=25, mechanisms=("CRAM-MD5",)),
        Service(protocol=POP3, security=Security.PLAIN, port=110, user_pass=False, apop=True),
        Service(protocol=IMAP, security=Security.PLAIN, port=143, user_pass=False, mechanisms=("CRAM-MD5",)),
    ),
    "starttls": (
        Service(protocol=SMTP, security=Security.STARTTLS, port=587, mechanisms=CLEAR, clear_login=False),
        Service(protocol=POP3, security=Security.STARTTLS, port=110, mechanisms=CLEAR, clear_login=False),
        Service(protocol=IMAP, security=Security.STARTTLS, port=143, mechanisms=CLEAR, clear_login=False),
    ),
    "tls": (
        Service(protocol=SMTP, security=Security.TLS, port=465, mechanisms=CLEAR),
        Service(protocol=POP3, security=Security.TLS, port=995, mechanisms=CLEAR),
        Service(protocol=IMAP, security=Security.TLS, port=993, mechanisms=CLEAR),
        Service(protocol=HTTP, security=Security.TLS, port=8443),
    ),
}

HELP: Final = {
    "plain": N_("SMTP, POP3, IMAP and webmail in clear"),
    "apop": N_("APOP and CRAM-MD5, nothing else"),
    "starttls": N_("STARTTLS and STLS; no login before TLS"),
    "tls": N_("SMTP, POP3, IMAP and webmail over SSL/TLS from the first byte"),
}

NO_CA: Final = N_("The certificate cannot be written to {file} ({error}): choose another file with --ca.")
_BEAT: Final = 0.5  # seconds between looks for Ctrl-C where the system does not interrupt a wait


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `mailtap servers` and return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    say = shell.speak(given)
    options = _parser(say).parse_args(given)
    if options.json:
        streams.speak_utf8()
    aside = Aside(say)
    try:
        return _serve(options, say, aside)
    except LabUnavailable as error:
        for tried in error.probes:
            aside.say(tried.reason, tried.mend, before=f"{tried.rung}: ", after=tried.detail)
        return Exit.CANNOT_LISTEN
    except CaptureUnavailable as error:
        aside.say(error)
        return Exit.CANNOT_LISTEN
    except BrokenPipeError:  # whoever read our output has had enough
        raise
    except (ServersError, OSError) as error:
        aside.say(error)
        return Exit.FAILED


def _parser(say: Say) -> Parser:
    parser = Parser(
        say,
        prog="mailtap servers",
        description=say("Toy mail servers, for your own mail program or browser, until Ctrl-C."),
        epilog=say("Without a choice, all of it is offered: in clear, STARTTLS, and over SSL/TLS."),
    )
    shell.add_reading_options(parser, say)
    choice = parser.add_mutually_exclusive_group()
    for name, text in HELP.items():
        choice.add_argument(
            f"--{name}", action="store_const", dest="offer", const=name, default="all", help=say(text)
        )
    parser.add_argument(
        "--tap", action="store_true", help=say("print what leaks while the mail program talks")
    )
    parser.add_argument("--ca", metavar="FILE", help=say("where to write the certificate to trust"))
    return parser


def _serve(options: Namespace, say: Say, aside: Aside) -> int:
    """Start the servers, say how to reach them, and hear or wait until interrupted."""
    lab = _lab(tap=options.tap)
    for note in lab.remarks:
        aside.say(note)
    with ExitStack() as stack:
        offered = dict(enumerate(OFFERS[options.offer]))
        certificates, ca = None, None
        if any(service.security is not Security.PLAIN for service in offered.values()):
            folder = stack.enter_context(scratch_folder())
            certificates = LabCertificates()
            ca = Path(options.ca or Path(folder, "mailtap-ca.pem")).absolute()
            try:
                ca.write_bytes(certificates.ca_pem)
            except OSError as error:
                aside.say(say(NO_CA, file=ca, error=say(system_reason(error))))
                return Exit.FAILED
        servers, services, remarks = stack.enter_context(open_servers(offered, lab, certificates, say=say))
        _fill_mailbox(servers)
        endpoints = {str(key): servers.endpoints[service] for key, service in services.items()}
        packets, tap = Backlog(), None
        if options.tap:
            well_known = {str(key): service.port for key, service in offered.items()}
            tap = lab.tap(endpoints, well_known=well_known, on_packets=packets.put, keep=False)
            endpoints = stack.enter_context(tap).endpoints
            remarks += tap.remarks
        for remark in remarks:
            aside.say(remark)
        told = Settings([(service, endpoints[str(key)]) for key, service in offered.items()], ca)
        if tap is None:
            told.tell(options, say, kept=bool(options.ca))
            _wait()
        else:
            with interruptible() as interrupted:  # whoever reads this may talk, and end it, at once
                told.tell(options, say, kept=bool(options.ca))
                _hear(packets, tap, Overheard(options, say), interrupted)
    return Exit.DONE


def _lab(*, tap: bool) -> Lab:
    """Return where a mail program of this machine can reach the servers: its own loopback."""
    if not tap:
        return enter_unheard()
    return enter(Rung.HOST_LOOPBACK if probe(Rung.HOST_LOOPBACK).works else Rung.RELAY)


def _fill_mailbox(servers: ToyServers) -> None:
    """Put a mail into Taro's mailbox, so that there is something to fetch."""
    mail = cast.compose(datetime.now(UTC))
    servers.mailboxes[cast.TARO.username].add(mail, sender=cast.HANAKO.address)


def _hear(packets: Backlog, tap: Tap, told: Overheard, interrupted: Callable[[], bool]) -> None:
    """Tell what leaks, as packets come, until Ctrl-C, and then what was still on its way."""
    listener = Listener()
    recording = packets.hear(
        lambda handful: told.heard(listener.hear_together(handful)), interrupted, tap.end
    )
    # All that was heard is of these servers: their webmail is no mail protocol.
    told.heard(item for item in listener.close() if not _is_no_news(item))
    told.heard(recording.shortfall)


def _wait() -> None:
    """Wait until Ctrl-C."""
    while True:
        time.sleep(_BEAT)


def _is_no_news(item: Leak | Note) -> bool:
    return isinstance(item, Note) and item.text in NOTHING_THERE
