"""Postfix as the lab's SMTP server: it takes mail, passes it on, and puts it into mailboxes (Debian)."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from daemons import NOBODY, listening, running, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daemons import Certificate

    from mailtap.demo.cast import Person
    from mailtap.servers import Service

PROGRAMS = Path("/usr/lib/postfix/sbin")
QUEUES = ("maildrop", "incoming", "active", "deferred")
OTHER_FOLDERS = ("bounce", "corrupt", "defer", "flush", "hold", "private", "saved", "trace")

INTERFACE = "127.0.0.1"
SENDERS_INTERFACE = "127.0.0.2"  # so that who passes mail on does not take the other server for itself

MAIN = """
compatibility_level = 3.6
myhostname = {host}
mydestination =
local_recipient_maps =
inet_protocols = ipv4
inet_interfaces = {interface}
mynetworks = 127.0.0.0/8
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {log}
maillog_file_prefixes = {folder}
disable_dns_lookups = yes
smtp_host_lookup = native
smtpd_peername_lookup = no
smtp_connection_cache_on_demand = no
smtpd_sasl_type = dovecot
smtpd_sasl_path = {logins}
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
virtual_mailbox_base = {mail}
virtual_uid_maps = static:{nobody}
virtual_gid_maps = static:{nobody}
"""
DAEMONS = """
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
tlsmgr unix - - n 1000? 1 tlsmgr
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
error unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True, kw_only=True)
class Route:
    """How a server passes all its mail on: to whom, and whether by TLS only."""

    host: str
    port: int
    tls: bool
    authority: Path | None


@dataclass(frozen=True)
class Postfix:
    """A running server."""

    folder: Path

    @property
    def idle(self) -> bool:
        """Whether every mail that it has taken is delivered or passed on."""
        queues = (self.folder / "queue" / name for name in QUEUES)
        return not any(files for queue in queues for _, _, files in os.walk(queue))


@contextmanager
def postfix(
    folder: Path,
    *,
    services: Sequence[Service],
    people: Sequence[Person],
    certificate: Certificate | None,
    logins: Path,
    mail: Path,
    route: Route | None = None,
) -> Iterator[Postfix]:
    """Serve SMTP on one host.

    Args:
        folder: a folder for all of it, which Postfix's own user may enter.
        services: what to offer.
        people: who has a mailbox here, unless all mail is passed on.
        certificate: for services with TLS.
        logins: the socket of who knows the passwords.
        mail: where the mailboxes are.
        route: where to pass all mail on to.
    """
    log = folder / "postfix.log"
    _folders(folder)
    main = MAIN.format(
        host=services[0].host,
        interface=SENDERS_INTERFACE if route else INTERFACE,
        folder=folder,
        log=log,
        logins=logins,
        mail=mail,
        nobody=NOBODY,
    )
    main += _passing_on(route) if route else _mailboxes(people)
    if certificate:
        main += f"smtpd_tls_cert_file = {certificate.chain}\nsmtpd_tls_key_file = {certificate.key}\n"
    (folder / "main.cf").write_text(main)
    os.utime(folder / "main.cf", (0, 0))  # Postfix waits two seconds for a file that has just been changed
    (folder / "master.cf").write_text(DAEMONS + "".join(_port(service) for service in services))
    with running([str(PROGRAMS / "master"), "-c", str(folder), "-s"], log):
        until(lambda: {service.port for service in services} <= listening(), log)
        yield Postfix(folder)


def _folders(folder: Path) -> None:
    for name in (*QUEUES, *OTHER_FOLDERS):
        path = folder / "queue" / name
        path.mkdir(parents=True, mode=0o700)
        shutil.chown(path, "postfix")
    (folder / "queue" / "pid").mkdir()
    for name, group, mode in (("public", "postdrop", 0o710), ("maildrop", "postdrop", 0o730)):
        path = folder / "queue" / name
        path.mkdir(exist_ok=True)
        shutil.chown(path, "postfix", group)
        path.chmod(mode)
    (folder / "data").mkdir(mode=0o700)
    shutil.chown(folder / "data", "postfix")


def _passing_on(route: Route) -> str:
    text = f"relayhost = [127.0.0.1]:{route.port}\n"
    if route.tls:
        text += "smtp_tls_security_level = secure\n"
        text += f"smtp_tls_CAfile = {route.authority}\n"
        text += f"smtp_tls_secure_cert_match = {route.host}\nsmtp_tls_servername = {route.host}\n"
    return text


def _mailboxes(people: Sequence[Person]) -> str:
    domains = sorted({person.address.partition("@")[2] for person in people})
    boxes = ", ".join(f"{{{person.address} = {person.username}/}}" for person in people)
    return f"virtual_mailbox_domains = {' '.join(domains)}\nvirtual_mailbox_maps = inline:{{{boxes}}}\n"


def _port(service: Service) -> str:
    """Return the line of master.cf for a service."""
    options = {
        "smtpd_tls_wrappermode": "yes" if service.security == "tls" else "no",
        "smtpd_tls_security_level": {"plain": "none", "starttls": "may", "tls": "encrypt"}[service.security],
        "smtpd_sasl_auth_enable": "yes" if service.mechanisms else "no",
        "smtpd_sasl_mechanism_filter": ",".join(service.mechanisms).lower() or "static:rest",
        "smtpd_tls_auth_only": "no" if service.login_allowed(encrypted=False) else "yes",
    }
    if service.login_required:
        options["smtpd_recipient_restrictions"] = "permit_sasl_authenticated,reject"
    if service.clients_refused:
        # At MAIL FROM, as the toys do; by default, Postfix waits for RCPT TO.
        options |= {"smtpd_delay_reject": "no", "smtpd_sender_restrictions": "reject"}
    settings = "".join(f" -o {name}={value}" for name, value in options.items())
    return f"127.0.0.1:{service.port} inet n - n - - smtpd{settings}\n"
