"""The pytest plugin: `assert secret not in mail_tap`.

pytest imports this file for every project in whose environment Mailtap is installed, so it imports next to
nothing; what it needs is imported when a test first uses a fixture.
"""

from __future__ import annotations

import re
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from mailtap.demo.testing.factory import TapFactory
    from mailtap.demo.testing.letters import MailAccount
    from mailtap.demo.testing.tap import MailTap
    from mailtap.servers import LabCertificates

_LONGEST_NAME: Final = 150  # characters of a capture's name, which is the test's
MODES: Final = ("auto", "packets", "relay")
SECTION: Final = "mail tap"
_TROUBLED: Final = pytest.StashKey[bool]()  # whether the test or a fixture of it failed or was skipped
_TAP: Final = pytest.StashKey["MailTap"]()  # the test's own, also where only a fixture of it asked for it
_SERVER: Final = (
    "mail_server(*protocols, security='starttls', auth=['PLAIN', …]): what the servers of mail_tap offer; "
    "security is plain, starttls or tls; without protocols, for all of them"
)
_ATTACK: Final = (
    "mail_attack(name): what is done to the client: strip-starttls, refuse-starttls or bad-certificate"
)
_HEARD_BY: Final = {
    "packets": "packets on this machine's loopback",
    "relay": "a relay before each server; needs no privileges",
}


# --- options and hooks ----------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and their ini twins."""
    group = parser.getgroup("mailtap", "mail tap: what an eavesdropper hears of a mail client")
    group.addoption(
        "--mail-tap",
        choices=MODES,
        help="how to hear the wire: its packets, where this user may capture on the loopback, or the bytes "
        "in a relay, which needs no privileges (default: auto, the best that works)",
    )
    group.addoption("--mail-tap-dir", metavar="DIR", help="keep the capture of each failed test there")
    group.addoption("--mail-tap-update", action="store_true", help="keep mail_tap.snapshot() baselines anew")
    parser.addini("mail_tap", "how to hear the wire: auto, packets or relay", default="auto")
    parser.addini("mail_tap_dir", "where to keep the capture of each failed test", default="")
    parser.addini(
        "mail_tap_security", "what servers offer unless marked: plain, starttls, tls", default="starttls"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known, and check the ini file's word."""
    for marker in (_SERVER, _ATTACK):
        config.addinivalue_line("markers", marker)
    if _wanted(config) not in MODES:
        raise pytest.UsageError(f"mail_tap is one of {', '.join(MODES)}; {_wanted(config)!r} is not.")


def pytest_report_header(config: pytest.Config) -> str:
    """Say how the wire will be heard."""
    wanted = _wanted(config)
    mode = wanted if wanted != "auto" else ("packets" if _may_capture() else "relay")
    return f"mail tap: {mode} ({_HEARD_BY[mode]})"


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Teach, where `secret not in mail_tap` fails."""
    tap = _class()
    if tap is None or not isinstance(right, tap) or op not in ("in", "not in"):
        return None
    if op == "not in":
        return ["the secret not in mail_tap", *right.explain(left)]
    return ["the text in mail_tap", "It did not cross the wire in any shape that the tap knows."]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what the tap heard to the report of a failed test; the tap is still open here."""
    report = yield
    if call.when != "teardown" and not report.passed:
        item.stash[_TROUBLED] = True
    tap = _class()
    if tap is None or not report.failed or call.when == "teardown":
        return report
    used = [item.stash.get(_TAP, default=None), *getattr(item, "funcargs", {}).values()]
    for value in {id(each): each for each in used if isinstance(each, tap)}.values():
        report.sections.append((SECTION, _told(item, value)))
    return report


def _told(item: pytest.Item, tap: MailTap) -> str:
    from mailtap.demo.testing.errors import MailTapError  # noqa: PLC0415

    try:
        return "\n".join([tap.report(), *_keep(item, tap)])
    except MailTapError as error:
        return str(error)


def _keep(item: pytest.Item, tap: MailTap) -> list[str]:
    """Keep the capture, where a folder for it was named; return the line that says so."""
    from mailtap.capture.sinks import SinkError, write_pcapng  # noqa: PLC0415

    folder = item.config.getoption("--mail-tap-dir") or item.config.getini("mail_tap_dir")
    if not folder:
        return []
    file = (
        item.config.rootpath / folder / (re.sub(r"[^\w.-]+", "_", item.nodeid).strip("_")[-150:] + ".pcapng")
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_pcapng(file, tap.packets)
    except (OSError, SinkError) as error:
        return ["", f"the capture could not be kept: {error}"]
    return ["", f"the capture, for Wireshark: {file}"]


def _class() -> type[MailTap] | None:
    """Return the class of taps, unless no test has used one."""
    module = sys.modules.get("mailtap.demo.testing.tap")
    return None if module is None else module.MailTap


def _wanted(config: pytest.Config) -> str:
    return str(config.getoption("--mail-tap") or config.getini("mail_tap"))


def _may_capture() -> bool:
    """Return whether the system gives this user a packet socket; that it hears is tried before its use."""
    if sys.platform != "linux":
        return False
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except OSError:
        return False
    return True


# --- fixtures to override -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def mail_address() -> str:
    """The loopback address that clients are told; `localhost`, or an IPv4 address."""
    return "127.0.0.1"


@pytest.fixture(scope="session")
def mail_certificates(mail_address: str) -> LabCertificates:
    """What the servers show to clients that ask for TLS: anything with `server_context()` and `ca_pem`."""
    from mailtap.servers import LAB_NAMES, LabCertificates  # noqa: PLC0415

    return LabCertificates(tuple(dict.fromkeys((*LAB_NAMES, mail_address))))


@pytest.fixture(scope="session")
def mail_ca_file(mail_certificates: LabCertificates, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the certificate of the authority that a client has to trust (PEM)."""
    file = tmp_path_factory.mktemp("mail_tap") / "ca.pem"
    file.write_bytes(mail_certificates.ca_pem)
    return file


@pytest.fixture
def mail_tls_context(mail_certificates: LabCertificates) -> ssl.SSLContext:
    """A context for a client that checks the server's chain and name."""
    return mail_certificates.client_context()


@pytest.fixture
def mail_account() -> MailAccount:
    """The account of this test, with a password of its own."""
    from mailtap.demo.testing.letters import new_account  # noqa: PLC0415

    return new_account()


@pytest.fixture
def mail_letters(mail_account: MailAccount) -> Sequence[bytes]:
    """What is in the mailbox when the test begins: whole messages, lines ended by CRLF."""
    from mailtap.demo.testing.letters import new_letter  # noqa: PLC0415

    return [new_letter(mail_account)]


# --- the tap --------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def mail_tap_factory(
    pytestconfig: pytest.Config, mail_address: str, mail_certificates: LabCertificates, mail_ca_file: Path
) -> TapFactory:
    """Makes taps; for fixtures of one's own with another scope."""
    from mailtap.demo.testing.factory import TapFactory, choose_mode  # noqa: PLC0415

    return TapFactory(
        mode=choose_mode(_wanted(pytestconfig)),
        host=mail_address,
        certificates=mail_certificates,
        ca_file=mail_ca_file,
        security=str(pytestconfig.getini("mail_tap_security")),
        update=bool(pytestconfig.getoption("--mail-tap-update")),
    )


@pytest.fixture
def mail_tap(
    request: pytest.FixtureRequest,
    mail_tap_factory: TapFactory,
    mail_account: MailAccount,
    mail_letters: Sequence[bytes],
) -> Iterator[MailTap]:
    """Mail servers of this test's own, and all that an eavesdropper hears of a client that talks to them."""
    from mailtap.demo.testing.baseline import FOLDER  # noqa: PLC0415
    from mailtap.demo.testing.errors import BadMark  # noqa: PLC0415

    marks: list[Any] = [(mark.args, mark.kwargs) for mark in request.node.iter_markers("mail_server")]
    attack = request.node.get_closest_marker("mail_attack")
    if attack and (len(attack.args) != 1 or attack.kwargs):
        raise BadMark("mail_attack takes the name of one attack.")
    with mail_tap_factory(
        account=mail_account,
        letters=mail_letters,
        marks=marks,
        attack=attack.args[0] if attack else None,
        baselines=request.path.parent / FOLDER,
    ) as tap:
        request.node.stash[_TAP] = tap
        yield tap
        if not request.node.stash.get(_TROUBLED, default=False):
            tap.conclude()
