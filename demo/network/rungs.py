"""The rungs of the ladder, and trying one for real.

Settings and limits promise what a security module then refuses, so nothing is read to decide: a forked
child goes through the whole sequence, and says at which step it failed.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import socket
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mailtap.capture.language import N_
from mailtap.capture.live import LiveCapture
from mailtap.capture.loopback import LOOPBACK, CaptureUnavailable
from mailtap.demo.network import child, identity, namespace
from mailtap.demo.network.namespace import NamespaceError, Step
from mailtap.demo.network.obstacles import OBSTACLES

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE: Final = 5.0  # seconds for a rung to be tried in; it takes some 20 ms

_IPV4: Final = 0x0800  # as an Ethernet type
_LARGEST: Final = 0x20000  # bytes: more than any frame


class Rung(StrEnum):
    """Where the demo's traffic runs, best first."""

    PRIVATE_NETWORK = "private-network"
    ROOT_NETWORK = "root-network"
    HOST_LOOPBACK = "host-loopback"
    RELAY = "relay"


@dataclass(frozen=True, slots=True)
class Probe:
    """What became of trying a rung.

    Attributes:
        rung: which.
        works: whether it does.
        reason: why, in plain English; a key for translation.
        mend: what to do so that it does; empty where it does, or where nothing helps.
        detail: the system's own words; empty where it works.
    """

    rung: Rung
    works: bool
    reason: str
    mend: str = ""
    detail: str = ""


GIVES: Final = {
    Rung.PRIVATE_NETWORK: N_(
        "A private network of this program's own, with the real mail ports; no root needed."
    ),
    Rung.ROOT_NETWORK: N_("A private network made with root's rights, with the real mail ports."),
    Rung.HOST_LOOPBACK: N_(
        "This machine's loopback interface, with high ports; only the demo's own are listened to."
    ),
    Rung.RELAY: N_(
        "A relay before each server that writes down what passes; needs no rights, on any system."
    ),
}


def probe(rung: Rung) -> Probe:
    """Try a rung for real, in a forked child where it would change this process.

    Args:
        rung: which.

    Returns:
        What became of it; at most `PATIENCE` seconds later.
    """
    try:
        if rung in _CHANGES_PROCESS:
            child.attempt(_ATTEMPTS[rung], PATIENCE)
        else:
            _ATTEMPTS[rung]()
    except NamespaceError as error:
        return failed(rung, error)
    return Probe(rung, works=True, reason=GIVES[rung])


def failed(rung: Rung, error: NamespaceError) -> Probe:
    """Return a rung's failure in plain English."""
    reason, mend = OBSTACLES.get((error.step, error.errno)) or OBSTACLES[error.step, None]
    return Probe(rung, works=False, reason=reason, mend=mend, detail=str(error))


def own_files() -> tuple[Path, ...]:
    """Return files that the program must still be able to read after it has entered its network."""
    scapy = importlib.util.find_spec("scapy")
    return (Path(os.__file__), Path(__file__), *((Path(scapy.origin),) if scapy and scapy.origin else ()))


def check_files(files: tuple[Path, ...]) -> None:
    """Read the files, as a user namespace's root or another user may no longer be allowed to.

    Raises:
        NamespaceError: with `Step.FILES`.
    """
    try:
        for file in files:
            with file.open("rb"):
                pass
    except OSError as error:
        raise NamespaceError(Step.FILES, error) from error


def leave_root(*, listening: bool) -> tuple[str, ...]:
    """Become the user who ran sudo, where there is one who can read the program.

    Args:
        listening: whether to keep the right to capture and to bind low ports.

    Returns:
        Why the program stays root, in plain English, keys for translation; nothing where it does not.
    """
    if not identity.is_root():
        return ()
    user = identity.invoking_user(os.environ)
    if user is None:
        return (N_("The program stays root: no other user started it by sudo."),)
    if not identity.could_read(user, own_files()):
        return (N_("The program stays root: the user who ran sudo cannot read its files."),)
    identity.become(user, listening=listening)
    return ()


def enter_private_network() -> None:
    """Enter it as the user who ran sudo, if one did, so that files stay within reach.

    Raises:
        NamespaceError: the step that failed.
    """
    leave_root(listening=False)
    files = own_files()
    namespace.enter_private_network()
    check_files(files)


def enter_root_network() -> tuple[str, ...]:
    """Enter it, and give root up.

    Returns:
        Why the program stays root, as `leave_root` does.

    Raises:
        NamespaceError: the step that failed.
    """
    try:
        namespace.enter_root_network()
    except NamespaceError as error:
        if error.step is Step.UNSHARE and error.errno == errno.EPERM and not identity.is_root():
            raise NamespaceError(Step.ROOT, error.error, error.errno) from error
        raise
    return leave_root(listening=True)


def _attempt_private_network() -> None:
    enter_private_network()
    _bind_mail_ports()
    _hear()


def _attempt_root_network() -> None:
    enter_root_network()
    _bind_mail_ports()
    _hear()


def _attempt_relay() -> None:
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.create_connection(listener.getsockname(), timeout=PATIENCE),
        ):
            listener.settimeout(PATIENCE)
            listener.accept()[0].close()
    except OSError as error:
        raise NamespaceError(Step.RELAY, error) from error


def _bind_mail_ports() -> None:
    try:
        for port in (25, 110, 465, 995):
            socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise NamespaceError(Step.PORTS, error) from error


def _hear() -> None:
    """Open a capture socket and hear a datagram of one's own."""
    if sys.platform != "linux":
        try:
            with LiveCapture():
                return
        except CaptureUnavailable as error:
            raise NamespaceError(Step.CAPTURE, str(error)) from error
    try:
        with (
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as capture,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        ):
            capture.bind((LOOPBACK, _IPV4))
            capture.settimeout(PATIENCE)
            sender.bind(("127.0.0.1", 0))
            word = os.urandom(16)
            sender.sendto(word, sender.getsockname())
            while word not in capture.recv(_LARGEST):
                pass
    except OSError as error:
        raise NamespaceError(Step.CAPTURE, error) from error


_ATTEMPTS: Final[dict[Rung, Callable[[], None]]] = {
    Rung.PRIVATE_NETWORK: _attempt_private_network,
    Rung.ROOT_NETWORK: _attempt_root_network,
    Rung.HOST_LOOPBACK: _hear,
    Rung.RELAY: _attempt_relay,
}
_CHANGES_PROCESS: Final = {Rung.PRIVATE_NETWORK, Rung.ROOT_NETWORK}
