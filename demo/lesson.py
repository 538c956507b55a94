"""Gives the lesson: enters the lab, runs the scenarios, keeps the captures, and has the outcome told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mailtap.capture.guess import WordListError, bundled_words, read_words
from mailtap.capture.language import N_
from mailtap.capture.live import CaptureUnavailable
from mailtap.capture.model import Protocol
from mailtap.capture.sinks import SinkError, require_writable, write_pcap, write_pcapng
from mailtap.capture.witness import Agreement, Verdict, compare, hear
from mailtap.demo import lab as ladder
from mailtap.demo import shell
from mailtap.demo.shell import Aside, Exit
from mailtap.demo.telling.reader import Reader
from mailtap.servers import Security, ServersError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Sequence

    from mailtap.capture.language import Say
    from mailtap.demo.lab import Lab
    from mailtap.demo.outcome import Outcome
    from mailtap.demo.scenarios import Scenario
    from mailtap.demo.telling.tellers import Telling


def teach(scenarios: Sequence[Scenario], options: Namespace, say: Say) -> int:
    """Run the scenarios, tell the outcome of each, and return the exit code.

    Args:
        scenarios: the rows to run; several are told as a matrix.
        options: the command line of `mailtap demo`.
        say: the reader's language.
    """
    aside = Aside(say)
    try:
        words = _words(options.wordlist)
        for path in filter(None, (options.pcap, options.keys)):
            require_writable(path)
        lab = _enter(options.rung, aside)
        telling = _telling(options, say, several=len(scenarios) > 1)
        lesson = _Lesson(lab, words, options, telling, aside, several=len(scenarios) > 1)
        good = [lesson.give(scenario) for scenario in scenarios]
        telling.end()
    except (WordListError, SinkError) as error:
        aside.say(error)
        return Exit.USAGE
    except ladder.LabUnavailable as error:
        for probe in error.probes:
            aside.say(probe.reason, probe.mend, before=f"{probe.rung}: ", after=probe.detail)
        return Exit.CANNOT_LISTEN
    except CaptureUnavailable as error:
        aside.say(error, N_("mailtap demo doctor shows what this machine can do."))
        return Exit.CANNOT_LISTEN
    except ServersError as error:
        aside.say(error)
        return Exit.FAILED
    return Exit.DONE if all(good) else Exit.FAILED


def _words(path: str | None) -> Callable[[], Iterable[str]]:
    """Return what opens the word list; one that cannot be read is found out at once."""
    if path is None:
        return bundled_words
    next(iter(read_words(path)), None)
    return lambda: read_words(path)


def _enter(rung: str | None, aside: Aside) -> Lab:
    """Enter the best rung, or the one asked for, and say what is worth knowing about it."""
    lab = ladder.enter(ladder.choose(ladder.Rung(rung) if rung else None).rung)
    for note in (*lab.notes, *(failed.reason for failed in lab.failed)):
        aside.say(note)
    return lab


@dataclass(frozen=True, slots=True)
class _Lesson:
    """All that a lesson needs besides its scenario."""

    lab: Lab
    words: Callable[[], Iterable[str]]
    options: Namespace
    telling: Telling
    aside: Aside
    several: bool

    def give(self, scenario: Scenario) -> bool:
        """Run a scenario, tell its outcome, and return whether it is as expected."""
        from mailtap.demo import stage  # noqa: PLC0415  # asyncio, only now that the lab is entered

        outcome = stage.run(scenario, self.lab, self.words)
        for remark in outcome.remarks:
            self.aside.say(remark)
        self.telling.outcome(outcome)
        self._keep(outcome)
        absent = Verdict(agreement=Agreement.ABSENT)
        verdict = absent if self.options.no_witness else second_opinion(outcome)
        self.telling.second_opinion(outcome, verdict)
        return outcome.ok and verdict.agreement is not Agreement.DISAGREES

    def _keep(self, outcome: Outcome) -> None:
        """Write the capture files that were asked for."""
        if self.options.pcap:
            path = self._place(self.options.pcap, outcome)
            write = write_pcapng if path.suffix == ".pcapng" else write_pcap
            write(path, outcome.packets)
        if self.options.keys:
            write_pcapng(self._place(self.options.keys, outcome), outcome.packets, secrets=outcome.key_log)

    def _place(self, name: str, outcome: Outcome) -> Path:
        """Return where to write; of several scenarios, each has a file of its own: `lesson-tls.pcap`."""
        path = Path(name)
        return path.with_stem(f"{path.stem}-{outcome.scenario.name}") if self.several else path


def second_opinion(outcome: Outcome) -> Verdict:
    """Let tshark read the same capture, and compare what it heard with what our listener heard."""
    ports = {
        server.port: Protocol(leg.service.protocol)
        for leg, server in zip(outcome.scenario.legs, outcome.endpoints, strict=True)
        if leg.service.security is not Security.TLS
    }
    return compare(outcome.leaks, hear(outcome.packets, ports=ports))


def _telling(options: Namespace, say: Say, *, several: bool) -> Telling:
    from mailtap.demo.telling import tellers  # noqa: PLC0415  # rich and tabulate

    if options.json:
        return tellers.JsonTelling(options.pcap, mask=options.mask)
    console = shell.console()
    reader = Reader(say, console.width, options.mask)
    if several:
        return tellers.MatrixTelling(console, reader)
    return tellers.StoryTelling(console, reader, step=options.step)
