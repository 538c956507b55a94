"""Move the bytes of many TCP connections between clients and servers, and note what passes.

One thread moves everything, so the order of the two directions is the order in which they passed. A
side that is slow to read slows the other down: each direction holds one piece of at most 16 KiB, and
is not read further until that has been handed on.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import struct
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from mailtap.capture.model import OTHER, Direction, Endpoint
from mailtap.demo.network.frames import Connection
from mailtap.servers.listener import listen

if TYPE_CHECKING:
    from collections.abc import Iterable

HOST: Final = "127.0.0.1"

# What connect(2) on a socket that does not wait returns where nothing is wrong.
_UNDER_WAY: Final = {0, errno.EINPROGRESS, errno.EWOULDBLOCK}

_FEWEST_LINKS, _MOST_LINKS = 60, 1_000
_DESCRIPTORS: Final = 4  # of a link: two here, and two more where its ends are in the same process
_PAUSE: Final = 0.1  # seconds after which to try again where nobody can be let in
_PIECE: Final = 16 * 1024  # bytes
_MOST_PIECES: Final = 1024  # that a system may have received for a socket that was reset
_END: Final = b"\0"  # a word to the thread: take no more connections
_LOOK: Final = b"\1"  # a word to the thread: somebody waits for quiet
# struct linger (socket(7)): with it, close() sends a reset. Windows counts in shorter numbers.
_RESET_ON_CLOSE: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Notebook(Protocol):
    """Takes down frames."""

    def write(self, frames: Iterable[bytes]) -> None:
        """Write frames down as seen now."""


class Link:
    """One client's connection, and its twin to the server."""

    def __init__(self, client: socket.socket, server: socket.socket, frames: Connection) -> None:
        self.frames = frames
        self.sockets = {Direction.CLIENT: client, Direction.SERVER: server}
        self.pending = dict.fromkeys(Direction, b"")  # came from that side, not yet handed on
        self.ended = dict.fromkeys(Direction, False)
        self.connected = False

    def interest(self, side: Direction) -> int:
        """Return which events (of `selectors`) to wait for on one side's socket."""
        if not self.connected:
            return selectors.EVENT_WRITE if side is Direction.SERVER else 0
        reads = not self.ended[side] and not self.pending[side]
        writes = bool(self.pending[OTHER[side]])
        return reads * selectors.EVENT_READ | writes * selectors.EVENT_WRITE

    def over(self) -> bool:
        """Return whether both sides have ended and everything has been handed on."""
        return all(self.ended.values()) and not any(self.pending.values())


def most_links() -> int:
    """Return how many links may be open at once: further clients wait in the system's queue.

    macOS allows a process 256 descriptors, Linux 1,024, and this process needs some for itself; Windows can
    wait for 512 sockets at once.
    """
    try:
        import resource  # noqa: PLC0415  # Windows has none
    except ImportError:
        return _FEWEST_LINKS
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed == resource.RLIM_INFINITY:
        return _MOST_LINKS
    return min(max((allowed - 64) // _DESCRIPTORS, _FEWEST_LINKS), _MOST_LINKS)


class Mover:
    """Accepts connections, and moves bytes between the two sockets of each link, in one thread.

    Attributes:
        failure: what ended it, if not its owner.
        most_links: how many links may be open at once.
    """

    def __init__(self, notebook: Notebook) -> None:
        self.failure: Exception | None = None
        self.most_links = most_links()
        self._notebook = notebook
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._targets: dict[socket.socket, tuple[str, int]] = {}  # by listening socket
        self._queues = selectors.DefaultSelector()  # of those who wait to be let in
        self._links: set[Link] = set()
        self._exhausted = False  # nobody can be let in for now
        self._patience = 0.0
        self._deadline: float | None = None
        self._waiting: deque[threading.Event] = deque()  # who waits for quiet

    def listen(self, port: int, target: tuple[str, int], host: str = HOST) -> tuple[str, int]:
        """Listen for connections to one server; return where.

        Raises:
            PortTaken: another program listens there.
            ServersError: this system does not let this program listen there.
            OSError: it does not let it listen at all.
        """
        listener = listen(host, port)
        self._targets[listener] = target
        self._queues.register(listener, selectors.EVENT_READ)
        return host, listener.getsockname()[1]

    def run(self) -> None:
        """Move bytes until told to end: the thread's whole life."""
        try:
            while self._deadline is None or (self._busy() and time.monotonic() < self._deadline):
                self._turn()
        except Exception as error:  # noqa: BLE001  # kept, and told by stop()
            self.failure = error
        finally:
            self.close()

    def end(self, patience: float) -> None:
        """Tell the thread to take no more connections, and to end when the open ones have."""
        self._patience = patience
        with contextlib.suppress(OSError):  # it may have ended by itself
            self._wake.send(_END)

    def catch_up(self, patience: float) -> bool:
        """Wait until all that was sent before this call has been noted; return whether it was in time.

        Args:
            patience: how many seconds to wait at most.
        """
        quiet = threading.Event()
        self._waiting.append(quiet)
        with contextlib.suppress(OSError):  # it may have ended by itself
            self._wake.send(_LOOK)
        return quiet.wait(patience)

    def close(self) -> None:
        """Close everything; a link still open is reset."""
        for link in tuple(self._links):
            self._reset(link, Direction.SERVER)
        for opened in (*self._targets, self._wake, self._woken):
            opened.close()
        self._queues.close()
        self._selector.close()

    def _busy(self) -> bool:
        """Return whether there are clients that are served, or wait to be."""
        return bool(self._links or self._targets)

    def _has_room(self) -> bool:
        return len(self._links) < self.most_links and not self._exhausted

    def _turn(self) -> None:
        """Wait for something to happen, and see to it."""
        room = self._has_room()
        for listener in self._targets:
            self._watch(listener, selectors.EVENT_READ * room, None)
        timeout, self._exhausted = self._timeout(), False
        happened = self._selector.select(timeout)
        if not happened and self._quiet():
            while self._waiting:
                self._waiting.popleft().set()
        for key, events in happened:
            if key.fileobj is self._woken:
                if _END in self._woken.recv(_PIECE):
                    self._deadline = time.monotonic() + self._patience
            elif key.data is not None:
                link, side = key.data
                self._serve(link, side, events)
            elif key.fileobj in self._targets:
                self._accept(key.fileobj)
        if self._deadline is not None:
            self._stop_listening()

    def _timeout(self) -> float | None:
        """Return how many seconds to wait for something to happen: none where somebody waits for quiet."""
        if self._waiting and self._quiet():
            return 0.0
        limits = [_PAUSE] if self._exhausted else []
        if self._deadline is not None:
            limits.append(max(0.0, self._deadline - time.monotonic()))
        return min(limits, default=None)

    def _quiet(self) -> bool:
        """Return whether every piece that was read has been handed on, and nobody waits to be let in."""
        return all(link.connected and not any(link.pending.values()) for link in self._links) and (
            self._has_room() or not self._queues.select(0)
        )

    def _stop_listening(self) -> None:
        """Take the connections that have been made already, as far as there is room, and no more."""
        for listener in tuple(self._targets):
            while self._has_room() and self._accept(listener):
                pass
            if self._has_room():
                del self._targets[listener]
                self._queues.unregister(listener)
                self._watch(listener, 0, None)
                listener.close()

    def _accept(self, listener: socket.socket) -> bool:
        """Take one connection and begin its twin; return whether there was one, and room for both."""
        # The twin's socket first: a client once accepted could not be put back into the queue.
        server: socket.socket | None = None
        try:
            server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            client, address = listener.accept()
        except OSError as error:
            if server is not None:
                server.close()
            # Most likely no descriptors are left, until a link ends. Whatever it is, it may be there
            # again at once.
            self._exhausted = not isinstance(error, BlockingIOError)
            return False
        for end in (client, server):
            end.settimeout(0)
            with contextlib.suppress(OSError):  # as where the client has reset the connection already
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        frames = Connection(Endpoint(*address), Endpoint(*listener.getsockname()))
        link = Link(client, server, frames)
        self._links.add(link)
        self._notebook.write(frames.opened())
        # Most often it is under way now, and when the socket becomes writable is known whether it worked.
        if server.connect_ex(self._targets[listener]) in _UNDER_WAY:
            self._watch_link(link)
        else:
            self._reset(link, Direction.SERVER)
        return True

    def _serve(self, link: Link, side: Direction, events: int) -> None:
        """See to what happened on one socket of a link."""
        if link not in self._links:
            return  # what happened to its other socket, a moment ago, has ended it
        if not link.connected:
            if link.sockets[side].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._reset(link, Direction.SERVER)
                return
            link.connected = True
        elif events & selectors.EVENT_WRITE:
            self._hand_on(link, OTHER[side])
        elif link.interest(side) & selectors.EVENT_READ:
            self._read(link, side)
        if link not in self._links:
            return  # it was reset
        if link.over():
            self._drop(link)
        else:
            self._watch_link(link)

    def _read(self, link: Link, side: Direction) -> None:
        """Read a piece from one side and try to hand it on."""
        try:
            piece = link.sockets[side].recv(_PIECE)
            if not piece:
                link.ended[side] = True
                self._notebook.write(link.frames.ended(side))
                link.sockets[OTHER[side]].shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError:
            self._reset(link, side if not link.ended[side] else OTHER[side])
            return
        if piece:
            self._notebook.write(link.frames.sent(side, piece))
            link.pending[side] = piece
            self._hand_on(link, side)

    def _hand_on(self, link: Link, origin: Direction) -> None:
        """Pass on what came from one side, as far as the other takes it."""
        try:
            count = link.sockets[OTHER[origin]].send(link.pending[origin])
        except BlockingIOError:
            return
        except OSError:
            self._reset(link, OTHER[origin])
            return
        link.pending[origin] = link.pending[origin][count:]

    def _reset(self, link: Link, side: Direction) -> None:
        """Note that one side has reset the connection, and what had come before; let the other know."""
        for each in Direction:
            self._note_rest(link, each)
        self._notebook.write(link.frames.reset(side))
        for end in link.sockets.values():
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._drop(link)

    def _note_rest(self, link: Link, side: Direction) -> None:
        """Note what has come from one side and was not read: nobody will get it, but it crossed the wire."""
        with contextlib.suppress(OSError):
            for _ in range(0 if link.ended[side] else _MOST_PIECES):
                piece = link.sockets[side].recv(_PIECE)
                if not piece:
                    return
                self._notebook.write(link.frames.sent(side, piece))

    def _drop(self, link: Link) -> None:
        """Close both sockets of a link."""
        self._links.discard(link)
        for side, end in link.sockets.items():
            self._watch(end, 0, (link, side))
            end.close()

    def _watch_link(self, link: Link) -> None:
        for side, end in link.sockets.items():
            self._watch(end, link.interest(side), (link, side))

    def _watch(self, end: socket.socket, events: int, data: tuple[Link, Direction] | None) -> None:
        """Wait for these events on a socket from now on; for none of them with 0."""
        known = end in self._selector.get_map()
        if known and events:
            self._selector.modify(end, events, data)
        elif known:
            self._selector.unregister(end)
        elif events:
            self._selector.register(end, events, data)
