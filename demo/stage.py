"""Runs one scenario: servers up, listener on, a mail sent and fetched, and all that was heard."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailtap.capture.language import N_
from mailtap.capture.model import Endpoint, Field, Leak, Note
from mailtap.capture.pipeline import listen
from mailtap.capture.scratch import scratch_folder
from mailtap.capture.transcript import transcribe
from mailtap.demo import cast
from mailtap.demo.guessing import attempt
from mailtap.demo.journey import Journey
from mailtap.demo.offices import open_offices
from mailtap.demo.outcome import Outcome
from mailtap.demo.scenarios.row import Credential
from mailtap.demo.screen import Screen
from mailtap.servers import LAB_NAMES, LabCertificates, Security
from mailtap.servers.messages import english

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from mailtap.capture.live import Recording
    from mailtap.demo.lab import Lab, Rung
    from mailtap.demo.offices import Offices
    from mailtap.demo.scenarios import Hop, Leg, Scenario
    from mailtap.demo.scenarios.row import Intruder
    from mailtap.servers.messages import Say

PATIENCE = 10.0  # seconds for the servers to see their sessions end; a bound, not a wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What happened on the stage, before anybody has listened to the recording.

    Attributes:
        endpoints: for each leg of the row, where the mail program connected to.
        recording: what crossed the wire.
        delivered: whether the mail that was fetched is the mail that was sent.
        screens: for each leg of the row, what the mail program showed.
        read: for each hop with somebody in the path, what he read, from his own side.
        loot: for each hop with an attack on it, the fields that the attacker got.
        key_log: the TLS session keys, in NSS key log format.
        failures: what went wrong, in plain English.
        remarks: what else is worth saying.
    """

    endpoints: tuple[Endpoint, ...]
    recording: Recording
    delivered: bool
    screens: tuple[Screen, ...]
    read: Mapping[Hop, tuple[Leak, ...]]
    loot: Mapping[Hop, frozenset[Field]]
    key_log: bytes
    failures: tuple[str, ...]
    remarks: tuple[Note, ...]


def run(scenario: Scenario, lab: Lab, words: Callable[[], Iterable[str]], say: Say = english) -> Outcome:
    """Run one scenario in the lab and return what the listener heard.

    Args:
        scenario: the row to run.
        lab: where to run it.
        words: opens the word list with which to guess passwords from digests.
        say: the language of those who see the webmail.

    Raises:
        CaptureUnavailable: the listener could not be started.
        ServersError: the servers could not be started; a port that is taken is one reason.
    """
    return evaluate(scenario, lab.rung, perform(scenario, lab, say), words)


def perform(scenario: Scenario, lab: Lab, say: Say = english) -> Run:
    """Let a mail go its way under the eyes of a listener."""
    with scratch_folder() as folder, ExitStack() as stack:
        key_log = folder / "keys.log"
        certificates = _certificates(scenario, key_log)
        journey = Journey(scenario=scenario, certificates=certificates, forger=_forger(scenario))
        offices = stack.enter_context(open_offices(scenario, lab, certificates, journey.forward, say))
        fronts, intruders = _fronts(scenario, offices, key_log, stack)
        # Legs that share a front share its tap.
        names = {front: str(number) for number, front in enumerate(dict.fromkeys(fronts.values()))}
        well_known = {names[front]: leg.service.port for leg, front in fronts.items()}
        targets = {name: front for front, name in names.items()}
        with lab.tap(targets, well_known=well_known, alone=bool(intruders)) as tap:
            journey.addresses = {leg: tap.endpoints[names[front]] for leg, front in fronts.items()}
            delivered = journey.travel(cast.compose(datetime.now(UTC)))
            waits = (offices.wait_idle, *(intruder.wait_idle for intruder in intruders.values()))
            if not all(wait(PATIENCE) for wait in waits):
                journey.failures.append(N_("a server session did not end"))
            recording = tap.finish()
        read = {hop: intruder.loot() for hop, intruder in intruders.items()}
        return Run(
            endpoints=tuple(Endpoint(*journey.addresses[leg]) for leg in scenario.legs),
            recording=recording,
            delivered=delivered,
            screens=tuple(journey.screens.get(leg, Screen()) for leg in scenario.legs),
            read=read,
            loot=_loot(scenario, read, journey.stolen),
            key_log=key_log.read_bytes() if key_log.exists() else b"",
            failures=(*journey.failures, *offices.faults),
            remarks=offices.remarks + tap.remarks,
        )


def _fronts(
    scenario: Scenario, offices: Offices, key_log: Path, stack: ExitStack
) -> tuple[dict[Leg, tuple[str, int]], dict[Hop, Intruder]]:
    """Return where each leg leads, to its server or to who stands before it, and those who stand there."""
    fronts, intruders = {}, {}
    for leg in scenario.legs:
        fronts[leg] = offices.endpoints[leg.service]
        if leg.man is not None:
            intruders[leg.hop] = stack.enter_context(leg.man(leg, fronts[leg], key_log))
            fronts[leg] = intruders[leg.hop].endpoint
    return fronts, intruders


def evaluate(scenario: Scenario, rung: Rung, run: Run, words: Callable[[], Iterable[str]]) -> Outcome:
    """Listen to what was recorded, and guess what can be guessed."""
    packets = run.recording.packets
    heard: list[Leak | Note] = list(listen(packets))
    leaks = [item for item in heard if isinstance(item, Leak)]
    digests = [leak for leak in leaks if leak.field is Field.DIGEST and leak.challenge is not None]
    attempts = [attempt(leak, words()) for leak in digests]
    guessed = [tried.found for tried in attempts if tried.found]
    deaf = () if run.recording.complete else (run.recording.problem,)
    return Outcome(
        scenario=scenario,
        rung=rung,
        endpoints=run.endpoints,
        packets=packets,
        dropped=run.recording.dropped,
        delivered=run.delivered,
        screens=run.screens,
        read=run.read,
        loot=run.loot,
        leaks=(*leaks, *guessed),
        notes=tuple(item for item in heard if isinstance(item, Note)),
        conversations=transcribe(packets, leaks),
        attempts=tuple(attempts),
        key_log=run.key_log,
        failures=run.failures + deaf,
        remarks=run.remarks,
    )


def _loot(
    scenario: Scenario, read: Mapping[Hop, tuple[Leak, ...]], stolen: Mapping[Hop, frozenset[Field]]
) -> Mapping[Hop, frozenset[Field]]:
    """Return which fields each attacker got, by reading or by a mail program of his own; some got none."""
    return {
        hop: frozenset(leak.field for leak in read.get(hop, ())) | stolen.get(hop, frozenset())
        for hop in scenario.attacked
    }


def _forger(scenario: Scenario) -> LabCertificates | None:
    """Return who issues false client certificates, where the row has one."""
    forged = any(leg.credential is Credential.FOREIGN for leg in scenario.legs)
    return LabCertificates(organization=cast.FORGER) if forged else None


def _certificates(scenario: Scenario, key_log: Path) -> LabCertificates | None:
    if all(leg.service.security is Security.PLAIN for leg in scenario.legs):
        return None
    names = dict.fromkeys((*LAB_NAMES, *(leg.service.host for leg in scenario.legs)))
    return LabCertificates(tuple(names), keylog_filename=key_log)
