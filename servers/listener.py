"""Opens listening sockets, on loopback addresses and nowhere else."""

from __future__ import annotations

import errno
import importlib
import ipaddress
import os
import socket
from contextlib import suppress
from typing import Final, NamedTuple

from mailtap.servers.messages import N_

# Connections that wait to be accepted; the system takes as many as it can. A client whose last ACK finds
# the queue full may wait for its greeting for ever: with SYN cookies (RFC 4987, section 3.6) nobody
# remembers it.
BACKLOG: Final = 4096


class ServersError(Exception):
    """The toy servers cannot start; the message says what to do.

    Attributes:
        text: the message in English, with its `{placeholders}`; a key for translation.
        values: what to fill in.
    """

    def __init__(self, text: str, /, **values: object) -> None:
        super().__init__(text.format(**values))
        self.text = text
        self.values = values


class AddressRefused(ServersError):  # noqa: N818  # the noun that callers know
    """The address is not one of this machine's loopback addresses."""

    def __init__(self, host: str) -> None:
        text = N_(
            "The toy servers listen on loopback only, and {host!r} is not a loopback address:"
            " use 127.0.0.1 or ::1."
        )
        super().__init__(text, host=host)
        self.host = host


class AddressMissing(AddressRefused):
    """The address is a loopback address, and this machine has none like it."""

    def __init__(self, host: str) -> None:
        ServersError.__init__(self, N_("This machine has no address {host}: use 127.0.0.1."), host=host)
        self.host = host


class Holder(NamedTuple):
    """The program that holds a port: its name, and the number of its process."""

    name: str
    process: int


class PortTaken(ServersError):  # noqa: N818
    """Another program listens on the port.

    Attributes:
        host: the address.
        port: the port.
        holder: the program that holds it; None where this system does not tell.
    """

    def __init__(self, host: str, port: int, holder: Holder | None) -> None:
        if holder is None:
            text = N_("Port {port} on {host} is taken by another program: end it, or choose another port.")
            super().__init__(text, host=host, port=port)
        else:
            text = N_(
                "Port {port} on {host} is taken by {name} (process {process}): end it, or choose another"
                " port."
            )
            super().__init__(text, host=host, port=port, name=holder.name, process=holder.process)
        self.host = host
        self.port = port
        self.holder = holder


class PortForbidden(ServersError):  # noqa: N818
    """This system does not let an ordinary user listen on the port."""

    def __init__(self, host: str, port: int) -> None:
        text = N_("This user may not listen on port {port} of {host}: choose a port from 1024 up.")
        super().__init__(text, host=host, port=port)
        self.host = host
        self.port = port


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; clients can connect from now on.

    Args:
        host: a loopback address (127.0.0.0/8 or ::1). Names are refused: they may resolve elsewhere.
        port: the port; 0 takes any free one.

    Raises:
        AddressRefused: the address is no loopback address.
        AddressMissing: this machine has no such address, as without IPv6.
        PortTaken: another program listens there.
        PortForbidden: the port is reserved for the administrator.
    """
    address = loopback(host)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004
    try:
        # By its full name, or asyncio does not know it for TCP and leaves Nagle's delays on.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise _explain(error, host, port) from error
    try:
        _claim(sock)
        sock.bind((str(address), port))
        loopback(sock.getsockname()[0])
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _explain(error, host, port) from error
    except BaseException:
        sock.close()
        raise
    sock.setblocking(False)  # noqa: FBT003  # the standard library's signature
    return sock


def loopback(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address if it is a literal loopback address.

    Raises:
        AddressRefused: it is not.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise AddressRefused(host) from None
    # An IPv4 address in IPv6 clothes is loopback to some Python versions and not to others: use it plain.
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "scope_id", None)
    if mapped or not address.is_loopback:
        raise AddressRefused(host)
    return address


def _claim(sock: socket.socket) -> None:
    if os.name == "nt":  # there, REUSEADDR would let two servers share a port
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)  # type: ignore[attr-defined,unused-ignore]
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def _explain(error: OSError, host: str, port: int) -> Exception:
    taken = {errno.EADDRINUSE, errno.EACCES} if os.name == "nt" else {errno.EADDRINUSE}
    if error.errno in taken:
        return PortTaken(host, port, holder_of(port))
    if error.errno in {errno.EACCES, errno.EPERM}:
        return PortForbidden(host, port)
    if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
        return AddressMissing(host)
    return error


def holder_of(port: int) -> Holder | None:
    """Return which program listens on a port; None where no one can tell."""
    with suppress(Exception):  # psutil may be absent, or may not be allowed to look: this is only a courtesy
        psutil = importlib.import_module("psutil")
        for connection in psutil.net_connections("tcp"):
            listening = connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            if listening and connection.pid:
                return Holder(psutil.Process(connection.pid).name(), connection.pid)
    return None
