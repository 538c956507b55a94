"""Enter a network of this program's own, and set its loopback up (Linux: namespaces(7)).

Nothing here forks, starts threads or remembers anything: any single-threaded process may call these,
the lab's own or a helper that makes sockets for another.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
from enum import StrEnum
from pathlib import Path
from typing import Final

from mailtap.demo.network.libc import call

if sys.platform != "win32":
    import fcntl

MTU: Final = 1500  # what Ethernet carries: frames in the capture look as they do on a real network

_CLONE_NEWUSER = 0x10000000  # linux/sched.h
_CLONE_NEWNET = 0x40000000

_SIOCGIFFLAGS = 0x8913  # netdevice(7)
_SIOCSIFFLAGS = 0x8914
_SIOCSIFMTU = 0x8922
_SIOCETHTOOL = 0x8946
_IFF_UP = 0x1
_ETHTOOL_STSO = 0x1F  # linux/ethtool.h
_ETHTOOL_SGSO = 0x24


class Step(StrEnum):
    """The step of entering a private network that failed."""

    SYSTEM = "system"  # this operating system has none
    THREADS = "threads"  # other threads already run
    UNSHARE = "unshare"  # the kernel refused the namespace
    ROOT = "root"  # the kernel refused it to a user who is not root
    IDENTITY = "identity"  # the user or group map, or giving root up, was refused
    LOOPBACK = "loopback"  # its loopback interface could not be brought up
    PORTS = "ports"  # a mail port could not be bound
    CAPTURE = "capture"  # the capture socket was refused, or heard nothing
    FILES = "files"  # inside it, the program's own files can no longer be read
    RELAY = "relay"  # not even a connection to itself was allowed
    TIME = "time"  # no answer in time
    ATTEMPT = "attempt"  # it could not even be tried


class NamespaceError(Exception):
    """A private network could not be entered.

    Attributes:
        step: the step that failed.
        error: the system's own words.
        errno: the system's number for it, where it came from the system.
    """

    def __init__(self, step: Step, error: OSError | str, errno: int | None = None) -> None:
        super().__init__(f"{step}: {error}")
        self.step = step
        self.error = str(error)
        self.errno = error.errno if isinstance(error, OSError) else errno


def threads() -> int:
    """Return how many threads this process has, those of C libraries included where the system tells."""
    tasks = Path("/proc/self/task")
    if tasks.is_dir():
        return len(list(tasks.iterdir()))
    import threading  # noqa: PLC0415  # only where /proc does not tell

    return threading.active_count()


def enter_private_network() -> None:
    """Move this process into a new user and network namespace, where it is root (user_namespaces(7)).

    Files are still opened as the user who runs the program. There is no way back out.

    Raises:
        NamespaceError: the step that failed; from `Step.IDENTITY` on, the process has moved already.
    """
    uid, gid = os.geteuid(), os.getegid()
    _unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    # An ordinary user may write gid_map only after giving up setgroups(2).
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        try:
            # unbuffered: these files take one write only
            Path("/proc/self", name).write_text(text, encoding="ascii")
        except OSError as error:
            raise NamespaceError(Step.IDENTITY, error) from error
    bring_up_loopback()


def enter_root_network() -> None:
    """Move this process, which must be root, into a new network namespace (network_namespaces(7)).

    Raises:
        NamespaceError: the step that failed; from `Step.LOOPBACK` on, the process has moved already.
    """
    _unshare(_CLONE_NEWNET)
    bring_up_loopback()


def bring_up_loopback(mtu: int = MTU) -> None:
    """Bring the loopback interface of a new network namespace up, with Ethernet's frame size.

    Args:
        mtu: largest IP packet in bytes.

    Raises:
        NamespaceError: with `Step.LOOPBACK`.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, _SIOCSIFMTU, struct.pack("16si20x", b"lo", mtu))
            _segment_as_on_a_cable(control)
            (flags,) = struct.unpack_from(
                "h", fcntl.ioctl(control, _SIOCGIFFLAGS, b"lo".ljust(40, b"\0")), 16
            )
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))
    except OSError as error:
        raise NamespaceError(Step.LOOPBACK, error) from error


def _segment_as_on_a_cable(control: socket.socket) -> None:
    """Let the kernel cut TCP data itself, so that no frame is larger than the MTU."""
    for command in (_ETHTOOL_STSO, _ETHTOOL_SGSO):
        value = ctypes.create_string_buffer(struct.pack("II", command, 0))
        request = struct.pack("16sP16x", b"lo", ctypes.addressof(value))
        try:
            fcntl.ioctl(control, _SIOCETHTOOL, request)
        except OSError:
            return  # frames of up to 64 KiB, then: less like a cable, and heard all the same


def _unshare(flags: int) -> None:
    """Call unshare(2), by way of C before Python 3.12."""
    if not sys.platform.startswith("linux"):
        raise NamespaceError(Step.SYSTEM, sys.platform)
    if threads() > 1:
        raise NamespaceError(Step.THREADS, f"{threads()} threads")
    try:
        if sys.version_info >= (3, 12):
            os.unshare(flags)
        else:
            call("unshare", flags)
    except OSError as error:
        raise NamespaceError(Step.UNSHARE, error) from error
