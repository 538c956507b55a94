"""Gives a lesson: enters the lab, runs a scenario, keeps the capture, and has the outcome told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtap.capture.guess import WordListError, bundled_words, read_words
from mailtap.capture.language import N_
from mailtap.capture.live import CaptureUnavailable
from mailtap.capture.model import Protocol
from mailtap.capture.sinks import SinkError
from mailtap.capture.witness import Agreement, Verdict, compare, hear
from mailtap.demo import lab as ladder
from mailtap.demo import shell
from mailtap.demo.captures import Captures
from mailtap.demo.shell import Aside, Exit
from mailtap.demo.telling.reader import Reader
from mailtap.servers import Security, ServersError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable

    from mailtap.capture.language import Say
    from mailtap.demo.lab import Lab
    from mailtap.demo.outcome import Outcome
    from mailtap.demo.scenarios import Scenario
    from mailtap.demo.telling.tellers import Telling


def teach(scenario: Scenario, options: Namespace, say: Say) -> int:
    """Run a scenario, tell its outcome, and return the exit code.

    Args:
        scenario: the row to run.
        options: the command line of `mailtap demo`.
        say: the reader's language.
    """
    aside = Aside(say)
    return exit_code(lambda: _teach(scenario, options, say, aside), aside)


def exit_code(venture: Callable[[], bool], aside: Aside) -> int:
    """Return the exit code of something that runs scenarios and says whether all was as expected.

    What keeps it from running is said on the side.
    """
    try:
        return Exit.DONE if venture() else Exit.FAILED
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


def words(path: str | None) -> Callable[[], Iterable[str]]:
    """Return what opens the word list; one that cannot be read is found out at once."""
    if path is None:
        return bundled_words
    next(iter(read_words(path)), None)
    return lambda: read_words(path)


def choose(rung: str | None) -> ladder.Rung:
    """Return the best rung that works, or the one asked for."""
    return ladder.choose(ladder.Rung(rung) if rung else None).rung


def opinion(outcome: Outcome, *, wanted: bool) -> Verdict:
    """Return what the second witness says of an outcome, if somebody wants to know."""
    return second_opinion(outcome) if wanted else Verdict(agreement=Agreement.ABSENT)


def sound(outcome: Outcome, verdict: Verdict) -> bool:
    """Return whether all was as expected, and the second witness has nothing against it."""
    return outcome.ok and verdict.agreement is not Agreement.DISAGREES


def second_opinion(outcome: Outcome) -> Verdict:
    """Let tshark read the same capture, and compare what it heard with what our listener heard."""
    ports = {
        server.port: Protocol(leg.service.protocol)
        for leg, server in zip(outcome.scenario.legs, outcome.endpoints, strict=True)
        if leg.service.security is not Security.TLS
    }
    return compare(outcome.leaks, hear(outcome.packets, ports=ports))


def _teach(scenario: Scenario, options: Namespace, say: Say, aside: Aside) -> bool:
    word_list = words(options.wordlist)
    captures = Captures(closed=options.pcap, opened=options.keys, several=False)
    captures.require_writable()
    lab = _enter(options.rung, aside)
    telling = _telling(options, say)
    from mailtap.demo import stage  # noqa: PLC0415  # asyncio, only now that the lab is entered

    outcome = stage.run(scenario, lab, word_list, say)
    for remark in outcome.remarks:
        aside.say(remark)
    telling.outcome(outcome)
    captures.keep(outcome)
    verdict = opinion(outcome, wanted=not options.no_witness)
    telling.second_opinion(outcome, verdict)
    return sound(outcome, verdict)


def _enter(rung: str | None, aside: Aside) -> Lab:
    """Enter the best rung, or the one asked for, and say what is worth knowing about it."""
    lab = ladder.enter(choose(rung))
    for note in lab.remarks:
        aside.say(note)
    return lab


def _telling(options: Namespace, say: Say) -> Telling:
    from mailtap.demo.telling import tellers  # noqa: PLC0415  # rich and tabulate

    if options.json:
        return tellers.JsonTelling(options.pcap, mask=options.mask)
    console = shell.console()
    return tellers.StoryTelling(console, Reader(say, console.width, options.mask), step=options.step)
