"""Dovecot as the lab's POP3 and IMAP server, and as the one that knows the passwords (Debian)."""

from __future__ import annotations

import subprocess
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
ssl = {ssl}
first_valid_uid = 1
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
# Dovecot 2.4 has other words for much, and wants to be told first which words these are.
BEFORE_2_4 = """
disable_plaintext_auth = no
mail_location = maildir:{mail}/%n
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {folder}/users
}}
userdb {{
  driver = static
  args = uid={nobody} gid={nobody} home={mail}/%n
}}
"""
SINCE_2_4 = """
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = {mail}/%{{user | username}}
passdb passwd-file {{
  passwd_file_path = {folder}/users
  default_password_scheme = PLAIN
  auth_username_format = %{{user | username}}
}}
userdb static {{
  fields {{
    uid = {nobody}
    gid = {nobody}
    home = {mail}/%{{user | username}}
  }}
}}
"""
CERTIFICATE = {
    False: "ssl_cert = <{chain}\nssl_key = <{key}\n",
    True: "ssl_server_cert_file = {chain}\nssl_server_key_file = {key}\n",
}
VERSION_FIRST = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"
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
    modern = _version() >= (2, 4)
    text = (VERSION_FIRST if modern else "") + (CONFIGURATION + (SINCE_2_4 if modern else BEFORE_2_4)).format(
        folder=folder,
        log=log,
        mail=folder / "mail",
        nobody=NOBODY,
        protocols=" ".join(protocols) or ("" if modern else "none"),
        ssl="yes" if certificate else "no",
    )
    if certificate:
        text += CERTIFICATE[modern].format(chain=certificate.chain, key=certificate.key)
    for protocol in protocols:
        ports = {each.security == "tls": each.port for each in services if each.protocol == protocol}
        text += LISTENER.format(protocol=protocol, clear=ports.get(False, 0), tls=ports.get(True, 0))
    return text


def _version() -> tuple[int, ...]:
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in said.split()[0].split(".")[:2])
