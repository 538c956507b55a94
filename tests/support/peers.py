"""Real mail clients that no one here wrote, found on this machine and run with bounds.

    peers.submit("msmtp", target, message)
    fetched = peers.fetch("fetchmail", target)

Each runs with a home of its own and leaves this user's configuration alone. A program that is absent
skips the test with the reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

TIMEOUT = 30.0  # seconds; a bound for a stuck program, not a wait

PACKAGES = {
    "curl": "curl",
    "dovecot": "dovecot-pop3d dovecot-imapd",
    "fetchmail": "fetchmail",
    "getmail": "getmail6",
    "ip": "iproute2",
    "mpop": "mpop",
    "msmtp": "msmtp",
    "mutt": "mutt",
    "openssl": "openssl",
    "postfix": "postfix",
    "setpriv": "util-linux",
    "swaks": "swaks libnet-ssleay-perl libauthen-sasl-perl",
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a client connects, and how it logs in.

    Attributes:
        security: `plain`, `starttls` or `tls`.
        mechanism: `USER/PASS`, `APOP` or a SASL name; empty for no login.
        ca_file: the authority that the client must check the server against, for TLS.
        home: an empty directory for the client's files.
    """

    host: str
    port: int
    security: str
    mechanism: str
    username: str
    password: str
    home: Path
    ca_file: Path | None = None

    @property
    def tls(self) -> bool:
        return self.security != "plain"


class PeerFailed(Exception):  # noqa: N818  # what happened, as tests expect it
    """A client ended with an error; the message is what it said."""


def find(name: str) -> str:
    """Return the program's path, or skip the test."""
    path = shutil.which(name)
    if path is not None:
        return path
    pytest.skip(f"{name} is not installed (Debian: apt-get install {PACKAGES[name]})")


def run(arguments: Sequence[str], *, home: Path, stdin: bytes = b"") -> bytes:
    """Run a client and return what it wrote to standard output.

    Raises:
        PeerFailed: it ended with an error.
    """
    command = [find(arguments[0]), *arguments[1:]]
    done = subprocess.run(
        command,
        input=stdin,
        env=environment(home),
        cwd=home,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="backslashreplace")
        raise PeerFailed(f"{arguments[0]} ended with {done.returncode}: {said}")
    return done.stdout


def environment(home: Path) -> dict[str, str]:
    """Return the environment in which a client finds that home, and nothing of this user's."""
    return {
        "HOME": str(home),
        "FETCHMAILHOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "USER": "tester",
        "LOGNAME": "tester",
    }


def submit(client: str, target: Target, message: bytes, *, sender: str, recipients: Sequence[str]) -> None:
    """Submit a message (its lines ending in CRLF) with one of `SUBMITTERS`."""
    SUBMITTERS[client](target, message, sender, recipients)


def fetch(client: str, target: Target) -> bytes:
    """Fetch the one message there is with one of `FETCHERS`; lines end in CRLF whatever the client keeps.

    The message stays on the server.
    """
    return to_crlf(FETCHERS[client](target))


def to_crlf(letter: bytes) -> bytes:
    """Return a letter with lines ended by CRLF, however they were."""
    return letter.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


# --- submission ---------------------------------------------------------------------------------------


def _curl(target: Target, scheme: str, path: str, option: str) -> list[str]:
    arguments = ["curl", "--silent", "--show-error", "--disable", "--noproxy", "*"]
    arguments += ["--url", f"{scheme}{'s' * (target.security == 'tls')}://{target.host}:{target.port}/{path}"]
    if target.tls:
        arguments += ["--ssl-reqd", "--cacert", str(target.ca_file)]
    if target.mechanism:
        arguments += ["--user", f"{target.username}:{target.password}"]
        arguments += ["--login-options", f"AUTH={option}"]
    return arguments


def _curl_submit(target: Target, message: bytes, sender: str, recipients: Sequence[str]) -> None:
    arguments = [
        *_curl(target, "smtp", "client.lab.example", target.mechanism),
        "--upload-file",
        "-",
        "--mail-from",
        sender,
    ]
    for recipient in recipients:
        arguments += ["--mail-rcpt", recipient]
    run(arguments, home=target.home, stdin=message)


def _msmtp_submit(target: Target, message: bytes, sender: str, recipients: Sequence[str]) -> None:
    settings = ["domain client.lab.example", f"from {sender}", "set_from_header off", "set_date_header off"]
    config = _msmtp_config(target, settings)
    arguments = ["msmtp", f"--file={config}", "--", *recipients]
    run(arguments, home=target.home, stdin=message.replace(b"\r\n", b"\n"))


def _msmtp_config(target: Target, settings: Sequence[str]) -> Path:
    # msmtp and mpop share a format. A mechanism in lower case; `user` is USER/PASS.
    mechanism = {"USER/PASS": "user", "": "off"}.get(target.mechanism, target.mechanism.lower())
    lines = ["account default", f"host {target.host}", f"port {target.port}", *settings, f"auth {mechanism}"]
    if target.mechanism:
        lines += [f"user {target.username}", f"password {target.password}"]
    lines += [f"tls {'on' if target.tls else 'off'}"]
    if target.tls:
        starttls = "on" if target.security == "starttls" else "off"
        lines += [f"tls_starttls {starttls}", f"tls_trust_file {target.ca_file}"]
    return secret_file(target.home / "client.conf", lines)


def secret_file(path: Path, lines: Sequence[str]) -> Path:
    path.touch(mode=0o600)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def _swaks_submit(target: Target, message: bytes, sender: str, recipients: Sequence[str]) -> None:
    letter = target.home / "letter.eml"
    letter.write_bytes(message.replace(b"\r\n", b"\n").removesuffix(b"\n"))  # swaks ends the last line
    arguments = ["swaks", "--silent", "2", "--server", target.host, "--port", str(target.port)]
    arguments += ["--helo", "client.lab.example", "--from", sender, "--to", ",".join(recipients)]
    arguments += ["--data", f"@{letter}"]
    if target.tls:
        arguments += ["--tls" if target.security == "starttls" else "--tls-on-connect"]
        arguments += ["--tls-verify", "--tls-ca-path", str(target.ca_file)]
    if target.mechanism:
        arguments += ["--auth", target.mechanism]
        arguments += ["--auth-user", target.username, "--auth-password", target.password]
    run(arguments, home=target.home)


# --- fetching -----------------------------------------------------------------------------------------


def _curl_fetch(target: Target) -> bytes:
    # USER and PASS cannot be asked for: curl takes them where nothing better is offered.
    option = {"USER/PASS": "*", "APOP": "+APOP"}.get(target.mechanism, target.mechanism)
    return curl(target, "pop3", "1", option)


def curl(target: Target, scheme: str, path: str, option: str) -> bytes:
    """Fetch with curl what is at a path, by a way to log in as curl calls it."""
    return run(_curl(target, scheme, path, option), home=target.home)


def _fetchmail_fetch(target: Target) -> bytes:
    auth = {"USER/PASS": "password", "APOP": "password"}.get(target.mechanism, target.mechanism.lower())
    return fetchmail(target, "apop" if target.mechanism == "APOP" else "pop3", auth)


def fetchmail(target: Target, protocol: str, auth: str) -> bytes:
    """Fetch with fetchmail, by a protocol and a way to log in as fetchmail calls them."""
    letter = target.home / "fetched.eml"
    tls = {
        "plain": "sslproto ''",
        "starttls": f"sslproto tls1.2+ sslcertck sslcertfile {target.ca_file}",
        "tls": f"ssl sslcertck sslcertfile {target.ca_file}",
    }[target.security]
    config = secret_file(
        target.home / "fetchmailrc",
        [
            "set invisible",  # no Received line of its own
            "set no syslog",
            f"poll {target.host} protocol {protocol} port {target.port} auth {auth}",
            f"user {target.username} password {target.password} {tls}",
            "no rewrite nostripcr keep fetchall",
            f"mda 'cat > {letter}'",
        ],
    )
    arguments = ["fetchmail", "--fetchmailrc", str(config), "--nodetach"]
    arguments += ["--pidfile", str(target.home / "fetchmail.pid")]
    run(arguments, home=target.home)
    return letter.read_bytes()


def _mpop_fetch(target: Target) -> bytes:
    maildir = _maildir(target.home)
    settings = [f"delivery maildir {maildir}", "keep on", "received_header off"]
    settings += [f"uidls_file {target.home / 'uidls'}"]
    run(["mpop", f"--file={_msmtp_config(target, settings)}", "--quiet"], home=target.home)
    return _only_letter(maildir)


def _getmail_fetch(target: Target) -> bytes:
    kind = "SimplePOP3SSLRetriever" if target.security == "tls" else "SimplePOP3Retriever"
    apop = [f"use_apop = {target.mechanism == 'APOP'}"] if target.security == "plain" else []
    return getmail(target, kind, apop)


def getmail(target: Target, kind: str, settings: Sequence[str]) -> bytes:
    """Fetch with getmail, by one of its kinds of retriever and further settings of that."""
    letter = target.home / "fetched.eml"
    lines = ["[retriever]", f"type = {kind}", f"server = {target.host}", f"port = {target.port}"]
    lines += [f"username = {target.username}", f"password = {target.password}"]
    lines += settings
    lines += [f"ca_certs = {target.ca_file}"] if target.tls else []
    lines += ["[destination]", "type = MDA_external", "path = /bin/sh", "allow_root_commands = true"]
    lines += [f'arguments = ("-c", "cat > {letter}")', "unixfrom = false"]
    lines += ["[options]", "delivered_to = false", "received = false", "delete = false", "verbose = 0"]
    config = secret_file(target.home / "getmailrc", lines)
    run(["getmail", f"--getmaildir={target.home}", f"--rcfile={config}"], home=target.home)
    put_in_front, _, rest = letter.read_bytes().partition(b"\n")
    assert put_in_front.startswith(b"Return-Path:"), "getmail adds this line to a message without one"
    return rest


def _maildir(home: Path) -> Path:
    maildir = home / "Maildir"
    for part in ("cur", "new", "tmp"):
        (maildir / part).mkdir(parents=True)
    return maildir


def _only_letter(maildir: Path) -> bytes:
    (letter,) = (maildir / "new").iterdir()
    return letter.read_bytes()


SUBMITTERS: dict[str, Callable[[Target, bytes, str, Sequence[str]], None]] = {
    "curl": _curl_submit,
    "msmtp": _msmtp_submit,
    "swaks": _swaks_submit,
}

FETCHERS: dict[str, Callable[[Target], bytes]] = {
    "curl": _curl_fetch,
    "fetchmail": _fetchmail_fetch,
    "getmail": _getmail_fetch,
    "mpop": _mpop_fetch,
}

# What each can do, as (client, security, mechanism): getmail knows no STLS and no AUTH, and fetchmail
# forgets STLS, whatever it is told, where it is to use APOP.

SUBMIT_WAYS = tuple(
    (client, security, mechanism)
    for client in SUBMITTERS
    for security in ("plain", "starttls", "tls")
    for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5")
)

FETCH_WAYS = (
    *(
        (client, security, mechanism)
        for client in ("curl", "mpop")
        for security in ("plain", "starttls", "tls")
        for mechanism in ("USER/PASS", "APOP", "PLAIN", "LOGIN", "CRAM-MD5")
    ),
    *(
        ("fetchmail", security, mechanism)
        for security in ("plain", "starttls", "tls")
        for mechanism in ("USER/PASS", "APOP", "CRAM-MD5")
        if (security, mechanism) != ("starttls", "APOP")
    ),
    ("getmail", "plain", "USER/PASS"),
    ("getmail", "plain", "APOP"),
    ("getmail", "tls", "USER/PASS"),
)
