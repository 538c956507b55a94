"""The demo's own mail programs trust nobody but the lab's authority, and end TLS in good order."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mailtap.demo import cast, client
from mailtap.demo.network.rungs import Rung
from mailtap.servers import Account, LabCertificates, Security, ServerProtocol, Service, ToyServers
from mailtap.servers.accounts import Accounts

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from conftest import Lesson

SMTP = Service(protocol=ServerProtocol.SMTP, security=Security.TLS, mechanisms=("PLAIN",))
POP3 = Service(protocol=ServerProtocol.POP3, security=Security.TLS)
LATER = [replace(service, security=Security.STARTTLS) for service in (SMTP, POP3)]
TARO = Account(username=cast.TARO.username, password=cast.TARO.password, addresses=(cast.TARO.address,))
MAIL = b"Subject: hello\r\n\r\nhello\r\n"
LETTER = client.Letter(sender=cast.TARO.address, recipients=(cast.TARO.address,), content=MAIL)

EVERY_PROTOCOL = pytest.mark.parametrize(
    "service", [SMTP, POP3, *LATER], ids=["SMTP", "POP3", "SMTP by STARTTLS", "POP3 by STLS"]
)


DISSECTORS = {"smtp": "smtp", "pop3": "pop", "imap": "imap", "tls": "tls"}  # Wireshark's names


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every password that a server was asked to check."""
    passwords: list[bytes] = []
    check = Accounts.check_password

    def note(accounts: Accounts, username: bytes, password: bytes) -> Account | None:
        passwords.append(password)
        return check(accounts, username, password)

    monkeypatch.setattr(Accounts, "check_password", note)
    return passwords


def talk(
    offered: Service, certificates: LabCertificates, trust: ssl.SSLContext, **told: Service | bool
) -> None:
    """Send to a server, or fetch from it, and see the session end; `told` is what the program is told else."""
    with ToyServers([offered], accounts=[TARO], certificates=certificates) as servers:
        servers.mailboxes[TARO.username].add(MAIL)
        settings = client.Settings(
            service=offered,
            address=servers.endpoints[offered],
            machine=cast.TARO.machine,
            username=TARO.username,
            password=TARO.password,
            trust=trust,
        )
        settings = replace(settings, **told)
        try:
            if offered.protocol is ServerProtocol.SMTP:
                client.SENDING[offered.protocol](settings, LETTER)
            else:
                assert client.FETCHING[offered.protocol](settings) == MAIL
        finally:
            assert servers.wait_idle(10, sessions=1)


@EVERY_PROTOCOL
def test_a_server_of_the_labs_own_authority_is_trusted(service: Service, asked: list[bytes]) -> None:
    certificates = LabCertificates()
    talk(service, certificates, certificates.client_context())
    assert asked == [TARO.password.encode()]


@EVERY_PROTOCOL
def test_a_server_of_a_strangers_authority_gets_no_password(service: Service, asked: list[bytes]) -> None:
    with pytest.raises(client.ClientFailed, match="certificate verify failed"):
        talk(service, LabCertificates(), LabCertificates().client_context())
    assert asked == []


@EVERY_PROTOCOL
def test_a_server_of_another_name_gets_no_password(service: Service, asked: list[bytes]) -> None:
    certificates = LabCertificates(names=("mail.elsewhere.example",))
    with pytest.raises(client.ClientFailed, match="certificate is not valid for"):
        talk(service, certificates, certificates.client_context())
    assert asked == []


@pytest.mark.parametrize("later", LATER, ids=["SMTP", "POP3"])
@pytest.mark.parametrize(
    ("insist", "passwords"),
    [
        pytest.param(True, [], id="one that insists breaks off"),
        pytest.param(False, [TARO.password.encode()], id="one that shrugs goes on in clear"),
    ],
)
def test_where_starttls_is_not_offered(
    later: Service, insist: bool, passwords: list[bytes], asked: list[bytes]
) -> None:
    certificates = LabCertificates()
    bare = replace(later, security=Security.PLAIN)
    try:
        talk(bare, certificates, certificates.client_context(), service=later, insist=insist)
    except client.ClientFailed:
        assert insist
    else:
        assert not insist
    assert asked == passwords


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed (Debian: apt install tshark)")
@pytest.mark.parametrize("rung", [Rung.PRIVATE_NETWORK, Rung.RELAY])
@pytest.mark.parametrize("name", ["plain", "apop", "tls", "starttls", "relay-tls", "imap-plain", "imaps"])
def test_wireshark_shows_nothing_wrong_and_no_reset(
    lesson: Callable[[str, str], Lesson], name: str, rung: str
) -> None:
    done = lesson(name, rung)
    for file in (done.pcap, done.keys):
        hints = [
            f"-dtcp.port=={told['server'].rsplit(':', 1)[1]},{DISSECTORS[told['protocol']]}"
            for told in done.told.objects
            if told.get("server")
        ]
        assert hints
        # An error; a warning is Wireshark's that its setting for AUTH's base64 is off.
        wrong = f"tcp.flags.reset == 1 || _ws.malformed || _ws.expert.severity >= {0x800000}"
        shown = subprocess.run(
            ["tshark", "-r", str(file), *hints, "-Y", wrong],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert shown.stdout == ""
