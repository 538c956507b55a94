"""Prints the payload lines of a capture that look like logins, read with scapy."""

from __future__ import annotations

import re
import sys

from scapy.layers.inet import TCP
from scapy.layers.inet6 import IPv6  # noqa: F401  # registers itself
from scapy.layers.l2 import Ether  # noqa: F401
from scapy.utils import PcapReader

_LOGIN = re.compile(
    rb"^(?:USER|PASS|APOP|AUTH|\S+ LOGIN|\S+ AUTHENTICATE|[A-Za-z0-9+/]{8,}={0,2}\r$).*", re.MULTILINE
)


def main() -> None:
    """Read the file that the command line names."""
    with PcapReader(sys.argv[1]) as packets:
        for packet in packets:
            if TCP in packet:
                for line in _LOGIN.findall(bytes(packet[TCP].payload)):
                    print(line.decode("latin-1"))


if __name__ == "__main__":
    main()
