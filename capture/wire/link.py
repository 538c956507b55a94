"""Find the network-layer header in a captured frame, by its link type.

Link types and their headers are those of https://www.tcpdump.org/linktypes.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Finder = Callable[[bytes], tuple[int, int]]

IPV4 = 0x0800
IPV6 = 0x86DD
NOTHING = (0, 0)

_VLAN_TAGS = frozenset((0x8100, 0x88A8, 0x9100, 0x9200))  # IEEE 802.1Q and 802.1ad, and what came before it
_MOST_TAGS = 8
_ETHERNET_TYPE_AT = 12
_COOKED_TYPE_AT = 14
_COOKED2_HEADER = 20
_FAMILIES = {2: IPV4, 10: IPV6, 24: IPV6, 28: IPV6, 30: IPV6}  # AF_INET6 differs from system to system
_FAMILY_SIZE = 4


def _tagged(at: int) -> Finder:
    """Return the finder for frames with their EtherType at that position, VLAN tags before it or not."""

    def find(frame: bytes) -> tuple[int, int]:
        place = at
        for _ in range(_MOST_TAGS):
            kind = int.from_bytes(frame[place : place + 2], "big")
            if kind not in _VLAN_TAGS:
                return kind, place + 2
            place += 4
        return NOTHING

    return find


def _cooked2(frame: bytes) -> tuple[int, int]:
    """Linux cooked v2 begins with the EtherType; a VLAN tag may stand between the header and the packet."""
    kind = int.from_bytes(frame[:2], "big")
    if kind in _VLAN_TAGS:
        return _tagged(_COOKED2_HEADER + 2)(frame)
    return kind, _COOKED2_HEADER


def _family(frame: bytes) -> tuple[int, int]:
    """BSD loopback begins with the address family, in the byte order of the host (NULL) or network (LOOP)."""
    first = frame[:_FAMILY_SIZE]
    family = min(int.from_bytes(first, "little"), int.from_bytes(first, "big"))
    return _FAMILIES.get(family, 0), _FAMILY_SIZE


def _bare(frame: bytes) -> tuple[int, int]:
    """Raw IP tells its version in its first four bits."""
    return {4: IPV4, 6: IPV6}.get(frame[0] >> 4 if frame else 0, 0), 0


FINDERS: dict[int, Finder] = {
    0: _family,
    1: _tagged(_ETHERNET_TYPE_AT),
    12: _bare,
    14: _bare,
    101: _bare,
    108: _family,
    113: _tagged(_COOKED_TYPE_AT),
    228: lambda _frame: (IPV4, 0),
    229: lambda _frame: (IPV6, 0),
    276: _cooked2,
}
"""From link type to the function that gives a frame's EtherType and where its network header begins."""

ETHERTYPE_AT = {1: _ETHERNET_TYPE_AT, 113: _COOKED_TYPE_AT}
"""Where the EtherType stands, directly before the network header, in an untagged frame."""
