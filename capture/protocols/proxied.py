"""Passes over what a load balancer puts before a client's first byte (HAProxy's PROXY protocol)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mailtap.capture.protocols.lines import Stream

_LINE: Final = b"PROXY "
_LONGEST_LINE: Final = 107  # version 1, section 2.1
_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"  # version 2, section 2.2
_SIZE: Final = slice(14, 16)


def pass_over(stream: Stream) -> bool:
    """Drop the header that a stream begins with, if it does; return False where its rest must come first.

    No reply answers it, so that no parser may take it for a command.
    """
    ahead = stream.ahead(_SIZE.stop)
    if ahead.startswith(_LINE):
        line, end, _ = stream.ahead(_LONGEST_LINE).partition(b"\r\n")
        if end:
            stream.take(len(line + end))
    elif ahead and _SIGNATURE.startswith(ahead):
        return stream.stopped
    elif ahead.startswith(_SIGNATURE):
        size = _SIZE.stop + int.from_bytes(ahead[_SIZE], "big")
        if len(stream.ahead(size)) < size:
            return stream.stopped
        stream.take(size)
    return True
