"""The command `mailtap capture`: what leaks in capture files, on standard input, or live."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mailtap.capture import arguments, streams
from mailtap.capture.arguments import STDIN
from mailtap.capture.engine import Engine
from mailtap.capture.language import N_, Explained, explained, system_reason
from mailtap.capture.model import Leak, Mail, Note
from mailtap.capture.options import reader_language
from mailtap.capture.pipeline import Listener
from mailtap.capture.printer import NO_LOGIN, NOTHING, JsonPrinter, LinePrinter, TablePrinter
from mailtap.capture.progress import Bar, Beside, is_long
from mailtap.capture.report import printable
from mailtap.capture.sources import handfuls
from mailtap.capture.wrapping import fitted, joined

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mailtap.capture.backlog import Backlog
    from mailtap.capture.files.pcapfile import Handful
    from mailtap.capture.keeping import Keeper
    from mailtap.capture.language import Say
    from mailtap.capture.live import LiveCapture
    from mailtap.capture.printer import Printer
    from mailtap.capture.share import Work
    from mailtap.capture.shares import Item
    from mailtap.capture.sources import Readable

DONE, DAMAGED, USAGE, CANNOT_LISTEN, INTERRUPTED = 0, 1, 2, 3, 130

_LIVE = "live"
_MAIL_PORTS = (25, 110, 143, 465, 587, 993, 995)
_WEB_PORTS = (80, 8080, 18080)  # for webmail; nothing is said of other sites
_LIVE_PORTS = (*_MAIL_PORTS, *(10_000 + port for port in _MAIL_PORTS), *_WEB_PORTS)  # the toy servers' too
_PIPE_WIDTH = 120  # columns of a table that no terminal limits
_LIVE_BUFFER = 64 * 1024 * 1024  # bytes


def main(argv: Sequence[str] | None = None) -> int:
    """Run `mailtap capture` and return its exit code.

    Args:
        argv: the arguments after the command's name; by default the process's own.
    """
    streams.prepare()
    given = sys.argv[1:] if argv is None else argv
    say = reader_language(given, Path(__file__).parent / "locale")
    options = arguments.parser(say).parse_args(given)
    if options.json:
        streams.speak_utf8()
    try:
        code = _Run(options, say).run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        # Nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # whoever read our output has had enough
            return DONE
        print(f"mailtap: {printable(explained(error, say))}", file=sys.stderr)  # noqa: T201
        return DAMAGED
    return code


class _Unreadable(Exception):  # noqa: N818  # what cannot be read, not what is printed of it
    """A capture cannot be read; why is its cause."""


@contextmanager
def _reading() -> Iterator[None]:
    """Tell what goes wrong where a capture is read from what goes wrong where something is printed."""
    try:
        yield
    except OSError as error:
        raise _Unreadable(system_reason(error)) from error


def _read(source: Readable) -> Iterator[Handful]:
    """Yield what is in a capture."""
    with _reading():
        yield from handfuls(source)


class _Run:
    """One run of the command."""

    def __init__(self, options: Namespace, say: Say) -> None:
        self._options = options
        self._say = say
        self._damage = False
        self._keeper: Keeper | None = None
        self._open = ExitStack()  # what has to be closed however the run ends

    def run(self) -> int:
        """Do what was asked, and return the exit code."""
        options = self._options
        if problem := arguments.problem(options):
            self._complain(problem)
            return USAGE
        try:
            if options.guess and options.wordlist is not None:
                from mailtap.capture.guess import read_words  # noqa: PLC0415  # only when used

                next(read_words(options.wordlist), None)  # whether it can be read
            if options.save is not None:
                from mailtap.capture.keeping import Keeper  # noqa: PLC0415  # only when used

                self._keeper = Keeper(options.save)
            with self._open:
                code = self._live() if options.live else self._files()
        except Explained as error:  # a word list cannot be read; a folder or a file in it cannot be written
            self._complain("{reason}", reason=explained(error, self._say))
            return USAGE
        if self._keeper is not None:
            self._complain(
                N_("Saved in {folder}: messages {messages:,}, attachments {attachments:,}."),
                messages=self._keeper.messages,
                attachments=self._keeper.attachments,
                folder=options.save,
            )
        return code

    def _files(self) -> int:
        """Tell what leaks in all files, and return the exit code."""
        options = self._options
        if options.jobs > 1 and len(options.files) > 1 and options.json and options.save is None:
            return self._at_once()
        readable = [self._file(name) for name in self._options.files]
        if not all(readable):
            return USAGE
        return DAMAGED if self._damage else DONE

    def _at_once(self) -> int:
        """Tell the same, several files being read at once."""
        from mailtap.capture.jobs import tell  # noqa: PLC0415  # only when used

        codes = set(tell(self._options))
        return next((code for code in (INTERRUPTED, USAGE, DAMAGED) if code in codes), max(map(abs, codes)))

    def _file(self, name: str) -> bool:
        """Tell what leaks in one file; return whether it could be read."""
        try:
            with self._source(name) as source:
                printer = self._printer(name, source)
                for items in self._heard(name, source):
                    for item in items:
                        self._show(item, printer, name)
                    printer.flush()
        except _Unreadable as error:
            reason = self._say(str(error))
            self._complain(N_("Cannot read {file}: {reason}."), file=name, reason=reason)
            return False
        printer.end()
        return True

    def _heard(self, name: str, source: Readable) -> Iterator[Iterable[Item]]:
        """Yield what leaks in one file, handful by handful; each is to be gone through before the next."""
        if self._options.jobs > 1 and name != STDIN:
            from mailtap.capture import shares  # noqa: PLC0415  # only when used

            if shares.is_worth_it(name):
                with _reading():
                    for heard in shares.hear(self._work(name)):
                        if isinstance(source, Bar):
                            source.reach(heard.at)
                        yield heard.items
                return
        listener = self._listener(name)
        for handful in _read(source):
            yield listener.hear_together(handful)
        yield listener.close()

    def _work(self, name: str) -> Work:
        """Return what each of several processes is to do with a file."""
        from mailtap.capture.share import Work  # noqa: PLC0415  # only when used

        options = self._options
        return Work(
            name,
            0,
            options.jobs,
            logins=options.logins,
            lines=options.json,
            mask=options.mask,
            guess=options.guess,
            mails=self._keeper is not None,
        )

    @contextmanager
    def _source(self, name: str) -> Iterator[Readable]:
        """Open a file, with a bar where it is long and somebody watches."""
        if name == STDIN:
            yield sys.stdin.buffer
            return
        # Unbuffered: the reader has its own buffer, and a pipe gives what it has.
        with _reading():
            opened = Path(name).open("rb", buffering=0)  # noqa: SIM115  # closed below
        with opened as file:
            if self._watched() and is_long(file):
                with Bar(file, printable(Path(name).name)) as bar:
                    yield bar
            else:
                yield file

    def _watched(self) -> bool:
        """Return whether somebody watches who is to see that something goes on."""
        # Lines that come as they are heard show that themselves.
        lines = self._options.json and sys.stdout.isatty()
        return sys.stderr.isatty() and not lines

    def _printer(self, name: str, source: Readable | None = None) -> Printer:
        """Return what prints the leaks of one file; of a stream, they are printed as they come."""
        options = self._options
        streaming = name == STDIN or options.live
        if options.json:
            printer: Printer = JsonPrinter(sys.stdout, None if options.live else name, mask=options.mask)
        elif streaming:
            nothing = NO_LOGIN if options.logins else NOTHING
            printer = LinePrinter(sys.stdout, sys.stderr, self._say, mask=options.mask, nothing=nothing)
        else:
            printer = self._table(name, source)
        if not options.guess:
            return printer
        from mailtap.capture.guessing import GuessingPrinter, Manner  # noqa: PLC0415  # only when used

        manner = Manner(
            options.wordlist,
            at_once=streaming,
            patient=not options.live,
            say=self._say if self._watched() and not streaming else None,
            share=options.beside,
        )
        guessing = GuessingPrinter(printer, manner)
        self._open.callback(guessing.close)
        return guessing

    def _table(self, name: str, source: Readable | None) -> TablePrinter:
        """Return what prints the leaks of one file as a table."""
        options = self._options
        heading = f"== {printable(name)}" if len(options.files) > 1 else ""
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPE_WIDTH
        out = Beside(sys.stdout, source) if isinstance(source, Bar) and sys.stdout.isatty() else sys.stdout
        nothing = NO_LOGIN if options.logins else NOTHING
        return TablePrinter(
            out, sys.stderr, self._say, heading, mask=options.mask, width=width, nothing=nothing
        )

    def _listener(self, name: str) -> Listener:
        """Return what listens to one capture, and hands its messages over if they are to be kept."""
        keeper = self._keeper
        keep = None if keeper is None else lambda mail: keeper.keep_mail(mail, _capture_name(name))
        return Listener(keep, logins_only=self._options.logins)

    def _show(self, item: Item, printer: Printer, name: str) -> None:
        """Print a leak or a note; keep a message or an attachment."""
        if isinstance(item, str):
            sys.stdout.write(item + "\n")
            return
        if isinstance(item, Mail):
            if self._keeper is not None:
                self._keeper.keep_mail(item, _capture_name(name))
            return
        printer.show(item)
        if self._keeper is not None and isinstance(item, Leak):
            self._keeper.keep_attachment(item, _capture_name(name))
        if isinstance(item, Note):
            self._damage = self._damage or item.damage

    def _live(self) -> int:
        """Tell what leaks on the loopback interface until interrupted."""
        from mailtap.capture.backlog import Backlog  # noqa: PLC0415  # slow to load, all of these
        from mailtap.capture.interrupts import interruptible  # noqa: PLC0415
        from mailtap.capture.live import CaptureUnavailable, LiveCapture  # noqa: PLC0415

        packets = Backlog()
        options = self._options
        where = {} if options.interface is None else {"interface": options.interface}
        ports = tuple(options.port or _LIVE_PORTS)
        capture = LiveCapture(
            ports=ports,
            on_packets=packets.put,
            keep=False,
            buffer=_LIVE_BUFFER,
            engine=Engine(options.engine),
            **where,
        )
        try:
            # No login is lost because Ctrl-C fell into the middle of it, or followed at once.
            with capture, interruptible() as interrupted:
                listening = N_("Listening on this machine's loopback ({engine}). Ctrl-C ends it.")
                said = [self._say(listening, engine=capture.engine)]
                if capture.instead is not None:
                    said.append(explained(capture.instead, self._say))
                self._complain("{reason}", reason=joined(said))
                self._hear(packets, capture, interrupted)
        except CaptureUnavailable as error:
            self._complain("{reason}", reason=explained(error, self._say))
            return CANNOT_LISTEN
        return INTERRUPTED

    def _hear(self, packets: Backlog, capture: LiveCapture, interrupted: Callable[[], bool]) -> None:
        """Tell what leaks in the packets that come, until interrupted, and then what was still waiting."""
        printer, listener = self._printer(_LIVE), self._listener(_LIVE)

        def hear(handful: Handful) -> None:
            for item in listener.hear_together(handful):
                self._show(item, printer, _LIVE)
            printer.flush()

        recording = packets.hear(hear, interrupted, capture.stop)
        for item in (*listener.close(), *recording.shortfall):
            self._show(item, printer, _LIVE)
        printer.end()

    def _complain(self, text: str, **values: str | int) -> None:
        print(fitted(printable(self._say(text, **values)), sys.stderr), file=sys.stderr)  # noqa: T201


def _capture_name(name: str) -> str:
    """Return the name that files saved from a capture begin with."""
    return "stdin" if name == STDIN else Path(name).stem


if __name__ == "__main__":
    sys.exit(main())
