"""Read packets from capture files and pipes: the only file input of the listener.

The format is known by its content, never by the file's name: classic pcap, pcapng, either in gzip.
"""

from __future__ import annotations

import os
import stat
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mailtap.capture.files.bytestream import GZIP_MAGIC, ByteStream, Gunzip
from mailtap.capture.files.pcapfile import LAYOUTS, damaged, read_pcap
from mailtap.capture.files.pcapng import MAGIC, read_pcapng
from mailtap.capture.language import N_

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailtap.capture.files.pcapfile import Handful
    from mailtap.capture.model import Note, Packet

_MAGIC_SIZE = 4


class Readable(Protocol):
    """What is open for reading, such as a binary file."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none only at the end."""


def regular_size(file: str | int) -> int:
    """Return the size in bytes of a regular file, by name or descriptor; 0 of all else."""
    try:
        state = os.stat(file)  # noqa: PTH116  # a name as it stands on the command line, or a descriptor
    except OSError:
        return 0
    return state.st_size if stat.S_ISREG(state.st_mode) else 0


def read(source: str | os.PathLike[str] | Readable) -> Iterator[Packet | Note]:
    """Yield the packets of a capture file as they come, and a note where it is damaged.

    Nothing is read ahead: a packet that has come through a pipe is yielded before the next read.

    Args:
        source: a path, or an open file to read from where it stands; the latter is not closed.

    Raises:
        OSError: the file cannot be opened or read.
    """
    # Chained, because a generator for each packet would cost as much as finding it.
    return chain.from_iterable(handfuls(source))


def handfuls(source: str | os.PathLike[str] | Readable) -> Iterator[Handful]:
    """Yield the same by the handful: what was there at one read together.

    Each must be gone through, once, before the next is asked for.
    """
    if isinstance(source, (str, os.PathLike)):
        # Unbuffered: the reader has its own buffer, and a pipe gives what it has.
        with Path(source).open("rb", buffering=0) as file:
            yield from _read(file.read)
    else:
        yield from _read(_take_from(source))


def _take_from(file: Readable) -> Callable[[int], bytes]:
    """Return the read that waits for some bytes only, not for all (`read` of a buffered pipe does)."""
    take: Callable[[int], bytes] = getattr(file, "read1", file.read)
    return take


def _read(take: Callable[[int], bytes]) -> Iterator[Handful]:
    """Yield the packets of what `take` returns."""
    stream = ByteStream(take)
    if not stream.need(len(GZIP_MAGIC)) or not stream.data.startswith(GZIP_MAGIC):
        yield from _capture(stream)
        return
    gunzip = Gunzip(take, stream.data)
    yield from _capture(ByteStream(gunzip))
    if gunzip.damage:
        yield [damaged(gunzip.damage, gunzip.offset)]


def _capture(stream: ByteStream) -> Iterator[Handful]:
    """Yield the packets of a capture file that is not packed."""
    whole = stream.need(_MAGIC_SIZE)
    magic = stream.data[:_MAGIC_SIZE]
    if magic in LAYOUTS:
        yield from read_pcap(stream)
    elif magic == MAGIC:
        yield from read_pcapng(stream)
    elif not stream.left:
        yield [damaged(N_("The capture file is empty: it ends at byte {offset}."), 0)]
    elif not whole:
        yield [damaged(N_("The capture file ends at byte {offset}, within its header."), stream.left)]
    else:
        text = N_("This is no capture file: at byte {offset} stands neither pcap nor pcapng.")
        yield [damaged(text, 0)]
