"""Reads the names out of an X.509 certificate (RFC 5280), and nothing else of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEQUENCE, _SET, _OID, _OCTETS = 0x30, 0x31, 0x06, 0x04
_EXTENSIONS = 0xA3  # [3] EXPLICIT, RFC 5280, section 4.1
_VERSION = 0xA0  # [0] EXPLICIT
_NAMED = (0x81, 0x82)  # GeneralName, RFC 5280, section 4.2.1.6: a mail address, a DNS name
_COMMON_NAME, _ORGANIZATION = bytes((0x55, 0x04, 0x03)), bytes((0x55, 0x04, 0x0A))
_SUBJECT_ALT_NAME = bytes((0x55, 0x1D, 0x11))
_ISSUER, _SUBJECT = 2, 4  # the fields' places in TBSCertificate, version left out


class _Value(NamedTuple):
    tag: int
    content: bytes


def names(certificate: bytes) -> tuple[str, ...]:
    """Return common name, DNS names and mail addresses, each once; empty for what is no certificate."""
    fields = _fields(certificate)
    found = list(_attributes(fields[_SUBJECT].content, _COMMON_NAME)) if len(fields) > _SUBJECT else []
    for field in fields:
        if field.tag == _EXTENSIONS:
            found += _alternative_names(_first(field.content, _SEQUENCE))
    return tuple(dict.fromkeys(name.decode("utf-8", "backslashreplace") for name in found))


def issuer(certificate: bytes) -> str:
    """Return the organization that issued a certificate, as it calls itself; empty where it does not."""
    fields = _fields(certificate)
    found = _attributes(fields[_ISSUER].content, _ORGANIZATION) if len(fields) > _ISSUER else iter(())
    return next(found, b"").decode("utf-8", "backslashreplace")


def _fields(certificate: bytes) -> list[_Value]:
    """Return the fields of TBSCertificate, version left out."""
    fields = list(_values(_first(_first(certificate, _SEQUENCE), _SEQUENCE)))
    return fields[1:] if fields and fields[0].tag == _VERSION else fields


def _attributes(name: bytes, wanted: bytes) -> Iterator[bytes]:
    """Yield the attributes of one kind in a distinguished name (RFC 5280, section 4.1.2.4)."""
    for relative in _values(name):
        for attribute in _values(relative.content):
            kind, *rest = (*_values(attribute.content), _Value(0, b""))
            if kind.content == wanted and rest:
                yield rest[0].content


def _alternative_names(extensions: bytes) -> Iterator[bytes]:
    for extension in _values(extensions):
        parts = list(_values(extension.content))
        if parts and parts[0].content == _SUBJECT_ALT_NAME:
            general = _first(parts[-1].content, _SEQUENCE)
            yield from (name.content for name in _values(general) if name.tag in _NAMED)


def _first(data: bytes, tag: int) -> bytes:
    """Return the content of the first value if it has this tag."""
    value = next(_values(data), None)
    return value.content if value is not None and value.tag == tag else b""


def _values(data: bytes) -> Iterator[_Value]:
    """Walk DER values (X.690, section 8.1); stop where they stop making sense."""
    at = 0
    while at + 2 <= len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[at : at + size], "big")
            at += size
        if at + length > len(data):
            return
        yield _Value(tag, data[at : at + length])
        at += length
