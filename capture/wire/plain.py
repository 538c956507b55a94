"""What nearly every packet is: TCP directly over IP, without options or fragments. It is read in one step.

From the EtherType to the TCP flags (RFC 791, RFC 8200, RFC 9293).
"""

from __future__ import annotations

import struct
from typing import Final

unpack4: Final = struct.Struct(">HBxH2xHxB2x12sIIBB").unpack_from
"""EtherType, version and header length, total length, fragment field, protocol, addresses and ports, sequence
number, acknowledgment number, data offset, flags: of IPv4."""
unpack6: Final = struct.Struct(">2xB3xHBx36sIIBB").unpack_from
"""Version, payload length, next header, and the same from the addresses on: of IPv6."""

IPV4_HEADER: Final = 20
IPV6_HEADER: Final = 40
TCP: Final = 6
LEAST_OFFSET: Final = 0x50
"""The data offset of a TCP header of five words, the shortest, where it stands in its byte."""
TURNS: Final = 0x07
"""FIN, SYN or RST: a connection begins or ends."""
