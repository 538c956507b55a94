"""What a POP3 server writes: greeting, listings, messages and capabilities, as bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailtap.servers.service import Security, Service

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailtap.servers.mailbox import Message

_LINE_END: Final = b"\r\n"
_BLANK: Final = b"\r\n\r\n"
_END: Final = b".\r\n"


def greeting(host: str, timestamp: bytes) -> bytes:
    """Return the first line; a timestamp in it offers APOP (RFC 1939, section 7)."""
    text = f"+OK {host} POP3 toy server ready".encode()
    return b" ".join(filter(None, (text, timestamp))) + _LINE_END


def ok(text: str) -> bytes:
    """Return a positive status line (RFC 1939, section 3)."""
    return f"+OK {text}\r\n".encode()


def error(text: str) -> bytes:
    """Return a negative status line; text may begin with a response code (RFC 2449, section 8)."""
    return f"-ERR {text}\r\n".encode()


def challenge(encoded: bytes) -> bytes:
    """Return a SASL challenge, already in base64 (RFC 5034, section 4)."""
    return b"+ " + encoded + _LINE_END


def listing(text: str, rows: Iterable[str]) -> bytes:
    """Return a multi-line response (RFC 1939, section 3) of short rows that never begin with a dot."""
    return "".join(f"{row}\r\n" for row in (f"+OK {text}", *rows, ".")).encode()


def message(content: bytes) -> bytes:
    """Return a message as a multi-line response: dots stuffed, the last line ended (RFC 1939, section 3)."""
    body = _whole(content)
    stuffing = b"." if body.startswith(b".") else b""
    # RFC 1939's own form: Wireshark looks for the number, and calls another text malformed.
    return b"+OK %d octets\r\n" % len(body) + stuffing + body.replace(b"\r\n.", b"\r\n..") + _END


def octets(stored: Message) -> int:
    """Return the size that STAT and LIST give: what is sent, without stuffed dots (RFC 1939, section 11)."""
    return len(_whole(stored.content))


def top(content: bytes, lines: int) -> bytes:
    """Return the header, the blank line and the first lines of the body (RFC 1939, section 7, TOP)."""
    head, blank, body = (_LINE_END + content).partition(_BLANK)
    if not blank:
        return content
    parts = body.split(_LINE_END, lines)
    shown = b"".join(part + _LINE_END for part in parts[:lines]) if len(parts) > lines else body
    return (head + blank + shown).removeprefix(_LINE_END)


def capabilities(service: Service, *, encrypted: bool, logged_in: bool) -> list[str]:
    """Return what CAPA lists now (RFC 2449, section 6; RFC 2595, section 4; RFC 5034, section 6)."""
    may_log_in = service.login_allowed(encrypted=encrypted)
    mechanisms = " ".join(service.mechanisms)
    stls = service.security is Security.STARTTLS and not encrypted and not logged_in
    rows = {
        "TOP": True,
        "UIDL": True,
        "RESP-CODES": True,
        "AUTH-RESP-CODE": True,
        "PIPELINING": True,
        "EXPIRE NEVER": True,
        "USER": service.user_pass and may_log_in,
        f"SASL {mechanisms}": bool(mechanisms) and may_log_in,
        "STLS": stls,
        "IMPLEMENTATION Mailtap-Lab": True,
    }
    return [row for row, shown in rows.items() if shown]


def _whole(content: bytes) -> bytes:
    return content if content.endswith(_LINE_END) or not content else content + _LINE_END
