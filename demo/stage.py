"""Runs one scenario: servers up, listener on, a mail sent and fetched, and all that was heard."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from mailtap.capture.language import N_
from mailtap.capture.model import Endpoint, Field, Leak, Note
from mailtap.capture.pipeline import listen
from mailtap.capture.scratch import scratch_folder
from mailtap.capture.transcript import transcribe
from mailtap.demo import cast, client
from mailtap.demo.guessing import attempt
from mailtap.demo.network.ports import alternatives, remark
from mailtap.demo.outcome import Outcome
from mailtap.demo.scenarios import Hop
from mailtap.servers import Account, LabCertificates, PortTaken, Security, ToyServers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from mailtap.capture.live import Recording
    from mailtap.demo.lab import Lab, Rung
    from mailtap.demo.scenarios import Scenario
    from mailtap.servers import Service

Key = TypeVar("Key")

PATIENCE = 10.0  # seconds for the servers to see their sessions end; a bound, not a wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What happened on the stage, before anybody has listened to the recording.

    Attributes:
        endpoints: for each hop, where the mail program connected to.
        recording: what crossed the wire.
        delivered: whether the mail that was fetched is the mail that was sent.
        key_log: the TLS session keys, in NSS key log format.
        failures: what went wrong, in plain English.
        remarks: what else is worth saying.
    """

    endpoints: Mapping[Hop, Endpoint]
    recording: Recording
    delivered: bool
    key_log: bytes
    failures: tuple[str, ...]
    remarks: tuple[Note, ...]


def run(scenario: Scenario, lab: Lab, words: Callable[[], Iterable[str]]) -> Outcome:
    """Run one scenario in the lab and return what the listener heard.

    Args:
        scenario: the row to run.
        lab: where to run it.
        words: opens the word list with which to guess passwords from digests.

    Raises:
        CaptureUnavailable: the listener could not be started.
        ServersError: the servers could not be started; a port that is taken is one reason.
    """
    return evaluate(scenario, lab.rung, perform(scenario, lab), words)


def perform(scenario: Scenario, lab: Lab) -> Run:
    """Let a mail be sent and fetched under the eyes of a listener."""
    with scratch_folder() as folder:
        key_log = folder / "keys.log"
        certificates = _certificates(scenario, key_log)
        with open_servers(scenario.services, lab, certificates) as (servers, services, remarks):
            targets = {str(hop): servers.endpoints[service] for hop, service in services.items()}
            well_known = {str(hop): service.port for hop, service in scenario.services.items()}
            with lab.tap(targets, well_known=well_known) as tap:
                failures, delivered = _send_and_fetch(scenario, tap.endpoints, certificates)
                if not servers.wait_idle(PATIENCE):
                    failures += (N_("a server session did not end"),)
                recording = tap.finish()
        return Run(
            endpoints={hop: Endpoint(*tap.endpoints[hop]) for hop in services},
            recording=recording,
            delivered=delivered,
            key_log=key_log.read_bytes() if key_log.exists() else b"",
            failures=failures + servers.faults,
            remarks=remarks + tap.remarks,
        )


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
        servers=run.endpoints,
        packets=packets,
        dropped=run.recording.dropped,
        delivered=run.delivered,
        leaks=(*leaks, *guessed),
        notes=tuple(item for item in heard if isinstance(item, Note)),
        conversations=transcribe(packets, leaks),
        attempts=tuple(attempts),
        key_log=run.key_log,
        failures=run.failures + deaf,
        remarks=run.remarks,
    )


@contextmanager
def open_servers(
    offered: Mapping[Key, Service], lab: Lab, certificates: LabCertificates | None
) -> Iterator[tuple[ToyServers, Mapping[Key, Service], tuple[Note, ...]]]:
    """Run the servers, and give them with the services as they were moved to the lab's ports.

    Where the lab shares its ports with others, one close by replaces one that is taken; by whom it is
    taken is the third thing given, in plain English.
    """
    remarks: tuple[Note, ...] = ()
    services = {key: lab.place(service) for key, service in offered.items()}
    wanted = {service.port for service in services.values()}
    instead = {key: alternatives(service.port, wanted) for key, service in services.items()}
    while True:
        servers = ToyServers(tuple(services.values()), accounts=_accounts(), certificates=certificates)
        try:
            servers.start()
            break
        except PortTaken as taken:
            if lab.real_ports:
                raise
            if taken.port in wanted:
                remarks += (remark(taken),)
            services = {
                key: replace(service, port=next(instead[key])) if service.port == taken.port else service
                for key, service in services.items()
            }
    try:
        yield servers, services, remarks
    finally:
        servers.stop()


def _accounts() -> list[Account]:
    return [
        Account(username=person.username, password=person.password, addresses=(person.address,))
        for person in (cast.HANAKO, cast.TARO)
    ]


def _certificates(scenario: Scenario, key_log: Path) -> LabCertificates | None:
    if all(service.security is Security.PLAIN for service in scenario.services.values()):
        return None
    return LabCertificates(keylog_filename=key_log)


def _send_and_fetch(
    scenario: Scenario, endpoints: Mapping[str, tuple[str, int]], certificates: LabCertificates | None
) -> tuple[tuple[str, ...], bool]:
    """Let Hanako send and Taro fetch; return what failed, and whether the mail arrived as it was sent."""
    trust = certificates.client_context() if certificates else None
    hanako, taro = (
        client.Settings(
            service=scenario.services[hop],
            address=endpoints[hop],
            server_name=cast.SERVER_NAME,
            machine=person.machine,
            username=person.username,
            password=person.password,
            trust=trust,
        )
        for hop, person in ((Hop.SUBMIT, cast.HANAKO), (Hop.FETCH, cast.TARO))
    )
    mail = cast.compose(datetime.now(UTC))
    try:
        client.submit(hanako, cast.HANAKO.address, cast.TARO.address, mail)
        fetched = client.fetch(taro)
    except client.ClientFailed as error:
        return (str(error),), False
    # The server may put trace headers (RFC 5321, section 4.4) above the mail, and nothing below.
    return (), fetched.endswith(mail)
