"""Gives the lesson: enters the lab, runs the scenarios, keeps the captures, and has the outcome told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtap.capture.guess import WordListError, bundled_words, read_words
from mailtap.capture.live import CaptureUnavailable
from mailtap.capture.model import Protocol
from mailtap.capture.sinks import SinkError, write_pcap, write_pcapng
from mailtap.capture.witness import Agreement, Verdict, compare, hear
from mailtap.demo import lab as ladder
from mailtap.demo import shell
from mailtap.demo.reader import Reader
from mailtap.demo.shell import Exit
from mailtap.servers import Security, ServersError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import Console

    from mailtap.capture.language import Say
    from mailtap.demo.lab import Lab
    from mailtap.demo.outcome import Outcome
    from mailtap.demo.scenarios import Scenario
    from mailtap.demo.telling import Telling


def teach(scenarios: Sequence[Scenario], options: Namespace, say: Say) -> int:
    """Run the scenarios, tell the outcome of each, and return the exit code.

    Args:
        scenarios: the rows to run; several are told as a matrix.
        options: the command line of `mailtap demo`.
        say: the reader's language.
    """
    aside = shell.console(stderr=True)
    try:
        words = _words(options.wordlist)
        lab = _enter(options.rung, aside, say)
        return _run(scenarios, lab, words, options, say)
    except WordListError as error:
        aside.print(say(str(error)))
        return Exit.USAGE
    except (ladder.LabUnavailable, CaptureUnavailable) as error:
        aside.print(say(str(error)))
        aside.print(say("This machine cannot listen as asked; mailtap demo doctor shows what it can do."))
        return Exit.CANNOT_LISTEN
    except (ServersError, SinkError) as error:
        aside.print(say(str(error)))
        return Exit.FAILED


def _words(path: str | None) -> Callable[[], Iterable[str]]:
    """Return what opens the word list; one that cannot be read is found out at once."""
    if path is None:
        return bundled_words
    next(iter(read_words(path)), None)
    return lambda: read_words(path)


def _enter(rung: str | None, aside: Console, say: Say) -> Lab:
    """Enter the best rung, or the one asked for, and say what is worth knowing about it."""
    lab = ladder.enter(ladder.choose(ladder.Rung(rung) if rung else None).rung)
    for note in (*lab.notes, *(failed.reason for failed in lab.failed)):
        aside.print(say(note))
    return lab


def _run(
    scenarios: Sequence[Scenario],
    lab: Lab,
    words: Callable[[], Iterable[str]],
    options: Namespace,
    say: Say,
) -> int:
    """Run and tell each scenario in turn; one that disagrees does not stop the others."""
    from mailtap.demo import stage  # noqa: PLC0415  # asyncio's machinery, only now that the lab is entered

    telling = _telling(options, say, several=len(scenarios) > 1)
    good = True
    for scenario in scenarios:
        outcome = stage.run(scenario, lab, words)
        _keep(outcome, options)
        telling.outcome(outcome)
        verdict = Verdict(agreement=Agreement.ABSENT) if options.no_witness else second_opinion(outcome)
        telling.second_opinion(outcome, verdict)
        good = good and outcome.ok and verdict.agreement is not Agreement.DISAGREES
    telling.end()
    return Exit.DONE if good else Exit.FAILED


def second_opinion(outcome: Outcome) -> Verdict:
    """Let tshark read the same capture, and compare what it heard with what our listener heard."""
    ports = {
        outcome.servers[hop].port: Protocol(service.protocol)
        for hop, service in outcome.scenario.services.items()
        if service.security is not Security.TLS
    }
    return compare(outcome.leaks, hear(outcome.packets, ports=ports))


def _telling(options: Namespace, say: Say, *, several: bool) -> Telling:
    from mailtap.demo import telling  # noqa: PLC0415  # rich and tabulate

    if options.json:
        return telling.JsonTelling(options.pcap, mask=options.mask)
    console = shell.console()
    reader = Reader(say, console.width, options.mask)
    return telling.MatrixTelling(console, reader) if several else telling.StoryTelling(console, reader)


def _keep(outcome: Outcome, options: Namespace) -> None:
    """Write the capture files that were asked for."""
    if options.pcap:
        write = write_pcapng if options.pcap.endswith("ng") else write_pcap
        write(options.pcap, outcome.packets)
    if options.keys:
        write_pcapng(options.keys, outcome.packets, secrets=outcome.key_log)
