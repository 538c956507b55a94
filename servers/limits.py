"""How much a peer may ask of the toy servers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds that keep the servers usable whatever a peer does. Sizes are in octets, times in seconds.

    Attributes:
        connections: sessions at once on one port; further clients are refused politely.
        message_octets: size of one message (RFC 1870).
        mailbox_messages: messages in one mailbox.
        mailbox_octets: size of one mailbox.
        recipients: recipients of one message (RFC 5321, section 4.5.3.1.8 asks for 100).
        command_octets: one POP3 command line with its line end (RFC 2449, section 4).
        imap_octets: one IMAP command without the mail that APPEND brings (RFC 2683, section 3.2.1.5 asks for
            8,000 octets a line).
        response_octets: one SASL response line in POP3 and IMAP (RFC 4954, section 4 has the same number).
        junk_octets: how much of an over-long line is read before the session ends.
        bad_commands: commands that make no sense before a POP3 or IMAP session ends.
        failed_logins: failed logins before a session ends.
        idle_seconds: longest wait for a whole command; trickling single bytes does not extend it.
        session_seconds: longest session.
        handshake_seconds: longest TLS handshake.
        close_seconds: longest wait for a peer's part in an orderly close.
    """

    connections: int = 64
    message_octets: int = 10 * 1024 * 1024
    mailbox_messages: int = 1000
    mailbox_octets: int = 64 * 1024 * 1024
    recipients: int = 100
    command_octets: int = 255
    imap_octets: int = 16 * 1024
    response_octets: int = 12288
    junk_octets: int = 64 * 1024
    bad_commands: int = 10
    failed_logins: int = 3
    idle_seconds: float = 60.0
    session_seconds: float = 900.0
    handshake_seconds: float = 10.0
    close_seconds: float = 2.0
