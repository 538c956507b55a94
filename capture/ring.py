"""Read a Linux packet socket through a ring of memory shared with the kernel (packet(7), TPACKET_V3).

The system's limit for socket buffers, which a private network cannot raise, is often too small for one
mail with an attachment; a ring is not bound by it. It also tells each frame's length on the wire, and its
time to the nanosecond.
"""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, Final

from mailtap.capture.loopback import Frame
from mailtap.capture.packet_socket import ETHERNET, SOL_PACKET

if TYPE_CHECKING:
    import socket

_PACKET_RX_RING: Final = 5  # linux/if_packet.h
_PACKET_VERSION: Final = 10
_TPACKET_V3: Final = 2
_STATUS_KERNEL: Final = 0
_STATUS_USER: Final = 1

_BLOCK: Final = 512 * 1024  # bytes: some of the largest frames, and whole pages on every machine
_SMALLEST_FRAME: Final = 2048  # bytes; only for the kernel's arithmetic
_RETIRE: Final = 4  # milliseconds after which a block that is not full is handed over

_request = struct.Struct("7I").pack  # struct tpacket_req3
_status = struct.Struct("I").unpack_from  # struct tpacket_hdr_v1: block_status, num_pkts, offset_to_first_pkt
_block = struct.Struct("II").unpack_from
_frame = struct.Struct("6IH").unpack_from  # struct tpacket3_hdr, as far as tp_mac
_STATUS_AT: Final = 8  # after version and offset_to_priv
_FRAMES_AT: Final = 12


class Ring:
    """The ring of one packet socket."""

    def __init__(self, capture: socket.socket, size: int) -> None:
        """Set it up.

        Args:
            capture: a packet socket that nothing has been read from.
            size: bytes of memory, rounded to whole blocks of 512 KiB, two at least.

        Raises:
            OSError: this kernel has no such rings, or no memory for one.
        """
        self._blocks = max(2, size // _BLOCK)
        self._next = 0
        total = self._blocks * _BLOCK
        capture.setsockopt(SOL_PACKET, _PACKET_VERSION, _TPACKET_V3)
        capture.setsockopt(
            SOL_PACKET,
            _PACKET_RX_RING,
            _request(_BLOCK, self._blocks, _SMALLEST_FRAME, total // _SMALLEST_FRAME, _RETIRE, 0, 0),
        )
        self._memory = mmap.mmap(capture.fileno(), total)

    def take(self) -> list[Frame]:
        """Return the frames of the next full block, and give the block back to the kernel.

        None where there is none: the socket is readable when there is.
        """
        new, memory = tuple.__new__, self._memory
        frames: list[Frame] = []
        start = self._next * _BLOCK
        if _status(memory, start + _STATUS_AT)[0] & _STATUS_USER == 0:
            return frames
        count, offset = _block(memory, start + _FRAMES_AT)
        at = start + offset
        for _ in range(count):
            step, seconds, nanoseconds, kept, length, _, frame = _frame(memory, at)
            begin = at + frame
            time_ns = seconds * 1_000_000_000 + nanoseconds
            # A NamedTuple's own constructor would cost as much as all the rest.
            frames.append(new(Frame, (ETHERNET, time_ns, memory[begin : begin + kept], length)))
            at += step
        struct.pack_into("I", memory, start + _STATUS_AT, _STATUS_KERNEL)
        self._next = (self._next + 1) % self._blocks
        return frames

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
