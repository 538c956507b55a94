"""Opens the lab's mail servers: one for both people, or the sender's and the recipient's."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from mailtap.capture.interrupts import undisturbed
from mailtap.demo import cast
from mailtap.demo.network.ports import alternatives, remark
from mailtap.demo.scenarios import Hop
from mailtap.servers import Account, PortTaken, ToyServers
from mailtap.servers.messages import english

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mailtap.capture.model import Note
    from mailtap.demo.cast import Person
    from mailtap.demo.lab import Lab
    from mailtap.demo.scenarios import Scenario
    from mailtap.servers import LabCertificates, Service
    from mailtap.servers.forwarding import Forward
    from mailtap.servers.messages import Say

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offices:
    """The servers of a scenario.

    Attributes:
        endpoints: where each service listens, (host, port).
        servers: one for each host.
        remarks: what is worth saying about their ports.
    """

    endpoints: Mapping[Service, tuple[str, int]]
    servers: tuple[ToyServers, ...]
    remarks: tuple[Note, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """What went wrong inside them that no client should have been able to cause."""
        return tuple(fault for servers in self.servers for fault in servers.faults)

    def wait_idle(self, timeout: float) -> bool:
        """Wait until every session has ended; return whether that came true within so many seconds."""
        end = time.monotonic() + timeout
        return all(servers.wait_idle(max(0, end - time.monotonic())) for servers in self.servers)


@contextmanager
def open_offices(
    scenario: Scenario, lab: Lab, certificates: LabCertificates | None, forward: Forward, say: Say
) -> Iterator[Offices]:
    """Run the servers of a scenario: one for each host that its services name.

    Args:
        scenario: the row.
        lab: where.
        certificates: what they show to who asks for TLS.
        forward: passes a mail on from the sender's server to the recipient's, where there are two.
        say: the language of the webmail's pages.
    """
    hosts = dict.fromkeys(leg.service.host for leg in scenario.legs)
    endpoints: dict[Service, tuple[str, int]] = {}
    opened: list[ToyServers] = []
    remarks: tuple[Note, ...] = ()
    with ExitStack() as stack:
        for host in hosts:
            offered = {leg.service: leg.service for leg in scenario.legs if leg.service.host == host}
            servers, services, said = stack.enter_context(
                open_servers(
                    offered,
                    lab,
                    certificates,
                    people=_residents(scenario, host),
                    forward=forward if len(hosts) > 1 else None,
                    say=say,
                )
            )
            opened.append(servers)
            remarks += said
            endpoints |= {service: servers.endpoints[moved] for service, moved in services.items()}
        yield Offices(endpoints=endpoints, servers=tuple(opened), remarks=remarks)


@contextmanager
def open_servers(  # noqa: PLR0913  # the last three have a default
    offered: Mapping[Key, Service],
    lab: Lab,
    certificates: LabCertificates | None,
    *,
    people: Iterable[Person] = cast.EVERYBODY,
    forward: Forward | None = None,
    say: Say = english,
) -> Iterator[tuple[ToyServers, Mapping[Key, Service], tuple[Note, ...]]]:
    """Run one host's servers, and give them with the services as they were moved to the lab's ports.

    Where the lab shares its ports with others, one close by replaces one that is taken; by whom it is
    taken is the third thing given, in plain English.
    """
    remarks: tuple[Note, ...] = ()
    services = {key: lab.place(service) for key, service in offered.items()}
    wanted = {service.port for service in services.values()}
    instead = {key: alternatives(service.port, wanted) for key, service in services.items()}
    accounts = [Account(username=p.username, password=p.password, addresses=(p.address,)) for p in people]
    while True:
        servers = ToyServers(
            tuple(services.values()),
            accounts=accounts,
            certificates=certificates,
            forward=forward,
            say=say,
        )
        try:
            taken = _start(servers)
            if taken is None:
                yield servers, services, remarks
                return
        finally:
            servers.stop()
        if lab.real_ports:
            raise taken
        if taken.port in wanted:
            remarks += (remark(taken),)
        services = {
            key: replace(service, port=next(instead[key])) if service.port == taken.port else service
            for key, service in services.items()
        }


def _start(servers: ToyServers) -> PortTaken | None:
    """Start servers, or return which of their ports is taken."""
    try:
        with undisturbed():  # OpenSSL takes the key from a file, which no interrupt may leave behind
            servers.start()
    except PortTaken as taken:
        return taken
    return None


def _residents(scenario: Scenario, host: str) -> tuple[Person, ...]:
    """Return who has a mailbox on a host: Hanako where she sends, the others where they fetch."""
    if Hop.RELAY not in scenario.hops:
        return cast.EVERYBODY
    hers = scenario.services[Hop.SUBMIT].host == host
    return tuple(person for person in cast.EVERYBODY if (person is cast.HANAKO) is hers)
