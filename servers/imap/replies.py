"""What an IMAP server writes: strings, dates, greeting and capabilities, as bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from mailtap.servers.service import Security, Service

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST_QUOTED: Final = 200  # octets; longer strings go as literals
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)

NIL: Final = b"NIL"


def literal(value: bytes) -> bytes:
    """Return a string as a literal (RFC 3501, section 4.3)."""
    return b"{%d}\r\n%b" % (len(value), value)


def string(value: bytes | str | None) -> bytes:
    """Return an nstring: quoted where that is possible (RFC 3501, section 4.3 and 4.5)."""
    if value is None:
        return NIL
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    if len(value) > _LONGEST_QUOTED or not all(0x20 <= octet < 0x7F for octet in value):  # noqa: PLR2004  # as in the grammar
        return literal(value)
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def listed(items: Iterable[bytes]) -> bytes:
    """Return a list; NIL where it is empty (RFC 3501, section 7.4.2)."""
    return b"(" + b" ".join(items) + b")" if (items := list(items)) else NIL


def flags(names: Iterable[str]) -> bytes:
    """Return flags as a list, which may be empty (RFC 3501, section 2.3.2)."""
    return b"(" + " ".join(sorted(names)).encode() + b")"


def when(date: str | None) -> datetime:
    """Return the time that a Date field tells; the beginning of 1970 where it tells none."""
    try:
        told = parsedate_to_datetime(date or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return _LONG_AGO
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def date_time(moment: datetime) -> bytes:
    """Return an IMAP date-time (RFC 3501, section 9), whatever the locale."""
    month = _MONTHS[moment.month - 1]
    return f'"{moment.day:2d}-{month}-{moment.year:04d} {moment:%H:%M:%S %z}"'.encode()


def day(text: bytes) -> datetime | None:
    """Return the day that an IMAP date names (`1-Feb-2026`); None where it names none."""
    parts = text.decode("ascii", "replace").split("-")
    try:
        number, month, year = parts
        return datetime(int(year), _MONTHS.index(month.capitalize()) + 1, int(number), tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def capabilities(service: Service, *, encrypted: bool, logged_in: bool) -> bytes:
    """Return what the server can do now (RFC 3501, section 7.2.1; RFC 4959; RFC 7888; RFC 2971)."""
    may_log_in = service.login_allowed(encrypted=encrypted) and not logged_in
    names = ["IMAP4rev1", "LITERAL+", "ID"]
    if service.security is Security.STARTTLS and not encrypted and not logged_in:
        names.append("STARTTLS")
    if not logged_in and not (may_log_in and service.user_pass):
        names.append("LOGINDISABLED")
    if may_log_in and service.mechanisms:
        names += ["SASL-IR", *(f"AUTH={mechanism}" for mechanism in service.mechanisms)]
    return " ".join(names).encode()
