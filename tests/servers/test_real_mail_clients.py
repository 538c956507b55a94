"""Clients that no one here wrote, over plain, APOP and CRAM-MD5, STARTTLS and TLS: what goes in comes out.

Ports with STARTTLS refuse a login in clear, so that a login that works proves that TLS was on.
"""

from __future__ import annotations

from dataclasses import replace

import imappeers
import peers
import pytest
from toylab import HANAKO, LETTER, PASSWORD_ONLY, SERVICES, TARO

from mailtap.servers import LabCertificates

SENDER, RECIPIENTS = "hanako@lab.example", ["taro@lab.example"]


@pytest.fixture
def aim(lab, ca_file, tmp_path):
    """Make targets for clients: submission as Hanako, fetching as Taro."""

    def make(protocol, security, mechanism, account=None):
        account = account or {"smtp": HANAKO, "pop3": TARO, "imap": TARO}[protocol]
        service = PASSWORD_ONLY[security] if mechanism == "USER/PASS" else SERVICES[protocol, security]
        home = tmp_path / protocol
        home.mkdir()
        return peers.Target(
            host="localhost",
            port=lab.endpoints[service][1],
            security=security,
            mechanism=mechanism,
            username=account.username,
            password=account.password,
            home=home,
            ca_file=ca_file,
        )

    return make


def ways(rows):
    return [pytest.param(*row, id="-".join(row).replace("/", "").replace(" ", "-")) for row in rows]


@pytest.mark.parametrize(("client", "security", "mechanism"), ways(peers.SUBMIT_WAYS))
def test_client_submits(lab, aim, client, security, mechanism):
    peers.submit(client, aim("smtp", security, mechanism), LETTER, sender=SENDER, recipients=RECIPIENTS)
    (message,) = lab.mailboxes["taro"].messages
    assert message.content == LETTER
    assert message.sender == SENDER


@pytest.mark.parametrize(("client", "security", "mechanism"), ways(peers.FETCH_WAYS))
def test_client_fetches(lab, aim, client, security, mechanism):
    lab.mailboxes["taro"].add(LETTER)
    assert peers.fetch(client, aim("pop3", security, mechanism)) == LETTER
    assert len(lab.mailboxes["taro"].messages) == 1


@pytest.mark.parametrize(("client", "security", "mechanism"), ways(imappeers.FETCH_WAYS))
def test_client_fetches_by_imap(lab, aim, client, security, mechanism):
    lab.mailboxes["taro"].add(LETTER)
    assert imappeers.fetch(client, aim("imap", security, mechanism)) == LETTER
    assert len(lab.mailboxes["taro"].messages) == 1


@pytest.mark.parametrize(
    ("submitter", "fetcher", "security"),
    ways(
        [
            ("curl", "fetchmail", "tls"),
            ("msmtp", "curl", "starttls"),
            ("swaks", "mpop", "tls"),
            ("curl", "getmail", "plain"),
        ]
    ),
)
def test_one_client_fetches_what_another_submitted(aim, submitter, fetcher, security):
    there = aim("smtp", security, "CRAM-MD5")
    peers.submit(submitter, there, LETTER, sender=SENDER, recipients=RECIPIENTS)
    assert peers.fetch(fetcher, aim("pop3", security, "USER/PASS")) == LETTER


@pytest.mark.parametrize("client", peers.SUBMITTERS)
def test_submission_with_a_wrong_password_is_refused(lab, aim, client):
    target = aim("smtp", "plain", "PLAIN", replace(HANAKO, password="wrong"))
    with pytest.raises(peers.PeerFailed):
        peers.submit(client, target, LETTER, sender=SENDER, recipients=RECIPIENTS)
    assert lab.mailboxes["taro"].messages == ()


@pytest.mark.parametrize("client", peers.FETCHERS)
def test_fetching_with_a_wrong_password_is_refused(lab, aim, client):
    lab.mailboxes["taro"].add(LETTER)
    with pytest.raises(peers.PeerFailed):
        peers.fetch(client, aim("pop3", "plain", "USER/PASS", replace(TARO, password="wrong")))


@pytest.fixture(scope="module")
def stranger_ca(tmp_path_factory):
    path = tmp_path_factory.mktemp("stranger") / "ca.pem"
    path.write_bytes(LabCertificates().ca_pem)
    return path


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("client", peers.SUBMITTERS)
def test_submitter_that_trusts_another_authority_leaves(lab, aim, stranger_ca, client, security):
    target = replace(aim("smtp", security, "PLAIN"), ca_file=stranger_ca)
    with pytest.raises(peers.PeerFailed):
        peers.submit(client, target, LETTER, sender=SENDER, recipients=RECIPIENTS)
    assert lab.mailboxes["taro"].messages == ()


@pytest.mark.parametrize(
    ("client", "security"),
    ways([("curl", "starttls"), ("mpop", "starttls"), ("fetchmail", "starttls"), ("getmail", "tls")]),
)
def test_fetcher_that_trusts_another_authority_leaves(lab, aim, stranger_ca, client, security):
    lab.mailboxes["taro"].add(LETTER)
    with pytest.raises(peers.PeerFailed):
        peers.fetch(client, replace(aim("pop3", security, "USER/PASS"), ca_file=stranger_ca))


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_openssl_reads_the_letter_and_vouches_for_the_certificate(lab, ca_file, tmp_path, security):
    lab.mailboxes["taro"].add(LETTER)
    _, port = lab.endpoints[SERVICES["pop3", security]]
    arguments = ["openssl", "s_client", "-quiet", "-crlf", "-connect", f"localhost:{port}"]
    arguments += ["-CAfile", str(ca_file), "-verify_return_error", "-verify_hostname", "mail.lab.example"]
    arguments += ["-starttls", "pop3"] if security == "starttls" else []
    typed = b"USER taro\nPASS tanstaaf\nRETR 1\nQUIT\n"
    said = peers.run(arguments, home=tmp_path, stdin=typed)
    assert LETTER.replace(b"\r\n.", b"\r\n..") + b".\r\n" in said
