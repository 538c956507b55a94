"""Opens the lab's mail servers as `mailtap.demo.offices` does, with Dovecot and Postfix in place of the toys."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from daemons import NOBODY, Certificate, talking, until
from dovecot import dovecot
from postfix import Postfix, Route, postfix

from mailtap.demo import offices
from mailtap.demo.scenarios import Hop
from mailtap.servers import Security, ServerProtocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mailtap.demo.lab import Lab
    from mailtap.demo.scenarios import Scenario
    from mailtap.servers import LabCertificates, Service
    from mailtap.servers.forwarding import Forward
    from mailtap.servers.messages import Say

LOGS = ("dovecot.log", "postfix.log")
TROUBLE = ("fatal: ", "panic: ", "error: ")


@dataclass(frozen=True, kw_only=True)
class RealOffices:
    """What `mailtap.demo.offices.Offices` is, with servers that no one here wrote."""

    endpoints: Mapping[Service, tuple[str, int]]
    queues: tuple[Postfix, ...]
    logs: tuple[Path, ...]
    remarks: tuple[()] = ()

    @property
    def faults(self) -> tuple[str, ...]:
        """What the servers logged as their own trouble."""
        lines = [line for log in self.logs for line in log.read_text().splitlines()]
        return tuple(line for line in lines if any(word in line.lower() for word in TROUBLE))

    def wait_idle(self, _timeout: float) -> bool:
        """Wait until every session has ended."""
        ports = {port for _, port in self.endpoints.values()}
        until(lambda: not talking(ports), *self.logs)
        return True

    def deliver(self) -> None:
        """Wait until every mail has reached its mailbox: each server in the order of the way."""
        for queue in self.queues:
            until(lambda queue=queue: queue.idle, *self.logs)


@contextmanager
def open_real_offices(
    scenario: Scenario, lab: Lab, certificates: LabCertificates | None, _forward: Forward, _say: Say
) -> Iterator[RealOffices]:
    """Run the servers of a scenario, as `mailtap.demo.offices.open_offices` does."""
    services = tuple(dict.fromkeys(leg.service for leg in scenario.legs))
    hosts = tuple(dict.fromkeys(service.host for service in services))  # in the order of the way
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailtap-")))
        folder.chmod(0o755)  # the servers' own users must get through
        certificate, authority = _shown(folder, certificates)
        routes = {host: _route(scenario, host, authority) for host in hosts}
        queues = [
            stack.enter_context(_host(scenario, folder / host, certificate, routes[host])) for host in hosts
        ]
        yield RealOffices(
            endpoints={service: ("127.0.0.1", service.port) for service in services},
            queues=tuple(queues),
            logs=tuple(folder / host / name for host in hosts for name in LOGS),
        )


@contextmanager
def _host(
    scenario: Scenario, folder: Path, certificate: Certificate | None, route: Route | None
) -> Iterator[Postfix]:
    """Run the servers of the host that the folder is named after."""
    services = dict.fromkeys(leg.service for leg in scenario.legs if leg.service.host == folder.name)
    people = offices._residents(scenario, folder.name)
    mail = folder / "mail"
    mail.mkdir(parents=True)
    shutil.chown(mail, NOBODY, NOBODY)
    mailboxes = [service for service in services if service.protocol != ServerProtocol.SMTP]
    with (
        dovecot(folder, mailboxes, people, certificate) as logins,
        postfix(
            folder,
            services=[service for service in services if service.protocol == ServerProtocol.SMTP],
            people=people,
            certificate=certificate,
            logins=logins,
            mail=mail,
            route=route,
        ) as queue,
    ):
        yield queue


def _shown(folder: Path, certificates: LabCertificates | None) -> tuple[Certificate | None, Path]:
    """Write what the servers show and what they trust, as files."""
    certificate = Certificate(chain=folder / "chain.pem", key=folder / "key.pem")
    authority = folder / "authority.pem"
    if certificates is None:
        return None, authority
    certificate.chain.write_bytes(b"".join(each.bytes() for each in certificates._leaf.cert_chain_pems))
    certificate.key.write_bytes(certificates._leaf.private_key_pem.bytes())
    authority.write_bytes(certificates.ca_pem)
    return certificate, authority


def _route(scenario: Scenario, host: str, authority: Path) -> Route | None:
    """Return how a host passes mail on, where it does."""
    service = scenario.services.get(Hop.RELAY)
    if service is None or service.host == host:
        return None
    return Route(
        host=service.host, port=service.port, tls=service.security != Security.PLAIN, authority=authority
    )
