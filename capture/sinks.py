"""Write packets to capture files, whole or not at all.

`write_pcap` goes through scapy. `write_pcapng` builds its blocks here (pcapng,
draft-ietf-opsawg-pcapng, section 4), because scapy's own writer rounds times to microseconds and
knows no Decryption Secrets Block: the block that lets Wireshark open a TLS capture decrypted.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mailtap.capture.language import N_, Explained, system_reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mailtap.capture.model import Packet

_SNAPLEN = 262_144
_ETHERNET = 1  # the link type of a file without packets
_LAST_PCAP_TIME = (1 << 32) * 1_000_000_000 - 1  # classic pcap counts seconds in 32 bits: until 2106

_SECTION_HEADER = 0x0A0D0D0A
_INTERFACE_DESCRIPTION = 1
_ENHANCED_PACKET = 6
_DECRYPTION_SECRETS = 10
_TLS_KEY_LOG = 0x544C534B
_NANOSECONDS = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)  # options: if_tsresol = 10^-9, end of options

_SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))
_DENIED = N_("permission was denied. Give a path that you may write to, and close the file elsewhere")
_ADVICE = {
    errno.ENOENT: N_("its directory does not exist. Create the directory, or give another path"),
    errno.ENOTDIR: N_("a part of the path is a file, not a directory. Give another path"),
    errno.EISDIR: N_("it is a directory. Give the name of a file in it"),
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: N_("the disk is read-only. Give a path on another disk"),
    errno.ENOSPC: N_("the disk is full. Make room, or give a path on another disk"),
    errno.EDQUOT: N_("your disk quota is used up. Make room, or give a path on another disk"),
    errno.ENAMETOOLONG: N_("its name is too long. Give a shorter one"),
}


class SinkError(Explained):
    """A file could not be written; the message says why and what to do."""


def write_pcap(path: str | os.PathLike[str], packets: Iterable[Packet]) -> None:
    """Write the packets to a classic pcap file with nanosecond times, through scapy.

    A file that was there is replaced only when the new one is complete. Times outside 1970 to 2106,
    which the format cannot hold, are moved to its ends.

    Args:
        path: the file to write; a device or a pipe is written to as it is.
        packets: what to write; all of one link type, because the format has room for only one.

    Raises:
        SinkError: the file cannot be written, or the packets have several link types.
    """
    from scapy.utils import PcapWriter  # noqa: PLC0415  # a fifth of a second, only when used

    with _whole_file(Path(path)) as file:
        writer = PcapWriter(file, nano=True, snaplen=_SNAPLEN)
        for packet in packets:
            link_type = getattr(writer, "linktype", None)
            if link_type is None:
                writer.linktype = packet.link_type  # as an argument, link type 0 would be ignored
                writer.write_header(None)
            elif link_type != packet.link_type:
                raise SinkError(
                    N_(
                        "Cannot write {path}: packet {number} has link type {this}, those before it {other}."
                        " Write a pcapng file, which has room for both."
                    ),
                    path=str(path),
                    number=packet.number,
                    this=packet.link_type,
                    other=link_type,
                )
            seconds, nanoseconds = divmod(min(max(packet.time_ns, 0), _LAST_PCAP_TIME), 1_000_000_000)
            writer.write_packet(packet.data, sec=seconds, usec=nanoseconds, wirelen=packet.length)
        if not writer.header_present:
            writer.linktype = _ETHERNET
            writer.write_header(None)


def write_pcapng(path: str | os.PathLike[str], packets: Iterable[Packet], *, secrets: bytes = b"") -> None:
    """Write the packets to a pcapng file with nanosecond times, and the TLS session keys before them.

    A file that was there is replaced only when the new one is complete. Each link type becomes an
    interface of its own.

    Args:
        path: the file to write; a device or a pipe is written to as it is.
        packets: what to write.
        secrets: a TLS key log in the SSLKEYLOGFILE format (RFC 9850), so that Wireshark opens the
            file decrypted; empty for none.

    Raises:
        SinkError: the file cannot be written.
    """
    with _whole_file(Path(path)) as file:
        file.write(_block(_SECTION_HEADER, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        if secrets:
            file.write(_block(_DECRYPTION_SECRETS, struct.pack("<II", _TLS_KEY_LOG, len(secrets)), secrets))
        interfaces: dict[int, int] = {}
        for packet in packets:
            interface = interfaces.get(packet.link_type)
            if interface is None:
                interface = interfaces[packet.link_type] = len(interfaces)
                file.write(_interface(packet.link_type))
            file.write(_enhanced_packet(interface, packet))


def _interface(link_type: int) -> bytes:
    """Return an Interface Description Block (pcapng, section 4.2)."""
    return _block(_INTERFACE_DESCRIPTION, struct.pack("<HHI", link_type, 0, _SNAPLEN), _NANOSECONDS)


def _enhanced_packet(interface: int, packet: Packet) -> bytes:
    """Return an Enhanced Packet Block (pcapng, section 4.3)."""
    high, low = divmod(packet.time_ns & 0xFFFF_FFFF_FFFF_FFFF, 1 << 32)
    head = struct.pack("<IIIII", interface, high, low, len(packet.data), packet.length)
    return _block(_ENHANCED_PACKET, head, packet.data)


def _block(kind: int, head: bytes, body: bytes = b"") -> bytes:
    """Return a block: kind, total length, contents padded to 32 bits, total length (pcapng, section 3.1)."""
    padding = bytes(-len(body) % 4)
    total = struct.pack("<I", 12 + len(head) + len(body) + len(padding))
    return b"".join((struct.pack("<I", kind), total, head, body, padding, total))


@contextmanager
def _whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to write that appears under its name only once it is complete."""
    try:
        if is_device(path):
            with path.open("wb") as device:  # replacing /dev/stdout or /dev/null would destroy it
                yield device
        else:
            with _replacement(path.resolve()) as file:  # a symbolic link stays one; its target is written
                yield file
    except OSError as error:
        raise unwritable(path, error) from error


def require_writable(path: str | os.PathLike[str]) -> None:
    """Find out before the work whether a file could be written after it.

    Raises:
        SinkError: its directory is missing or may not be written to, or it is a directory itself.
    """
    try:
        number = _obstacle(Path(path), as_folder=os.fspath(path).endswith(_SEPARATORS))
    except OSError as error:
        raise unwritable(path, error) from error
    if number:
        raise unwritable(path, OSError(number, os.strerror(number)))


def is_device(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is there and neither file nor directory, but a device or a pipe."""
    mode = _mode(Path(path))
    return bool(mode) and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _mode(path: Path) -> int:
    """Return the type and permissions of what is at a path; 0 where nothing is.

    Raises:
        OSError: one may not look, which `Path.exists` would call nothing from Python 3.14 on.
    """
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return 0
        raise


def _obstacle(path: Path, *, as_folder: bool) -> int:
    """Return the error number that writing to a path will meet with; 0 where none is to be seen."""
    if is_device(path):
        return 0  # it says for itself
    folder = path.absolute() if as_folder else path.absolute().parent
    beside = _mode(folder)
    for wrong, number in (
        (stat.S_ISDIR(_mode(path)), errno.EISDIR),
        (not stat.S_ISDIR(beside), errno.ENOTDIR if beside else errno.ENOENT),
        (not os.access(folder, os.W_OK), errno.EACCES),
    ):
        if wrong:
            return number
    return 0


def unwritable(path: str | os.PathLike[str], error: OSError) -> SinkError:
    """Return why a path could not be written, and what to do."""
    if advice := _ADVICE.get(error.errno or 0):
        return SinkError(N_("Cannot write {path}: {advice}."), path=os.fspath(path), advice=advice)
    text = N_("Cannot write {path}: {reason}. Give another path.")
    return SinkError(text, path=os.fspath(path), reason=system_reason(error))


@contextmanager
def _replacement(target: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside the target that takes its place in the end, or vanishes."""
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:64]}.", suffix=".part", dir=target.parent)
    temporary = Path(name)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123  # a descriptor, not a path
            yield file
        temporary.chmod(_mode_for(target))
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _mode_for(target: Path) -> int:
    """Return the mode of the file to replace; a new one is for its owner only: captures hold secrets."""
    try:
        return stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        return 0o600
