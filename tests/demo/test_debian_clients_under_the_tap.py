"""Clients of Debian, that no one here wrote, under the plugin's own fixture: heard in clear, silent in TLS."""

from __future__ import annotations

import imappeers
import peers
import pytest
from bothwires import mail_tap_factory  # noqa: F401  # each test runs with both ways to hear

SENDER = "hanako@lab.example"
LOGINS = {"smtp": "PLAIN", "pop3": "USER/PASS", "imap": imappeers.COMMAND}
FETCHING = {"pop3": peers.fetch, "imap": imappeers.fetch}
CLIENTS = [
    *(("smtp", client) for client in ("curl", "msmtp", "swaks")),
    *(("pop3", client) for client in ("curl", "fetchmail", "mpop")),
    *(("imap", client) for client in ("curl", "fetchmail", "mutt")),
]
ROWS = [
    pytest.param(protocol, client, security, id=f"{client}-{protocol}-{security}", marks=mark)
    for protocol, client in CLIENTS
    for security, auth in (
        ("plain", ["PLAIN", "USER/PASS"]),
        ("starttls", ["PLAIN", "USER/PASS"]),
        ("tls", ["PLAIN", "USER/PASS"]),
    )
    for mark in [
        pytest.mark.mail_server(security=security, auth=auth if protocol == "smtp" else ["USER/PASS"])
    ]
]


@pytest.mark.parametrize(("protocol", "client", "security"), ROWS)
def test_a_client_of_debian(  # noqa: PLR0917  # fixtures
    mail_tap, mail_account, mail_letters, mail_ca_file, tmp_path, protocol, client, security
):
    (letter,) = mail_letters
    port = getattr(mail_tap, protocol)
    target = peers.Target(
        host="localhost",
        port=port.port,
        security=security,
        mechanism=LOGINS[protocol],
        username=mail_account.username,
        password=str(mail_account.password),
        home=tmp_path,
        ca_file=mail_ca_file,
    )
    if protocol == "smtp":
        peers.submit(client, target, letter, sender=SENDER, recipients=[mail_account.address])
        assert [message.content for message in mail_tap.messages] == [letter, letter]
    else:
        assert FETCHING[protocol](client, target) == letter
    assert port.sessions >= 1
    assert port.client_bytes > 0
    if security == "plain":
        assert mail_account.password in mail_tap
        assert mail_tap.leaks("subject", "body")
    else:
        assert mail_account.password not in mail_tap
        assert not mail_tap.leaks("username", "password", "sender", "recipient", "subject", "body")
