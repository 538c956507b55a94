"""The demo's own mail programs trust nobody but the lab's authority, and end TLS in good order."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from mailtap.demo import cast, client
from mailtap.demo.network.rungs import Rung
from mailtap.demo.scenarios import SCENARIOS
from mailtap.servers import Account, LabCertificates, Security, ServerProtocol, Service, ToyServers
from mailtap.servers.accounts import Accounts

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from conftest import Lesson

SMTP = Service(protocol=ServerProtocol.SMTP, security=Security.TLS, mechanisms=("PLAIN",))
POP3 = Service(protocol=ServerProtocol.POP3, security=Security.TLS)
TARO = Account(username=cast.TARO.username, password=cast.TARO.password, addresses=(cast.TARO.address,))
MAIL = b"Subject: hello\r\n\r\nhello\r\n"
LETTER = client.Letter(sender=cast.TARO.address, recipients=(cast.TARO.address,), content=MAIL)

EVERY_PROTOCOL = pytest.mark.parametrize("service", [SMTP, POP3], ids=["SMTP", "POP3"])


DISSECTORS = {"smtp": "smtp", "pop3": "pop", "tls": "tls"}  # Wireshark's names


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


def talk(service: Service, certificates: LabCertificates, trust: ssl.SSLContext) -> None:
    """Send to a server, or fetch from it, and see the session end."""
    with ToyServers([service], accounts=[TARO], certificates=certificates) as servers:
        servers.mailboxes[TARO.username].add(MAIL)
        settings = client.Settings(
            service=service,
            address=servers.endpoints[service],
            machine=cast.TARO.machine,
            username=TARO.username,
            password=TARO.password,
            trust=trust,
        )
        try:
            if service.protocol is ServerProtocol.SMTP:
                client.SENDING[service.protocol](settings, LETTER)
            else:
                assert client.FETCHING[service.protocol](settings) == MAIL
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


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed (Debian: apt install tshark)")
@pytest.mark.parametrize("rung", [str(rung) for rung in Rung])
@pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS])
def test_wireshark_shows_nothing_wrong_and_no_reset(
    lesson: Callable[[str, str], Lesson], name: str, rung: str
) -> None:
    done = lesson(name, rung)
    for file in (done.pcap, done.keys):
        hints = [
            f"-dtcp.port=={leak['server'].rsplit(':', 1)[1]},{DISSECTORS[leak['protocol']]}"
            for leak in done.told.leaks
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
