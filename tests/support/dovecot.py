"""Dovecot as the lab's POP3 and IMAP server, and as the one that knows the passwords (Debian)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from daemons import NOBODY, listening, running, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from daemons import Certificate

    from mailtap.demo.cast import Person
    from mailtap.servers import Service

PROGRAM = "/usr/sbin/dovecot"

CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {log}
listen = 127.0.0.1
protocols = {protocols}
auth_mechanisms = plain login cram-md5 apop
disable_plaintext_auth = no
ssl = {ssl}
mail_location = maildir:{mail}/%n
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {folder}/users
}}
userdb {{
  driver = static
  args = uid={nobody} gid={nobody} home={mail}/%n
}}
service auth {{
  unix_listener {folder}/auth {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""
LISTENER = """
service {protocol}-login {{
  inet_listener {protocol} {{
    port = {clear}
  }}
  inet_listener {protocol}s {{
    port = {tls}
    ssl = yes
  }}
}}
"""


@contextmanager
def dovecot(
    folder: Path, services: Sequence[Service], people: Sequence[Person], certificate: Certificate | None
) -> Iterator[Path]:
    """Serve these people's mailboxes, and give the socket at which Postfix has logins checked.

    Args:
        folder: a folder for all of it, which Dovecot's own user may enter; mailboxes are in `mail`.
        services: what to offer, by POP3 and IMAP.
        people: who may log in.
        certificate: for services with TLS.
    """
    log = folder / "dovecot.log"
    users = folder / "users"
    users.write_text("".join(f"{person.username}:{person.password}\n" for person in people))
    configuration = folder / "dovecot.conf"
    configuration.write_text(_configuration(folder, log, services, certificate))
    with running([PROGRAM, "-F", "-c", str(configuration)], log):
        socket = folder / "auth"
        until(lambda: socket.exists() and {each.port for each in services} <= listening(), log)
        yield socket


def _configuration(
    folder: Path, log: Path, services: Sequence[Service], certificate: Certificate | None
) -> str:
    protocols = sorted({str(each.protocol) for each in services})
    text = CONFIGURATION.format(
        folder=folder,
        log=log,
        mail=folder / "mail",
        nobody=NOBODY,
        protocols=" ".join(protocols) or "none",
        ssl="yes" if certificate else "no",
    )
    if certificate:
        text += f"ssl_cert = <{certificate.chain}\nssl_key = <{certificate.key}\n"
    for protocol in protocols:
        ports = {each.security == "tls": each.port for each in services if each.protocol == protocol}
        text += LISTENER.format(protocol=protocol, clear=ports.get(False, 0), tls=ports.get(True, 0))
    return text
