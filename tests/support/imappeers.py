"""Real mail clients that fetch by IMAP, run as `peers` runs those that submit and fetch by POP3.

    fetched = imappeers.fetch("mutt", target)

A target's mechanism is a SASL name, or `LOGIN command` for the command of that name (RFC 3501, section
6.2.3).
"""

from __future__ import annotations

import os
import pty
import subprocess
import termios
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from peers import (
    TIMEOUT,
    PeerFailed,
    Target,
    curl,
    environment,
    fetchmail,
    find,
    getmail,
    secret_file,
    to_crlf,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

COMMAND = "LOGIN command"


def fetch(client: str, target: Target) -> bytes:
    """Fetch the one message there is with one of `FETCHERS`; lines end in CRLF whatever the client keeps.

    The message stays on the server.
    """
    return to_crlf(FETCHERS[client](target))


def _curl_fetch(target: Target) -> bytes:
    option = "*" if target.mechanism == COMMAND else target.mechanism
    return curl(target, "imap", "INBOX/;MAILINDEX=1", option)


def _fetchmail_fetch(target: Target) -> bytes:
    auth = "password" if target.mechanism == COMMAND else target.mechanism.lower()
    return fetchmail(target, "imap", auth)


def _getmail_fetch(target: Target) -> bytes:
    kind = "SimpleIMAPSSLRetriever" if target.security == "tls" else "SimpleIMAPRetriever"
    settings = ["record_mailbox = false", f"use_cram_md5 = {target.mechanism == 'CRAM-MD5'}"]
    return getmail(target, kind, settings)


def _mutt_fetch(target: Target) -> bytes:
    letter = target.home / "fetched.eml"
    scheme = "imaps" if target.security == "tls" else "imap"
    way = "login" if target.mechanism == COMMAND else target.mechanism.lower()
    settings = {
        "imap_user": target.username,
        "imap_pass": target.password,
        "imap_authenticators": way,
        "ssl_starttls": "yes" if target.security == "starttls" else "no",
        "ssl_force_tls": "yes" if target.tls else "no",
        "ssl_ca_certificates_file": str(target.ca_file) if target.tls else "",
        "pipe_decode": "no",
        "wait_key": "no",
        "sleep_time": "0",
        "folder": str(target.home),  # or mutt asks first whether to make one
        "spoolfile": f"{scheme}://{target.host}:{target.port}/INBOX",
    }
    lines = [f'set {name}="{value}"' for name, value in settings.items()]
    lines += [f'push "<pipe-message>cat > {letter}<enter><exit>"']
    config = secret_file(target.home / "muttrc", lines)
    _on_a_terminal([find("mutt"), "-n", "-F", str(config), "-R"], target.home)
    if not letter.exists():
        raise PeerFailed("mutt ended without a letter")
    return letter.read_bytes()


def _on_a_terminal(command: Sequence[str], home: Path) -> None:
    """Run a program for the screen on a terminal of its own, to which nobody listens.

    Raises:
        PeerFailed: it ended with an error.
    """
    screen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))  # newer libraries refuse a terminal without size
    said: list[bytes] = []

    def watch() -> None:
        with suppress(OSError):  # how a terminal tells that everybody has left it
            while piece := os.read(screen, 65536):
                said.append(piece)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        code: object = subprocess.run(
            command,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=home,
            env={**environment(home), "TERM": "xterm"},
            start_new_session=True,
            timeout=TIMEOUT,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        code = "a question that nobody answered"
    finally:
        os.close(terminal)
        watcher.join(TIMEOUT)
        os.close(screen)
    if code != 0:
        raise PeerFailed(
            f"{command[0]} ended with {code}: {b''.join(said).decode(errors='backslashreplace')}"
        )


FETCHERS: dict[str, Callable[[Target], bytes]] = {
    "curl": _curl_fetch,
    "fetchmail": _fetchmail_fetch,
    "getmail": _getmail_fetch,
    "mutt": _mutt_fetch,
}

# What each can do, as (client, security, mechanism): curl cannot be asked for the command where there is
# something better, and getmail knows no STARTTLS.
FETCH_WAYS = (
    *(
        (client, security, mechanism)
        for client in ("curl", "mutt")
        for security in ("plain", "starttls", "tls")
        for mechanism in (COMMAND, "PLAIN", "LOGIN", "CRAM-MD5")
        if (client, mechanism) != ("curl", COMMAND)
    ),
    *(
        ("fetchmail", security, mechanism)
        for security in ("plain", "starttls", "tls")
        for mechanism in (COMMAND, "CRAM-MD5")
    ),
    ("getmail", "plain", COMMAND),
    ("getmail", "plain", "CRAM-MD5"),
    ("getmail", "tls", COMMAND),
)
