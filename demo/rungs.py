"""The rungs of the ladder, and trying one for real.

Settings and limits promise what a security module then refuses, so nothing is read to decide: a forked
child goes through the whole sequence, and says at which step it failed.
"""

from __future__ import annotations

import importlib.util
import os
import select
import signal
import socket
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from mailtap.capture.language import N_
from mailtap.capture.live import LiveCapture
from mailtap.capture.loopback import LOOPBACK, CaptureUnavailable
from mailtap.demo import namespace
from mailtap.demo.namespace import NamespaceError, Step
from mailtap.demo.obstacles import OBSTACLES

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
            _in_child(_ATTEMPTS[rung])
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


def _attempt_private_network() -> None:
    files = own_files()
    namespace.enter_private_network()
    check_files(files)
    _bind_mail_ports()
    _hear()


def _attempt_root_network() -> None:
    identity = namespace.invoking_user(os.environ)
    readable = identity is not None and namespace.could_read(identity, own_files())
    namespace.enter_root_network()
    if identity is not None and readable:
        namespace.give_up_root(identity)
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


def _in_child(attempt: Callable[[], None]) -> None:
    """Call it in a forked child, which is gone when this returns.

    Raises:
        NamespaceError: what the child raised; with `Step.TIME` where it did not answer.
    """
    if not hasattr(os, "fork"):
        raise NamespaceError(Step.SYSTEM, sys.platform)
    if (count := namespace.threads()) > 1:
        raise NamespaceError(Step.THREADS, f"{count} threads")
    answer, answering = os.pipe()
    # An interrupt between fork and try would unwind the child into the parent's code, or forget the child.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    child = os.fork()
    if child == 0:
        _answer(attempt, answering)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(answering)
        _raise_answer(answer)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(answer)


def _answer(attempt: Callable[[], None], pipe: int) -> NoReturn:
    """Be the child: try, write what went wrong, and end without running anything of the parent's."""
    try:
        attempt()
        os.write(pipe, b"works")
    except NamespaceError as error:
        os.write(pipe, f"{error.step} {error.errno or 0} {error.error}".encode())
    finally:
        os._exit(0)  # nothing of the parent's: no buffers flushed, no clean-up handlers


def _raise_answer(pipe: int) -> None:
    """Read the child's answer, and raise what it raised."""
    if not select.select([pipe], [], [], PATIENCE)[0]:
        raise NamespaceError(Step.TIME, f"no answer in {PATIENCE} s")
    answer = os.read(pipe, select.PIPE_BUF).decode(errors="replace")
    if answer == "works":
        return
    if not answer:
        raise NamespaceError(Step.TIME, "the attempt died")
    step, number, text = answer.split(" ", 2)
    raise NamespaceError(Step(step), text, int(number) or None)


_ATTEMPTS: Final[dict[Rung, Callable[[], None]]] = {
    Rung.PRIVATE_NETWORK: _attempt_private_network,
    Rung.ROOT_NETWORK: _attempt_root_network,
    Rung.HOST_LOOPBACK: _hear,
    Rung.RELAY: _attempt_relay,
}
_CHANGES_PROCESS: Final = {Rung.PRIVATE_NETWORK, Rung.ROOT_NETWORK}
