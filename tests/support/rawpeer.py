"""A client that says exactly what a test tells it to, byte for byte, and never waits for ever."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

TIMEOUT = 10.0  # seconds; a bound, not a wait


class RawPeer:
    """One TCP connection, read and written by hand."""

    def __init__(self, endpoint: tuple[str, int]) -> None:
        self.sock: socket.socket = socket.create_connection(endpoint, timeout=TIMEOUT)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read_until(self, mark: bytes) -> bytes:
        """Read up to and including the mark."""
        heard = b""
        while not heard.endswith(mark):
            byte = self.sock.recv(1)
            if not byte:
                raise AssertionError(f"the server closed; it had said {heard!r}")
            heard += byte
        return heard

    def line(self) -> bytes:
        return self.read_until(b"\n")

    def ask(self, command: bytes) -> bytes:
        """Send a command and read one line of reply."""
        self.send(command + b"\r\n")
        return self.line()

    def read_to_end(self) -> bytes:
        """Read until the server closes, politely or not."""
        heard = b""
        try:
            while data := self.sock.recv(65536):
                heard += data
        except ConnectionError:
            pass
        return heard

    def send_until_closed(self, piece: bytes, pause: float = 0.0) -> bytes:
        """Send a piece again and again until the server closes; return what it said meanwhile.

        Args:
            piece: what to send.
            pause: how long to wait for the server's word before each repetition, in seconds.
        """
        heard = b""
        self.sock.settimeout(pause or TIMEOUT)
        try:
            while True:
                if pause:
                    try:
                        data = self.sock.recv(65536)
                    except TimeoutError:
                        pass
                    else:
                        if not data:
                            return heard
                        heard += data
                self.sock.sendall(piece)
        except OSError:
            self.sock.settimeout(TIMEOUT)
            return heard + self.read_to_end()

    def start_tls(self, context: ssl.SSLContext, name: str = "mail.lab.example") -> None:
        self.sock = context.wrap_socket(self.sock, server_hostname=name)

    def send_beneath_tls(self, data: bytes) -> None:
        """Send bytes on the TCP connection itself, past TLS."""
        with socket.socket(fileno=os.dup(self.sock.fileno())) as beneath:
            beneath.sendall(data)

    def vanish(self) -> None:
        """Reset the connection, as a crashed machine's next packet would."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self.sock.close()


@contextmanager
def raw_peer(endpoint: tuple[str, int]):
    peer = RawPeer(endpoint)
    try:
        yield peer
    finally:
        peer.close()
