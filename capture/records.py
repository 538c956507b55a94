"""Names TLS records by their headers, for people (RFC 8446, section 5.1; RFC 5246, section 6.2.1)."""

from __future__ import annotations

from types import MappingProxyType

HEADER = 5
_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE, _APPLICATION_DATA = 20, 21, 22, 23
_MESSAGES = MappingProxyType(
    {
        0: "HelloRequest",
        1: "ClientHello",
        2: "ServerHello",
        4: "NewSessionTicket",
        11: "Certificate",
        12: "ServerKeyExchange",
        13: "CertificateRequest",
        14: "ServerHelloDone",
        15: "CertificateVerify",
        16: "ClientKeyExchange",
        20: "Finished",
        22: "CertificateStatus",
    }
)


def octets(count: int) -> str:
    """Return how many bytes, in words."""
    return "1 byte" if count == 1 else f"{count:,} bytes"


class Namer:
    """Names the records of one direction in turn; it remembers where encryption began."""

    def __init__(self) -> None:
        self._opaque = False
        self._owed = 0  # bytes of a handshake message that the next records will bring

    def name(self, record: bytes, length: int) -> str:
        """Return what a record is.

        Args:
            record: the record, or its first bytes.
            length: its length on the wire without the header.
        """
        kind = record[0]
        if kind == _APPLICATION_DATA:
            self._opaque = True
            return f"TLS application data, {octets(length)}"
        if kind == _CHANGE_CIPHER_SPEC:
            self._opaque = True
            return "TLS change cipher spec"
        if kind not in (_ALERT, _HANDSHAKE):
            return f"TLS record of type {kind}, {octets(length)}"
        what = "alert" if kind == _ALERT else "handshake"
        if self._opaque:
            return f"TLS {what}, encrypted"
        return f"TLS {what}, {self._messages(record[HEADER:], length)}" if kind == _HANDSHAKE else "TLS alert"

    def _messages(self, data: bytes, length: int) -> str:
        """Return the names of the handshake messages that begin in a record (RFC 8446, section 4)."""
        names = []
        at = self._owed
        while at + 4 <= len(data):
            names.append(_MESSAGES.get(data[at], f"message {data[at]}"))
            at += 4 + int.from_bytes(data[at + 1 : at + 4], "big")
        self._owed = max(at - length, 0)
        return ", ".join(names) or "continued"
